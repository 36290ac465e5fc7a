//! `mfa-admin` is killed at every change that it makes: afterwards the store is whole, old or new, and
//! the same command, given again, finishes what was begun.

use std::{fs, os::unix::process::ExitStatusExt};

use mfa_tests::{
    command::run,
    enrolled::{ENROLL, Enrolled, REPLACE},
    need,
    sandbox::Sandbox,
    trace::{self, Call, changes_something, inject, under},
};

/// A command, and how the world is before it.
struct Case {
    arguments: &'static [&'static str],
    enrolled: bool,
}

impl Case {
    fn world(&self) -> (Sandbox, Option<Enrolled>) {
        if self.enrolled {
            let (sandbox, alice) = Sandbox::with_alice();
            if self.arguments == UNLOCK {
                // Something to forget.
                let wrong = alice.wrong_code();
                sandbox.login("alice", &[&wrong, &wrong]);
            }
            return (sandbox, Some(alice));
        }
        let (sandbox, _) = Sandbox::with_alice();
        sandbox.admin(&["disable", "alice", "--yes"]).ok();
        (sandbox, None)
    }

    fn changes(&self) -> Vec<Call> {
        let (sandbox, _) = self.world();
        let log = sandbox.path("strace");
        let words = [
            "strace",
            "-f",
            "-s",
            "200",
            "-o",
            log.to_str().expect("UTF-8"),
        ];
        run(
            &mut under(&words, &sandbox.admin_command(self.arguments)),
            "",
        )
        .ok();
        let calls = trace::calls(&log, "exit_group");
        calls.into_iter().filter(changes_something).collect()
    }

    /// Kills the command at each change and hands the world over.
    fn killed(&self, check: impl Fn(&Sandbox, Option<Enrolled>, &str) + Sync) {
        trace::each(&self.changes(), |call| {
            let (sandbox, alice) = self.world();
            let words = inject(call, "signal=KILL");
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let ended = run(
                &mut under(&words, &sandbox.admin_command(self.arguments)),
                "",
            );
            assert_eq!(ended.status.signal(), Some(9), "{} {ended:?}", call.line);
            check(&sandbox, alice, &call.line);
            check_litter(&sandbox, &call.line);
        });
    }
}

/// After the command was given again: `.store`, at most one record; at most one block.
fn check_litter(sandbox: &Sandbox, what: &str) {
    let names = |folder: &str| -> Vec<_> {
        let entries = fs::read_dir(sandbox.path(folder)).into_iter().flatten();
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        // Charges for the failed logins above are no litter.
        names
            .filter(|name| !name.to_string_lossy().starts_with("guess-"))
            .collect()
    };
    let (users, state) = (
        names("var/lib/pam_mfa/users"),
        names("var/lib/pam_mfa/state/2001"),
    );
    assert!(users.len() <= 2, "litter: {users:?} {what}");
    assert!(state.len() <= 1, "litter: {state:?} {what}");
}

const REGENERATE: &[&str] = &["regenerate", "alice", "--json"];
const UNLOCK: &[&str] = &["unlock", "alice"];
const DISABLE: &[&str] = &["disable", "alice", "--yes"];

#[test]
fn an_enrollment_that_was_killed_can_be_done_again() {
    need!("/usr/bin/strace");
    Case {
        arguments: ENROLL,
        enrolled: false,
    }
    .killed(|sandbox, _, what| {
        // Old: not enrolled. New: enrolled, with a secret that nobody saw.
        let again = sandbox.admin(ENROLL);
        if !again.status.success() {
            assert!(
                again.stderr.contains("already enrolled"),
                "{what}: {again:?}"
            );
            sandbox.admin(REPLACE).ok();
        }
        let alice = sandbox.admin(REPLACE).ok();
        let alice: Enrolled = serde_json::from_str(&alice.stdout).expect("JSON");
        assert!(
            sandbox.login("alice", &[&alice.code(0)]).granted(),
            "{what}"
        );
    });
}

#[test]
fn a_replacement_that_was_killed_leaves_the_old_or_the_new() {
    need!("/usr/bin/strace");
    Case {
        arguments: REPLACE,
        enrolled: true,
    }
    .killed(|sandbox, alice, what| {
        let alice = alice.expect("she was enrolled");
        let old = sandbox.login("alice", &[&alice.code(0)]).granted();
        let old_backup = sandbox.login("alice", &[&alice.backup_codes[0]]).granted();
        assert_eq!(old, old_backup, "half of it: {what}");
        assert!(
            !sandbox.login("alice", &[&alice.code(0)]).granted(),
            "{what}"
        );
        sandbox.admin(REPLACE).ok();
    });
}

#[test]
fn a_regeneration_that_was_killed_leaves_the_secret_and_one_set_of_codes() {
    need!("/usr/bin/strace");
    Case {
        arguments: REGENERATE,
        enrolled: true,
    }
    .killed(|sandbox, alice, what| {
        let alice = alice.expect("she was enrolled");
        assert!(
            sandbox.login("alice", &[&alice.code(0)]).granted(),
            "{what}"
        );
        assert!(
            !sandbox.login("alice", &[&alice.code(0)]).granted(),
            "{what}"
        );
        let new = sandbox.admin(REGENERATE).ok();
        assert!(
            !sandbox.login("alice", &[&alice.backup_codes[1]]).granted(),
            "{what}"
        );
        let new: serde_json::Value = serde_json::from_str(&new.stdout).expect("JSON");
        let code = new["backup_codes"][0].as_str().expect("a code");
        assert!(sandbox.login("alice", &[code]).granted(), "{what}");
        assert!(
            sandbox.login("alice", &[&alice.code(1)]).granted(),
            "{what}"
        );
        sandbox.admin(REGENERATE).ok();
    });
}

#[test]
fn a_disabling_that_was_killed_can_be_finished_and_lets_nobody_in() {
    need!("/usr/bin/strace");
    Case {
        arguments: DISABLE,
        enrolled: true,
    }
    .killed(|sandbox, alice, what| {
        let alice = alice.expect("she was enrolled");
        // Old: still in. Begun: refused, never waved through.
        sandbox.login("alice", &[&alice.code(0)]);
        let again = sandbox.admin(DISABLE);
        assert!(
            again.status.success() || again.stderr.contains("not enrolled"),
            "{what}: {again:?}"
        );
        assert!(
            !sandbox.login("alice", &[&alice.code(1)]).granted(),
            "{what}"
        );
        sandbox.admin(ENROLL).ok();
    });
}

#[test]
fn an_unlocking_that_was_killed_can_be_finished_and_forgets_no_code() {
    need!("/usr/bin/strace");
    let case = Case {
        arguments: UNLOCK,
        enrolled: true,
    };
    case.killed(|sandbox, alice, what| {
        let alice = alice.expect("she was enrolled");
        assert!(
            sandbox.login("alice", &[&alice.code(0)]).granted(),
            "{what}"
        );
        sandbox.admin(UNLOCK).ok();
        assert!(
            !sandbox.login("alice", &[&alice.code(0)]).granted(),
            "{what}"
        );
        assert!(
            sandbox.login("alice", &[&alice.code(1)]).granted(),
            "{what}"
        );
        let status = sandbox.admin(&["status", "alice", "--json"]).ok().stdout;
        assert!(status.contains("\"failed_attempts\":0"), "{what}: {status}");
    });
}
