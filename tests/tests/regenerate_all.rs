//! `mfa-admin regenerate --all`: what to do after `/var` was restored from a backup.

use std::fs;

use mfa_tests::{enrolled::Enrolled, sandbox::Sandbox};
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
fn breaking_off_leaves_the_others_their_codes() {
    let (sandbox, alice, bob) = two_users();
    let mut terminal = sandbox.admin_on_terminal(&["regenerate", "--all"]);
    terminal.expect("Press Enter");
    terminal.send("\x03");
    let (code, rest) = terminal.finish();
    assert!(code != 0 && rest.contains("broken off"), "{rest}");
    assert!(!sandbox.login("alice", &[&alice.backup_codes[0]]).granted());
    assert!(sandbox.login("bob", &[&bob.backup_codes[0]]).granted());
}
