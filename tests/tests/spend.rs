//! The moment in which a code is used up: races, the lock, and disks that cannot be written.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    thread,
};

use mfa_tests::{lock, outcome::Outcome, pam, sandbox::Sandbox, session::Session};

/// Logs alice in that often at the same time, with these answers.
fn side_by_side(sandbox: &Sandbox, answers: &[String]) -> Vec<Outcome> {
    thread::scope(|scope| {
        let start = |answer: &String| {
            let answer = answer.clone();
            scope.spawn(move || sandbox.login("alice", &[&answer]))
        };
        let sessions: Vec<_> = answers.iter().map(start).collect();
        let outcomes = sessions.into_iter().map(|session| session.join());
        outcomes
            .map(|outcome| outcome.expect("no login panics"))
            .collect()
    })
}

fn granted(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|outcome| outcome.granted()).count()
}

#[test]
fn one_code_in_many_logins_at_once_is_let_in_once() {
    let (sandbox, alice) = Sandbox::with_alice();
    for code in [alice.code(-1), alice.code(0), alice.backup_codes[0].clone()] {
        let outcomes = side_by_side(&sandbox, &vec![code; 16]);
        assert_eq!(granted(&outcomes), 1, "{outcomes:#?}");
    }
}

#[test]
fn two_backup_codes_at_once_are_both_let_in() {
    let (sandbox, alice) = Sandbox::with_alice();
    assert_eq!(granted(&side_by_side(&sandbox, &alice.backup_codes)), 10);
    assert_eq!(granted(&side_by_side(&sandbox, &alice.backup_codes)), 0);
}

#[test]
fn of_two_logins_that_wait_with_the_same_code_one_is_let_in() {
    let (sandbox, alice) = Sandbox::with_alice();
    for code in [&*alice.code(0), &alice.backup_codes[0]] {
        let held = lock::hold(&sandbox);
        let sessions = [(); 2].map(|()| {
            let mut session = sandbox.client("alice").start();
            session.prompt();
            session.answer(code);
            session
        });
        sessions
            .iter()
            .for_each(|session| lock::wait_until_it_waits(session.pid()));
        drop(held);
        let outcomes = sessions.map(Session::finish);
        assert_eq!(granted(&outcomes), 1, "{outcomes:#?}");
        let told = outcomes.iter().flat_map(|outcome| &outcome.errors);
        assert!(
            told.clone().count() == 1 && told.clone().all(|text| text.contains("already used"))
        );
    }
}

#[test]
fn a_held_lock_refuses_and_the_log_names_who_holds_it() {
    let (sandbox, alice) = Sandbox::with_alice();
    let held = lock::hold(&sandbox);
    let outcome = sandbox.login("alice", &[&alice.code(0)]);
    assert_eq!(
        (outcome.code, outcome.prompts.len()),
        (pam::AUTHINFO_UNAVAIL, 1)
    );
    let line = sandbox.decisions().pop().expect("a line");
    let holder = format!("is locked by process {}", std::process::id());
    assert!(line.contains(&holder), "{line}");
    drop(held);
    assert!(sandbox.login("alice", &[&alice.code(0)]).granted());
}

#[test]
fn without_a_right_code_nobody_waits_for_the_lock() {
    let (sandbox, alice) = Sandbox::with_alice();
    assert!(sandbox.login("alice", &[&alice.code(0)]).granted());
    let _held = lock::hold(&sandbox);
    let outcome = sandbox.login("alice", &[&alice.wrong_code(), &alice.code(0), "what?"]);
    assert_eq!((outcome.code, outcome.prompts.len()), (pam::AUTH_ERR, 3));
    let line = sandbox.decisions().pop().expect("a line");
    assert!(
        line.contains("reason=wrong-code,replayed-code,no-code"),
        "{line}"
    );
}

#[test]
fn a_limit_on_the_size_of_files_refuses_before_anything_is_written() {
    let (sandbox, alice) = Sandbox::with_alice();
    for code in [&*alice.code(0), &alice.backup_codes[0]] {
        let outcome = sandbox
            .client("alice")
            .under(&["prlimit", "--fsize=0"])
            .login(&[code]);
        assert_eq!(outcome.code, pam::AUTHINFO_UNAVAIL, "{outcome:#?}");
        let line = sandbox.decisions().pop().expect("a line");
        assert!(
            line.contains("limits the size of files (ulimit -f)"),
            "{line}"
        );
        assert!(sandbox.login("alice", &[code]).granted());
    }
}

/// Makes a system call of the login fail, each time.
fn failing(call: &str, error: &str) -> Vec<String> {
    let inject = format!("inject={call}:error={error}");
    let words = ["strace", "-qq", "-o/dev/null", "-e", &inject];
    words.map(str::to_owned).to_vec()
}

fn login_under(sandbox: &Sandbox, wrapper: &[String], code: &str) -> Outcome {
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    sandbox.client("alice").under(&wrapper).login(&[code])
}

