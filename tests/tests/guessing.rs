//! What somebody can guess who knows the password and never pauses, counted over a virtual year,
//! and whether the owner gets in meanwhile. The arithmetic is that of docs/threat-model.md.

use std::{
    cell::{Cell, RefCell},
    fs,
    path::Path,
};

use mfa_core::{
    device::{Algorithm, Shape},
    login::{Silence, Talk},
    verdict::{Refusal, Verdict},
};
use mfa_tests::{
    full_disk::{empty, fill, small_disk, unmount, with_own_mounts},
    need_root,
    virtual_login::{DAY, World},
};
use zeroize::Zeroizing;

/// The promise: the chance to guess one's way in during a year.
const PROMISE: f64 = 1.0 / 500.0;
/// Guesses of three codes that a machine could check in a year, at a thousand a second.
const ENDLESS: f64 = 1000.0 * 365.0 * 86_400.0;
/// Codes of a device that are good at any time.
const WINDOW: f64 = 3.0;
/// A midnight in 2027.
const START: i64 = 1_800_000_000 / DAY * DAY;

const SIX: Shape = Shape {
    algorithm: Algorithm::Sha1,
    digits: 6,
    period: 30,
};
const EIGHT: Shape = Shape { digits: 8, ..SIX };

/// Types wrong codes, and counts how many were judged, by how many they were in a row.
struct Guesser<'w> {
    world: &'w World,
    digits: usize,
    typed: usize,
    judged: &'w RefCell<[u64; 4]>,
}

impl Talk for Guesser<'_> {
    fn ask(&mut self, _: &str, _: bool) -> Result<Zeroizing<Vec<u8>>, Silence> {
        self.typed += 1;
        // Two codes in turn: the same one twice would be asked for again.
        let digit = if self.typed.is_multiple_of(2) {
            b'0'
        } else {
            b'1'
        };
        Ok(Zeroizing::new(vec![digit; self.digits]))
    }

    fn tell(&mut self, _: &str) {}

    fn warn(&mut self, _: &str) {
        let judged = std::mem::take(&mut self.typed).min(3);
        self.judged.borrow_mut()[judged] += 1;
        assert!(self.world.now.get() != 0 || judged == 3);
    }
}

/// The owner types what his phone shows, and waits for the next code where one is asked for.
struct Owner<'w> {
    world: &'w World,
    answers: usize,
}

impl Talk for Owner<'_> {
    fn ask(&mut self, _: &str, _: bool) -> Result<Zeroizing<Vec<u8>>, Silence> {
        if self.answers > 0 {
            self.world.pass(30);
        }
        self.answers += 1;
        Ok(self.world.code_in(0, 0).into_bytes().into())
    }

    fn tell(&mut self, _: &str) {}

    fn warn(&mut self, text: &str) {
        panic!("the owner was refused: {text}");
    }
}

/// What happens in a year.
#[derive(Default)]
struct Year {
    judged: RefCell<[u64; 4]>,
}

impl Year {
    fn guess(&self, world: &World, digits: usize) {
        let mut guesser = Guesser {
            world,
            digits,
            typed: 0,
            judged: &self.judged,
        };
        assert!(matches!(world.login(&mut guesser), Verdict::Refused(_)));
    }

    /// The chance that one of the guesses was right.
    fn chance(&self, devices: &[f64]) -> f64 {
        let per_guess =
            |run: i32| -> f64 { devices.iter().map(|codes| WINDOW / codes.powi(run)).sum() };
        let judged = self.judged.borrow();
        judged[1] as f64 * per_guess(1) + judged[2] as f64 * per_guess(2) + ENDLESS * per_guess(3)
    }
}

/// More logins of three tries each than a day has free names.
const BURST: usize = 5;

