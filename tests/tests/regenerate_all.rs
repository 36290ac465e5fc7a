//! `mfa-admin regenerate --all`: what to do after `/var` was restored from a backup.

use std::fs;

use mfa_tests::{command::run, enrolled::Enrolled, need, sandbox::Sandbox, trace::under};
use serde_json::Value;

fn two_users() -> (Sandbox, Enrolled, Enrolled) {
    let (sandbox, alice) = Sandbox::with_alice();
    let bob = sandbox.enroll("bob");
    (sandbox, alice, bob)
}

#[test]
fn everybody_gets_new_codes_and_the_old_ones_are_dead() {
    let (sandbox, alice, bob) = two_users();
    let output = sandbox
        .admin(&["regenerate", "--all", "--json"])
        .ok()
        .stdout;
    for (user, old) in [("alice", &alice), ("bob", &bob)] {
        let line = output
            .lines()
            .find(|line| line.contains(user))
            .expect("a line for each");
        let new: Value = serde_json::from_str(line).expect("JSON");
        let code = new["backup_codes"][0].as_str().expect("a code");
        assert!(!sandbox.login(user, &[&old.backup_codes[0]]).granted());
        assert!(sandbox.login(user, &[code]).granted());
        assert!(sandbox.login(user, &[&old.code(0)]).granted());
    }
}

#[test]
fn a_record_that_cannot_be_used_stops_nobody_else() {
    let (sandbox, _, bob) = two_users();
    fs::write(sandbox.path("var/lib/pam_mfa/users/2001.toml"), "junk").expect("break a record");
    let failed = sandbox.admin(&["regenerate", "--all", "--json"]).failed();
    assert!(failed.stderr.contains("2001.toml"), "{}", failed.stderr);
    assert!(failed.stdout.contains("bob"), "{}", failed.stdout);
    assert!(!sandbox.login("bob", &[&bob.backup_codes[0]]).granted());
}

#[test]
fn a_broken_configuration_stops_nobody() {
    let (sandbox, _, bob) = two_users();
    sandbox.write("etc/pam_mfa/config.toml", "unknown = 1\n");
    sandbox.admin(&["regenerate", "--all", "--json"]).ok();
    sandbox.write("etc/pam_mfa/config.toml", "");
    assert!(!sandbox.login("bob", &[&bob.backup_codes[0]]).granted());
}

#[test]
fn a_record_that_cannot_even_be_named_stops_nobody_else() {
    let (sandbox, _, bob) = two_users();
    fs::write(sandbox.path("var/lib/pam_mfa/users/2001.toml"), "junk").expect("break a record");
    let admin = sandbox.admin_command(&["regenerate", "--all", "--json"]);
    let mute = ["sh", "-c", "exec \"$0\" \"$@\" 2>/dev/full"];
    let failed = run(&mut under(&mute, &admin), "").failed();
    assert!(failed.stdout.contains("bob"), "{}", failed.stdout);
    assert!(!sandbox.login("bob", &[&bob.backup_codes[0]]).granted());
}

/// Who has codes that nobody saw, and that the others keep theirs.
#[track_caller]
fn assert_names_alice_alone(said: &str) {
    let stop = "stopped at uid 2001; the users after that keep their backup codes: alice has new \
                backup codes, but the backup codes may not have been seen. New ones: mfa-admin \
                regenerate alice. Why: ";
    assert!(said.contains(stop), "{said}");
    assert!(!said.contains("bob") && !said.contains("2002"), "{said}");
}

#[test]
fn codes_that_cannot_be_written_are_those_of_one_user() {
    need!("/usr/bin/strace");
    for words in [&["--json"][..], &[]] {
        let (sandbox, alice, bob) = two_users();
        let output = sandbox.path("output");
        let output = output.to_str().expect("UTF-8");
        // It is open and takes nothing; the first call only asks.
        let inject = "inject=write:error=ENOSPC:when=2+";
        let full = [
            "strace",
            "-qq",
            "-o",
            "/dev/null",
            "-P",
            output,
            "-e",
            inject,
        ];
        let into_file = ["sh", "-c", "exec \"$@\" >\"$0\"", output];
        let admin = sandbox.admin_command(&[&["regenerate", "--all"], words].concat());
        let ended = run(&mut under(&into_file, &under(&full, &admin)), "").failed();
        assert_eq!(ended.code(), 1);
        assert_names_alice_alone(&ended.stderr);
        assert!(
            ended.stderr.contains("No space left on device"),
            "{ended:?}"
        );
        assert!(!sandbox.login("alice", &[&alice.backup_codes[0]]).granted());
        assert!(sandbox.login("bob", &[&bob.backup_codes[0]]).granted());
    }
}

#[test]
fn breaking_off_leaves_the_others_their_codes() {
    let (sandbox, alice, bob) = two_users();
    let mut terminal = sandbox.admin_on_terminal(&["regenerate", "--all"]);
    terminal.expect("Press Enter");
    terminal.send("\x03");
    let (code, rest) = terminal.finish();
    assert!(code != 0 && rest.contains("broken off"), "{rest}");
    assert_names_alice_alone(&rest);
    assert!(!sandbox.login("alice", &[&alice.backup_codes[0]]).granted());
    assert!(sandbox.login("bob", &[&bob.backup_codes[0]]).granted());
}