#[test]
fn a_disk_that_cannot_be_written_lets_a_verification_code_in_once_and_warns() {
    for (call, error) in [
        ("pwrite64", "ENOSPC"),
        ("pwrite64", "EROFS"),
        ("pwrite64", "EDQUOT"),
        ("fdatasync", "EIO"),
    ] {
        let (sandbox, alice) = Sandbox::with_alice();
        let broken = failing(call, error);
        let outcome = login_under(&sandbox, &broken, &alice.code(0));
        assert!(outcome.granted(), "{call} {error} {outcome:#?}");
        let line = sandbox.decisions().pop().expect("a line");
        assert!(
            line.contains("granted user=alice") && line.contains("warning=\"cannot write"),
            "{line}"
        );
        // What the disk did not take is remembered elsewhere.
        for wrapper in [&broken[..], &["env".to_owned()]] {
            let again = login_under(&sandbox, wrapper, &alice.code(0));
            assert_eq!(
                again.errors,
                ["This code was already used. Wait for the next one."]
            );
        }
    }
}

#[test]
fn a_disk_that_cannot_be_written_lets_no_backup_code_in() {
    let (sandbox, alice) = Sandbox::with_alice();
    let broken = failing("pwrite64", "ENOSPC");
    let outcome = login_under(&sandbox, &broken, &alice.backup_codes[0]);
    assert!(!outcome.granted(), "{outcome:#?}");
    let told = "The disk cannot be written, so a backup code cannot be used up.";
    assert!(outcome.errors[0].starts_with(told), "{outcome:#?}");
    assert_eq!(
        sandbox.login("alice", &[&alice.backup_codes[0]]).infos,
        ["9 backup codes are left."]
    );
}

#[test]
fn any_other_failure_to_write_lets_nobody_in() {
    let (sandbox, alice) = Sandbox::with_alice();
    let failures = [
        ("flock", "ENOLCK"),
        ("pwrite64", "EACCES"),
        ("fdatasync", "EINVAL"),
    ];
    for (call, error) in failures {
        let outcome = login_under(&sandbox, &failing(call, error), &alice.code(0));
        assert_eq!(
            outcome.code,
            pam::AUTHINFO_UNAVAIL,
            "{call} {error} {outcome:#?}"
        );
    }
    // The last one had been written when it failed: rather too few logins than too many.
    assert!(!sandbox.login("alice", &[&alice.code(0)]).granted());
}

#[test]
fn a_disk_and_a_run_that_cannot_be_written_let_nobody_in() {
    let (sandbox, alice) = Sandbox::with_alice();
    // A file where the directory should be.
    fs::write(sandbox.path("run/pam_mfa"), "").expect("write a file");
    let outcome = login_under(&sandbox, &failing("pwrite64", "ENOSPC"), &alice.code(0));
    assert_eq!(outcome.code, pam::AUTHINFO_UNAVAIL, "{outcome:#?}");
}

#[test]
fn a_block_that_is_replaced_while_a_login_waits_is_the_one_that_is_written() {
    let (sandbox, alice) = Sandbox::with_alice();
    let code = alice.code(0);
    let held = lock::hold(&sandbox);
    let mut session = sandbox.client("alice").start();
    session.prompt();
    session.answer(&code);
    lock::wait_until_it_waits(session.pid());
    let block = block_of_alice(&sandbox);
    let copy = block.with_file_name("copy");
    fs::write(&copy, fs::read(&block).expect("read the block")).expect("write a copy");
    fs::set_permissions(&copy, Permissions::from_mode(0o600)).expect("set the mode");
    fs::rename(copy, block).expect("replace the block");
    drop(held);
    assert!(session.finish().granted());
    assert!(!sandbox.login("alice", &[&code]).granted());
}

fn block_of_alice(sandbox: &Sandbox) -> PathBuf {
    let state = sandbox.path("var/lib/pam_mfa/state/2001");
    let names = fs::read_dir(state).expect("list alice's state");
    let mut paths = names.map(|entry| entry.expect("an entry").path());
    let block = paths.find(|path| path.to_string_lossy().contains("/block-"));
    block.expect("alice's block")
}

/// Whatever happens to a write, the slot that counted until then is still there.
#[test]
fn each_login_overwrites_the_older_slot() {
    let (sandbox, alice) = Sandbox::with_alice();
    let slots = || {
        let bytes = fs::read(block_of_alice(&sandbox)).expect("read the block");
        [bytes[..512].to_vec(), bytes[4096..].to_vec()]
    };
    let mut before = slots();
    let changed = [-1, 0, 1].map(|step| {
        assert!(sandbox.login("alice", &[&alice.code(step)]).granted());
        let after = slots();
        let changed = [0, 1].map(|slot| after[slot] != before[slot]);
        before = after;
        changed
    });
    let [first, second, third] = changed;
    assert!(first != second && first == third, "{changed:?}");
    assert!(changed.iter().all(|[one, other]| one != other));
}