/// Hammers at midnight and around three in the morning, when `nightly` happens (which may hammer, too); the
/// owner logs in at five in the afternoon.
fn hammer(world: &World, digits: usize, nightly: impl Fn(&dyn Fn())) -> Year {
    let year = Year::default();
    let burst = || (0..BURST).for_each(|_| year.guess(world, digits));
    for day in 0..365 {
        let midnight = START + day * DAY;
        world.now.set(midnight);
        burst();
        world.now.set(midnight + 3 * 3600);
        burst();
        nightly(&burst);
        burst();
        world.now.set(midnight + 17 * 3600);
        let verdict = world.login(&mut Owner { world, answers: 0 });
        assert!(matches!(verdict, Verdict::Granted(_)), "{verdict:?}");
    }
    year
}

fn world(shapes: &[Shape]) -> World {
    // Nothing of it is about the disk, and a year has a hundred thousand writes.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let dir = dir.expect("a directory");
    World::new(dir, shapes, START)
}

#[test]
fn a_year_of_guessing_one_device() {
    let year = hammer(&world(&[SIX]), 6, |_| {});
    let judged = *year.judged.borrow();
    assert!((365..=376).contains(&judged[1]), "{judged:?}");
    assert!((3650..=3760).contains(&judged[2]), "{judged:?}");
    assert!(year.chance(&[1e6]) < PROMISE, "{}", year.chance(&[1e6]));
}

#[test]
fn a_year_of_guessing_eight_devices() {
    let year = hammer(&world(&[SIX; 8]), 6, |_| {});
    assert!(year.judged.borrow()[1] <= 376 / 8, "{:?}", year.judged);
    assert!(
        year.chance(&[1e6; 8]) < PROMISE,
        "{}",
        year.chance(&[1e6; 8])
    );
}

#[test]
fn a_year_of_guessing_the_longer_code() {
    let shapes = [EIGHT, SIX];
    let year = hammer(&world(&shapes), 8, |_| {});
    assert!(
        year.chance(&[1e8]) < PROMISE / 50.0,
        "{}",
        year.chance(&[1e8])
    );
}

#[test]
fn a_year_of_nightly_restarts() {
    let world = world(&[SIX]);
    let year = hammer(&world, 6, |_| world.restart());
    assert!(year.judged.borrow()[1] <= 376, "{:?}", year.judged);
    assert!(year.chance(&[1e6]) < PROMISE);
}

/// A year on a disk of its own; each night first `nightly`, then a restart.
fn hammer_on_a_small_disk(nightly: impl Fn(&Path) + Send) -> [u64; 4] {
    with_own_mounts(move || {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = dir.path().join("var/lib");
        std::fs::create_dir_all(&disk).expect("make a directory");
        small_disk(&disk);
        let world = World::new(dir, &[SIX], START);
        fill(&disk);
        let year = hammer(&world, 6, |_| {
            nightly(&disk);
            world.restart();
        });
        unmount(&disk);
        assert!(year.chance(&[1e6]) < PROMISE, "{}", year.chance(&[1e6]));
        year.judged.into_inner()
    })
}

#[test]
fn a_year_of_a_full_disk_and_nightly_restarts() {
    need_root!();
    let judged = hammer_on_a_small_disk(|_| {});
    assert_eq!(judged[1], 0, "{judged:?}");
    assert!(judged[2] >= 365, "{judged:?}");
}

#[test]
fn a_year_in_which_the_disk_is_full_every_other_night() {
    need_root!();
    let full = Cell::new(true);
    let judged = hammer_on_a_small_disk(move |disk| {
        if full.replace(!full.get()) {
            empty(disk)
        } else {
            fill(disk)
        }
    });
    assert!((300..=376).contains(&judged[1]), "{judged:?}");
}

#[test]
fn a_clock_that_starts_in_1970_gives_nothing_free() {
    let world = world(&[SIX]);
    let year = Year::default();
    for _ in 0..50 {
        world.now.set(0);
        world.restart();
        (0..5).for_each(|_| year.guess(&world, 6));
    }
    let judged = *year.judged.borrow();
    assert_eq!((judged[1], judged[2]), (0, 0), "{judged:?}");
    world.now.set(START + DAY);
    assert!(matches!(
        world.login(&mut Owner {
            world: &world,
            answers: 0
        }),
        Verdict::Granted(_)
    ));
}

