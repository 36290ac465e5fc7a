//! Prompts that stay open while something happens: what was found before one counts for nothing after it.

use std::{
    cell::Cell, collections::BTreeSet, fs, fs::Permissions, os::unix::fs::PermissionsExt,
    process::Command,
};

use mfa_core::{
    device::Shape,
    judge::Miss,
    login::{Silence, Talk},
    store::Removed,
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

/// Puts a copy of a file or directory in its place.
fn replace(world: &World, below: &str) {
    let ours = world.path().join("var/lib/pam_mfa").join(below);
    let (old, new) = (ours.with_extension("old"), ours.with_extension("new"));
    let copied = Command::new("cp").arg("-a").args([&ours, &new]).status();
    assert!(copied.unwrap().success());
    fs::rename(&ours, old).unwrap();
    fs::rename(new, ours).unwrap();
}

#[test]
fn a_state_that_was_replaced_gives_open_prompts_no_more_tries() {
    for below in ["state/0", "state"] {
        let world = world(1);
        let prompts = Prompts::new(&world);
        prompts.open(40, &|| {
            replace(&world, below);
            prompts.open(15, &|| {});
        });
        assert_eq!(prompts.judged.get(), FREE, "{below}");
    }
}

/// Something happens while the prompt is open, then these codes are typed.
fn login_after(world: &World, codes: &[String], happens: impl Fn()) -> Verdict {
    let mut answer = || {
        happens();
        codes.join(" ")
    };
    world.login(&mut Once(Some(&mut answer)))
}

fn in_a_row(world: &World) -> [String; 3] {
    [-30, 0, 30].map(|seconds| world.code_in(seconds, 0))
}

#[test]
fn a_block_that_was_replaced_lets_a_code_in_once() {
    let world = world(1);
    let code = [world.code_in(0, 0)];
    let block = format!("state/0/block-{}", "01".repeat(16));
    let verdict = login_after(&world, &code, || {
        replace(&world, &block);
        owner_logs_in(&world);
    });
    assert!(!matches!(verdict, Verdict::Granted(_)), "{verdict:?}");
}

#[test]
fn records_that_were_replaced_do_not_outlive_disable() {
    let world = world(1);
    let verdict = login_after(&world, &in_a_row(&world), || {
        replace(&world, "users");
        assert!(matches!(world.store().remove(0).unwrap(), Removed::All));
    });
    assert!(!matches!(verdict, Verdict::Granted(_)), "{verdict:?}");
    assert!(!world.path().join("var/lib/pam_mfa/state/0").exists());
}

/// An admin command waits for answers, too.
#[test]
fn a_command_changes_nothing_in_a_store_that_was_replaced_meanwhile() {
    for below in ["users", "state"] {
        let world = world(1);
        let store = world.store();
        replace(&world, below);
        let error = store.remove(0).unwrap_err().to_string();
        assert!(error.contains("replaced meanwhile"), "{error}");
        owner_logs_in(&world);
    }
}

#[test]
fn a_state_that_was_opened_to_others_is_not_believed() {
    let world = world(1);
    let state = world.path().join("var/lib/pam_mfa/state/0");
    let verdict = login_after(&world, &in_a_row(&world)[..1], || {
        fs::set_permissions(&state, Permissions::from_mode(0o755)).unwrap();
    });
    assert!(!matches!(verdict, Verdict::Granted(_)), "{verdict:?}");
}

/// A process that the application forks would share the lock, and a disk could not be made read-only.
#[test]
fn at_a_prompt_nothing_of_the_state_is_open() {
    let world = world(1);
    let state = world.path().join("var/lib/pam_mfa/state/0");
    let verdict = login_after(&world, &in_a_row(&world)[..1], || {
        let open = fs::read_dir("/proc/self/fd").unwrap();
        let mut targets = open.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        assert_eq!(targets.find(|target| target.starts_with(&state)), None);
    });
    assert!(matches!(verdict, Verdict::Granted(_)), "{verdict:?}");
}
