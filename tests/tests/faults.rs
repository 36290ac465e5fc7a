//! Every system call of a login fails once, and is once the last: nobody gets in unspent, nothing is
//! lost, nothing stale stops anybody.

use std::{
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use mfa_tests::{
    enrolled::Enrolled,
    need, pam,
    sandbox::Sandbox,
    trace::{self, Call, changes_something, inject},
};

const ERRORS: [&str; 9] = [
    "EIO", "ENOSPC", "EDQUOT", "EROFS", "EMFILE", "EACCES", "ENOMEM", "EINTR", "EFBIG",
];

/// One of each kind that is treated alike.
const KINDS: [&str; 4] = ["ENOSPC", "EMFILE", "EACCES", "EINTR"];

/// Where the client tells that PAM gave its verdict.
const VERDICT: &str = r#"\"result\""#;

/// Which answer a login gives.
type Answer = fn(&Enrolled) -> String;

fn right_code(alice: &Enrolled) -> String {
    alice.code(0)
}

fn backup_code(alice: &Enrolled) -> String {
    alice.backup_codes[0].clone()
}

fn wrong_code(alice: &Enrolled) -> String {
    alice.wrong_code()
}

/// The calls that the module makes for a login with this answer.
fn calls_of(answer: Answer) -> Vec<Call> {
    let (sandbox, alice) = Sandbox::with_alice();
    let log = sandbox.path("strace");
    let words = [
        "strace",
        "-f",
        "-o",
        log.to_str().expect("UTF-8"),
        "-s",
        "200",
    ];
    sandbox
        .client("alice")
        .under(&words)
        .login(&[&answer(&alice)]);
    trace::calls(&log, VERDICT)
}

/// All files of the store that no login may change.
fn records(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for folder in ["etc/pam_mfa", "var/lib/pam_mfa/users"] {
        for entry in fs::read_dir(root.join(folder)).expect("list the store") {
            let path = entry.expect("an entry").path();
            files.insert(
                path.display().to_string(),
                fs::read(&path).expect("read a file"),
            );
        }
    }
    files
}

/// What must hold after a login that was disturbed, whatever happened to it.
fn check(sandbox: &Sandbox, alice: &Enrolled, answer: &str, granted: bool, what: &str) {
    let again = sandbox.login("alice", &[answer]);
    assert!(!(granted && again.granted()), "let in twice: {what}");
    let third = sandbox.login("alice", &[answer]);
    assert!(!third.granted(), "let in again: {what}");
    let other = sandbox.login("alice", &[&alice.code(1)]);
    assert!(
        other.granted(),
        "the owner is kept out: {what}: {other:#?} {:?}",
        sandbox.log()
    );
    let state = fs::read_dir(sandbox.path("var/lib/pam_mfa/state/2001")).expect("list the state");
    let names = state.map(|entry| entry.expect("an entry").file_name());
    let blocks = names.filter(|name| !name.to_string_lossy().starts_with("guess-"));
    assert_eq!(blocks.count(), 1, "litter: {what}");
}

fn every_call_fails(answer: Answer, errors: &[&str]) {
    let mut calls = calls_of(answer);
    // The kernel's brk tells a failure by the old break; an error would be taken for an address.
    calls.retain(|call| call.name != "brk");
    let pair = |call: &Call| {
        errors
            .iter()
            .map(|error| (call.clone(), *error))
            .collect::<Vec<_>>()
    };
    let cases: Vec<_> = calls.iter().flat_map(pair).collect();
    trace::each(&cases, |(call, error)| {
        let (sandbox, alice) = Sandbox::with_alice();
        let (before, answer) = (records(&sandbox.root()), answer(&alice));
        let words = inject(call, &format!("error={error}"));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let what = format!("{error} at {} ({})", call.line, call.number);
        let login = || sandbox.client("alice").under(&words).login(&[&answer]);
        let outcome = catch_unwind(AssertUnwindSafe(login));
        let outcome = outcome.unwrap_or_else(|_| panic!("the caller dies: {what}"));
        assert_ne!(outcome.code, pam::IGNORE, "{what}");
        assert_ne!(outcome.code, pam::ABORT, "{what}");
        assert_eq!(records(&sandbox.root()), before, "{what}");
        check(&sandbox, &alice, &answer, outcome.granted(), &what);
    });
}

#[test]
fn every_call_of_a_login_by_code_fails_once() {
    need!("/usr/bin/strace");
    every_call_fails(right_code, &ERRORS);
}

#[test]
fn every_call_of_a_login_by_backup_code_fails_once() {
    need!("/usr/bin/strace");
    every_call_fails(backup_code, &KINDS);
}

#[test]
fn every_call_of_a_failed_login_fails_once() {
    need!("/usr/bin/strace");
    every_call_fails(wrong_code, &KINDS);
}

fn killed_at_every_change(answer: Answer) {
    let calls: Vec<Call> = calls_of(answer)
        .into_iter()
        .filter(changes_something)
        .collect();
    trace::each(&calls, |call| {
        let (sandbox, alice) = Sandbox::with_alice();
        let answer = answer(&alice);
        let words = inject(call, "signal=KILL");
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut session = sandbox.client("alice").under(&words).start();
        if session.next_prompt().is_some() {
            session.answer(&answer);
        }
        assert!(session.next_prompt().is_none(), "{}", call.line);
        check(&sandbox, &alice, &answer, false, &call.line);
    });
}

#[test]
fn a_login_by_code_is_killed_at_every_change() {
    need!("/usr/bin/strace");
    killed_at_every_change(right_code);
}

#[test]
fn a_login_by_backup_code_is_killed_at_every_change() {
    need!("/usr/bin/strace");
    killed_at_every_change(backup_code);
}
