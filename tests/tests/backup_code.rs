//! A login with backup codes, through the real libpam.

use mfa_tests::{outcome::Outcome, pam, sandbox::Sandbox};

const PROMPT: &str = "Verification code or backup code: ";
const SPENT: &str = "This backup code was already used. Take another one.";

#[track_caller]
fn assert_granted(outcome: &Outcome) {
    assert!(outcome.granted(), "{outcome:#?}");
}

/// Refused with this message at each of three tries.
#[track_caller]
fn assert_refused(outcome: &Outcome, message: &str) {
    assert_eq!(outcome.code, pam::AUTH_ERR, "{outcome:#?}");
    assert_eq!(outcome.errors, [message; 3]);
    assert_eq!(outcome.infos.len(), 0);
}

#[test]
fn a_backup_code_is_let_in_and_tells_how_many_are_left() {
    let (sandbox, alice) = Sandbox::with_alice();
    let outcome = sandbox.login("alice", &[&alice.backup_codes[0]]);
    assert_granted(&outcome);
    assert_eq!(outcome.prompts, [PROMPT]);
    assert_eq!(outcome.infos, ["9 backup codes are left."]);
    assert_eq!((outcome.errors.len(), &*outcome.stderr), (0, ""));
}

#[test]
fn a_backup_code_is_let_in_once_only() {
    let (sandbox, alice) = Sandbox::with_alice();
    let code = &*alice.backup_codes[4];
    assert_granted(&sandbox.login("alice", &[code]));
    assert_refused(&sandbox.login("alice", &[code; 3]), SPENT);
    assert_refused(
        &sandbox.login("alice", &[code.to_uppercase().as_str(); 3]),
        SPENT,
    );
    // A verification code in between changes nothing.
    assert_granted(&sandbox.login("alice", &[&alice.code(0)]));
    assert_refused(&sandbox.login("alice", &[code; 3]), SPENT);
}

#[test]
fn a_backup_code_is_taken_in_every_dress() {
    let (sandbox, alice) = Sandbox::with_alice();
    let code = |at: usize| alice.backup_codes[at].clone();
    let dressed = [
        code(0).to_uppercase(),
        code(1).replace('-', " "),
        code(2).replace('-', ""),
        format!("  {} ", code(3)),
        code(4).replace('-', "\u{2013}"),
    ];
    for typed in &dressed {
        assert_granted(&sandbox.login("alice", &[typed]));
    }
}

#[test]
fn the_last_ones_tell_how_to_get_new_ones() {
    let (sandbox, alice) = Sandbox::with_alice();
    let how = "Get new ones with: sudo mfa-admin regenerate alice";
    let mut told = Vec::new();
    for code in &alice.backup_codes {
        let outcome = sandbox.login("alice", &[code]);
        assert_granted(&outcome);
        assert_eq!(outcome.infos.len(), 1, "{outcome:#?}");
        told.extend(outcome.infos);
    }
    assert_eq!(told[5], "4 backup codes are left.");
    assert_eq!(told[6], format!("3 backup codes are left. {how}"));
    assert_eq!(told[7], format!("2 backup codes are left. {how}"));
    assert_eq!(told[8], format!("1 backup code is left. {how}"));
    assert_eq!(told[9], format!("This was your last backup code. {how}"));
    for code in &alice.backup_codes {
        assert!(!sandbox.login("alice", &[code]).granted());
    }
    assert_granted(&sandbox.login("alice", &[&alice.code(0)]));
}

#[test]
fn a_verification_code_tells_nothing_about_backup_codes() {
    let (sandbox, alice) = Sandbox::with_alice();
    let outcome = sandbox.login("alice", &[&alice.code(0)]);
    assert_granted(&outcome);
    assert_eq!(outcome.infos.len(), 0, "{outcome:#?}");
}

#[test]
fn what_is_nearly_a_backup_code_is_refused() {
    let (sandbox, alice) = Sandbox::with_alice();
    let bob = sandbox.enroll("bob");
    let code = &*alice.backup_codes[0];
    let mut swapped = code.chars().collect::<Vec<_>>();
    swapped[0] = if swapped[0] == 'a' { 'b' } else { 'a' };
    let wrong: [String; 6] = [
        bob.backup_codes[0].clone(),
        swapped.into_iter().collect(),
        code[1..].to_owned(),
        format!("{code}2"),
        format!("{code}.",),
        format!("{}{code}", alice.wrong_code()),
    ];
    for typed in &wrong {
        assert_refused(&sandbox.login("alice", &[typed.as_str(); 3]), "Wrong code.");
    }
    let outcome = sandbox.login("alice", &[code]);
    assert_eq!(outcome.infos, ["9 backup codes are left."]);
}

#[test]
fn two_names_with_one_uid_share_their_backup_codes() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.add_account("alias", 2001);
    assert_granted(&sandbox.login("alias", &[&alice.backup_codes[0]]));
    assert_refused(
        &sandbox.login("alice", &[alice.backup_codes[0].as_str(); 3]),
        SPENT,
    );
}

#[test]
fn after_regenerate_the_old_ones_are_dead_and_a_replay_stays_one() {
    let (sandbox, alice) = Sandbox::with_alice();
    assert_granted(&sandbox.login("alice", &[&alice.code(0)]));
    assert_granted(&sandbox.login("alice", &[&alice.backup_codes[0]]));
    sandbox
        .admin(&["regenerate", "alice", "--yes", "--json"])
        .ok();
    for old in &alice.backup_codes[..2] {
        assert_refused(&sandbox.login("alice", &[old.as_str(); 3]), "Wrong code.");
    }
    let replayed = sandbox.login("alice", &[&alice.code(0)]);
    assert_eq!(
        replayed.errors,
        ["This code was already used. Wait for the next one."]
    );
    assert_granted(&sandbox.login("alice", &[&alice.code(1)]));
}

#[test]
fn after_disable_nothing_is_let_in_and_the_prompt_is_the_same() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.admin(&["disable", "alice", "--yes"]).ok();
    for typed in [&*alice.code(0), &alice.backup_codes[0]] {
        let outcome = sandbox.login("alice", &[typed; 3]);
        assert_refused(&outcome, "Wrong code.");
        assert_eq!(outcome.prompts, [PROMPT; 3]);
    }
    let line = sandbox.decisions().pop().expect("a line");
    assert!(
        line.contains("user=alice reason=not-enrolled,not-enrolled,not-enrolled "),
        "{line}"
    );
}
