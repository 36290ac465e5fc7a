//! Prompts that stay open while something happens: what was found before one counts for nothing after it.

use std::{cell::Cell, collections::BTreeSet, fs, path::Path, process::Command};

use mfa_core::{
    device::Shape,
    judge::Miss,
    login::{Silence, Talk},
    verdict::{Refusal, Verdict},
};
use mfa_tests::{
    enrolled::{Enrolled, NOW},
    lock,
    sandbox::Sandbox,
    virtual_login::{DAY, World},
};

/// The free tries with one code.
const FREE: usize = 10;

#[track_caller]
fn used_meanwhile(code: impl Fn(&Enrolled) -> String) {
    let (sandbox, alice) = Sandbox::with_alice();
    let code = code(&alice);
    let mut session = sandbox.client("alice").start();
    session.prompt();
    assert!(sandbox.login("alice", &[&code]).granted());
    // Whoever knows a used code must not be able to hold the lock that the owner needs.
    let _held = lock::hold(&sandbox);
    session.answer(&code);
    session.next_prompt();
    let outcome = session.finish();
    assert!(!outcome.granted());
    assert!(outcome.errors[0].contains("used"), "{outcome:#?}");
}

#[test]
fn a_verification_code_that_was_used_meanwhile_never_reaches_the_lock() {
    used_meanwhile(|alice| alice.code(0));
}

#[test]
fn a_backup_code_that_was_used_meanwhile_never_reaches_the_lock() {
    used_meanwhile(|alice| alice.backup_codes[0].clone());
}

#[test]
fn unlock_frees_the_tries_of_an_open_prompt() {
    let (sandbox, alice) = Sandbox::with_alice();
    let state = sandbox.path("var/lib/pam_mfa/state/2001");
    let today = NOW / 86_400;
    for day in today - 9..=today {
        let pairs = (0..10).map(|pair| format!("pair-{day}-{pair}"));
        for name in pairs.chain([format!("guess-{day}")]) {
            fs::write(state.join(name), "").unwrap();
        }
    }
    let mut session = sandbox.client("alice").start();
    session.prompt();
    sandbox.admin(&["unlock", "alice"]).ok();
    session.answer(&alice.code(0));
    assert!(session.finish().granted());
}

/// Many prompts, each opened while the one before it is open. Then something happens, and all are answered
/// with a wrong code.
struct Prompts<'w> {
    world: &'w World,
    wrong: String,
    /// How many answers were judged.
    judged: Cell<usize>,
}

impl<'w> Prompts<'w> {
    fn new(world: &'w World) -> Self {
        let hour = |days: i64| (-120..=120).map(move |step| days * DAY + step * 30);
        let right: BTreeSet<String> = [0, 20]
            .into_iter()
            .flat_map(hour)
            .map(|seconds| world.code_in(seconds, 0))
            .collect();
        let mut numbers = (0..1_000_000).map(|number| format!("{number:06}"));
        let wrong = numbers.find(|number| !right.contains(number));
        Self {
            world,
            wrong: wrong.expect("more numbers than codes"),
            judged: Cell::new(0),
        }
    }

    fn open(&self, more: usize, meanwhile: &dyn Fn()) {
        let mut answer = || {
            match more {
                0 => meanwhile(),
                _ => self.open(more - 1, meanwhile),
            }
            self.wrong.clone()
        };
        match self.world.login(&mut Once(Some(&mut answer))) {
            Verdict::Refused(refusals) => {
                let wrong =
                    |refusal: &&Refusal| matches!(refusal, Refusal::Missed(Miss::Wrong { .. }));
                let judged = refusals.iter().filter(wrong).count();
                self.judged.set(self.judged.get() + judged);
            }
            verdict => panic!("{verdict:?}"),
        }
    }
}

/// Answers the first prompt, and no other.
struct Once<'a>(Option<&'a mut dyn FnMut() -> String>);

impl Talk for Once<'_> {
    fn ask(&mut self, _: &str, _: bool) -> Result<zeroize::Zeroizing<Vec<u8>>, Silence> {
        let answer = self.0.take().ok_or(Silence::NoAnswer)?;
        Ok(answer().into_bytes().into())
    }

    fn tell(&mut self, _: &str) {}

    fn warn(&mut self, _: &str) {}
}

fn world(devices: usize) -> World {
    let dir = tempfile::tempdir().unwrap();
    World::new(dir, &vec![Shape::default(); devices], NOW as i64)
}

#[track_caller]
fn owner_logs_in(world: &World) {
    let (verdict, _) = world.login_with(&[&world.code_in(0, 0)]);
    assert!(matches!(verdict, Verdict::Granted(_)), "{verdict:?}");
}

#[test]
fn many_open_prompts_get_as_many_tries_as_one() {
    let world = world(1);
    let prompts = Prompts::new(&world);
    prompts.open(60, &|| {});
    assert_eq!(prompts.judged.get(), FREE);
}

#[test]
fn a_clock_that_is_set_back_gives_open_prompts_no_more_tries() {
    let world = world(1);
    let prompts = Prompts::new(&world);
    prompts.open(40, &|| {
        prompts.open(15, &|| {});
        // Here old names are removed, which count again once the clock is set back.
        world.pass(20 * DAY);
        owner_logs_in(&world);
        world.pass(-20 * DAY);
    });
    assert_eq!(prompts.judged.get(), FREE);
}

#[test]
fn a_clock_that_is_set_back_makes_one_code_no_more_enough() {
    let world = world(2);
    let second = world.code_in(0, 1);
    let mut answer = || {
        Prompts::new(&world).open(15, &|| {});
        world.pass(20 * DAY);
        owner_logs_in(&world);
        world.pass(-20 * DAY);
        second.clone()
    };
    let verdict = world.login(&mut Once(Some(&mut answer)));
    assert!(!matches!(verdict, Verdict::Granted(_)), "{verdict:?}");
}

#[test]
fn a_state_that_was_moved_away_gives_open_prompts_no_more_tries() {
    let world = world(1);
    let prompts = Prompts::new(&world);
    prompts.open(40, &|| {
        let state = world.path().join("var/lib/pam_mfa/state");
        let (ours, old, new) = (state.join("0"), state.join("old"), state.join("new"));
        copy(&ours, &new);
        fs::rename(&ours, old).unwrap();
        fs::rename(new, ours).unwrap();
        prompts.open(15, &|| {});
    });
    assert_eq!(prompts.judged.get(), FREE);
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}