#[test]
fn a_year_of_nightly_restarts_with_a_clock_that_is_wrong() {
    for off in [-START, -6 * 3600, 22 * 3600, 20 * DAY, 200 * DAY] {
        let world = world(&[SIX]);
        let year = hammer(&world, 6, |burst| {
            let right = world.now.get();
            world.now.set((right + off).max(0));
            world.restart();
            burst();
            // Somebody put it right.
            world.now.set(right);
        });
        println!("off by {off} seconds: {:?}", year.judged.borrow());
        assert!(year.chance(&[1e6]) < PROMISE);
    }
}

/// Nothing but single codes: pairs would fill the directory.
fn single_codes(world: &World, year: &Year) {
    for _ in 0..11 {
        let (verdict, _) = world.login_with(&["000000"]);
        let Verdict::Refused(reasons) = verdict else {
            panic!("{verdict:?}");
        };
        let judged = reasons
            .iter()
            .any(|reason| matches!(reason, Refusal::Missed(_)));
        year.judged.borrow_mut()[1] += u64::from(judged);
    }
}

#[test]
fn a_year_of_nightly_restarts_with_a_clock_that_is_farther_ahead_each_time() {
    let world = world(&[SIX]);
    let year = Year::default();
    for day in 0..365 {
        let midnight = START + day * DAY;
        for time in [midnight, midnight + (400 + 10 * day) * DAY] {
            world.now.set(time);
            world.restart();
            single_codes(&world, &year);
        }
        world.now.set(midnight + 17 * 3600);
        let verdict = world.login(&mut Owner {
            world: &world,
            answers: 0,
        });
        assert!(matches!(verdict, Verdict::Granted(_)), "{verdict:?}");
    }
    println!("{:?}", year.judged.borrow());
    assert!(year.chance(&[1e6]) < PROMISE, "{:?}", year.judged);
}

#[test]
fn a_clock_that_is_set_back_or_forth_gives_nothing_twice() {
    let world = world(&[SIX]);
    let year = Year::default();
    for day in [0, 1, 0, 2, 1, 0, 2, 30, 0, 1, 30, 2] {
        world.now.set(START + day * DAY);
        (0..150).for_each(|_| year.guess(&world, 6));
    }
    // Ten days before, and the days 1, 2 and 21 to 30 (with the ten saved up): no day twice.
    let judged = *year.judged.borrow();
    assert!(judged[1] <= 10 + 2 + 10 && judged[2] <= 220, "{judged:?}");
}

#[test]
fn junk_among_the_names_sets_nothing_free() {
    let world = world(&[SIX]);
    let year = Year::default();
    let state = world.path().join("var/lib/pam_mfa/state/0");
    for n in 0..=2000 {
        std::fs::create_dir(state.join(format!("guess-junk{n}"))).expect("make junk");
    }
    (0..20).for_each(|_| year.guess(&world, 6));
    assert_eq!(year.judged.borrow()[1..3], [0, 0]);
}

#[test]
fn a_backup_code_under_a_wrong_clock_sets_no_guesses_free() {
    let world = World::new(tempfile::tempdir().unwrap(), &[SIX], START);
    let claimed = || {
        let names = fs::read_dir(world.path().join("var/lib/pam_mfa/state/0")).unwrap();
        names.count()
    };
    world.login_with(&["000000", "111111", "000000"]);
    let before = claimed();
    assert!(before > 1);
    world.pass(20 * DAY);
    let backup = world.backup[0].shown();
    let (verdict, _) = world.login_with(&[&backup]);
    assert!(matches!(verdict, Verdict::Granted(_)), "{verdict:?}");
    assert_eq!(claimed(), before);
}
