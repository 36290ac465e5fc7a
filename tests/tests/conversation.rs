//! Our module alone in the stack of a host that behaves badly, or only unusually.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use mfa_tests::{
    locate, need_root,
    outcome::Outcome,
    pam::{self, Reply},
    sandbox::Sandbox,
};

const PROMPT: &str = "Verification code or backup code: ";

/// The one answer of a host to our first prompt.
#[track_caller]
fn answered(reply: Reply) -> (Outcome, String) {
    let (sandbox, _) = Sandbox::with_alice();
    let outcome = sandbox.client("alice").insist(&reply);
    assert_eq!((outcome.setcred, &*outcome.stderr), (None, ""));
    let mut lines = sandbox.decisions();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    (outcome, lines.remove(0))
}

#[test]
fn without_a_conversation_nobody_is_let_in() {
    let (sandbox, _) = Sandbox::with_alice();
    let outcome = sandbox.client("alice").null_conversation().login(&[]);
    assert_eq!((outcome.code, &*outcome.shown()), (pam::CONV_ERR, ""));
    let line = sandbox.decisions().pop().expect("a line");
    assert!(
        line.contains("refused user=alice reason=no-conversation "),
        "{line}"
    );
}

#[test]
fn a_conversation_that_fails_is_not_asked_again() {
    for code in [pam::CONV_ERR, pam::ABORT, 4242] {
        let (outcome, line) = answered(Reply::Error(code));
        assert_eq!(
            (outcome.code, &*outcome.prompts),
            (pam::CONV_ERR, &[PROMPT.to_owned()][..])
        );
        assert!(line.contains("reason=no-conversation "), "{line}");
    }
}

#[test]
fn a_conversation_without_an_array_of_answers_has_failed() {
    let (outcome, _) = answered(Reply::NullArray);
    assert_eq!(
        (outcome.code, &*outcome.prompts),
        (pam::CONV_ERR, &[PROMPT.to_owned()][..])
    );
}

#[test]
fn after_an_answer_that_is_null_nothing_is_asked_any_more() {
    let (outcome, line) = answered(Reply::Null);
    assert_eq!(
        (outcome.code, &*outcome.prompts),
        (pam::AUTH_ERR, &[PROMPT.to_owned()][..])
    );
    assert!(line.contains("reason=no-answer "), "{line}");
}

#[test]
fn a_host_that_calls_again_later_is_waited_for() {
    let (sandbox, alice) = Sandbox::with_alice();
    let mut session = sandbox.client("alice").calls(2).start();
    session.prompt();
    session.reply(Reply::Error(pam::CONV_AGAIN));
    session.prompt();
    session.answer(&alice.code(0));
    assert_eq!(session.finish().codes, [pam::INCOMPLETE, pam::SUCCESS]);
    let lines = sandbox.decisions();
    assert!(lines[0].contains("reason=called-too-early "), "{lines:#?}");
    assert!(lines[1].contains("granted user=alice"), "{lines:#?}");
}

#[test]
fn answers_that_nobody_types_are_wrong_codes_like_any_other() {
    let megabyte = vec![b'1'; 1 << 20];
    for answer in [
        megabyte,
        b"\xff\xfe".to_vec(),
        b"%n%s%n".to_vec(),
        b"\x1b[2J".to_vec(),
    ] {
        let (outcome, line) = answered(Reply::Text(answer));
        assert_eq!((outcome.code, outcome.prompts.len()), (pam::AUTH_ERR, 3));
        assert_eq!(outcome.errors, ["Wrong code."; 3]);
        assert!(line.contains("reason=no-code,no-code,no-code "), "{line}");
    }
}

#[test]
fn two_calls_on_one_handle_ask_and_decide_twice() {
    let (sandbox, alice) = Sandbox::with_alice();
    let twice = |answers: &[&str]| sandbox.client("alice").calls(2).login(answers).codes;
    assert_eq!(twice(&[&alice.code(-1), &alice.code(0)]), [pam::SUCCESS; 2]);
    assert_eq!(
        twice(&[&alice.code(1), &alice.code(1)]),
        [pam::SUCCESS, pam::AUTH_ERR]
    );
    let backup = &*alice.backup_codes[0];
    assert_eq!(twice(&["", "", "", backup]), [pam::AUTH_ERR, pam::SUCCESS]);
    assert_eq!(sandbox.decisions().len(), 6);
}

#[test]
fn a_thread_that_outlives_the_module_ends_well() {
    let (sandbox, alice) = Sandbox::with_alice();
    for code in [&*alice.code(0), &alice.backup_codes[0]] {
        let outcome = sandbox.client("alice").in_thread().login(&[code]);
        assert!(outcome.granted(), "{outcome:#?}");
        assert_eq!(outcome.stderr, "");
    }
    // Refused in the thread, which the module leaves by another way.
    let outcome = sandbox.client("alice").in_thread().login(&[]);
    assert_eq!(outcome.code, pam::AUTH_ERR);
}

/// The growth of memory in KiB from the first tenth of the rounds to the last one; no descriptor is left open.
#[track_caller]
fn growth(outcome: &Outcome) -> u64 {
    let [(early, few), (late, many)] = outcome.memory[..] else {
        panic!("{:?}", outcome.memory);
    };
    assert_eq!(few, many, "descriptors");
    late.saturating_sub(early)
}

#[test]
fn a_thousand_logins_in_one_process_leave_nothing_behind() {
    let (sandbox, alice) = Sandbox::with_alice();
    let code = Reply::Text(alice.code(0).into_bytes());
    // Let in once, a thousand replays, and many more prompts.
    let outcome = sandbox.client("alice").always(code).rounds(1000).login(&[]);
    let granted = outcome.codes.iter().filter(|code| **code == pam::SUCCESS);
    assert_eq!((granted.count(), outcome.codes.len()), (1, 1000));
    let grown = growth(&outcome);
    assert!(grown <= 256, "{grown} KiB");
}

#[test]
fn a_hundred_backup_codes_in_one_process_leave_nothing_behind() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.write("etc/pam_mfa/config.toml", "tries = 1\n");
    let code = Reply::Text(alice.backup_codes[0].clone().into_bytes());
    let outcome = sandbox.client("alice").always(code).rounds(100).login(&[]);
    assert_eq!(outcome.codes.len(), 100);
    let grown = growth(&outcome);
    assert!(grown <= 256, "{grown} KiB");
    // Less than the 19 MiB of one digest: what it takes is given back.
    let (resident, _) = outcome.memory[1];
    assert!(resident < 16 * 1024, "{resident} KiB");
}

#[test]
fn a_backtrace_that_is_asked_for_is_written_nowhere() {
    let (sandbox, alice) = Sandbox::with_alice();
    let client = || sandbox.client("alice").env("RUST_BACKTRACE", "full");
    let outcome = client().login(&[&alice.code(0)]);
    assert!(outcome.granted(), "{outcome:#?}");
    assert_eq!(outcome.stderr, "");
    let outcome = client().always(Reply::Text(b"\xff".to_vec())).login(&[]);
    assert_eq!((outcome.code, &*outcome.stderr), (pam::AUTH_ERR, ""));
    let outcome = client().null_conversation().login(&[]);
    assert_eq!((outcome.code, &*outcome.stderr), (pam::CONV_ERR, ""));
}

/// A copy of the client, for the original may lie where only its owner can look.
fn let_others_look(sandbox: &Sandbox) -> PathBuf {
    let root = sandbox.root();
    let base = root.parent().expect("the sandbox's folder");
    let chmod = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o755));
    chmod(base).expect("open the sandbox's folder");
    let client = base.join("pam-client");
    fs::copy(locate::pam_client(), &client).expect("copy the client");
    chmod(&client).expect("open the client");
    client
}

#[test]
fn a_host_that_is_not_root_is_refused_and_told_why_in_the_log() {
    need_root!();
    let (sandbox, alice) = Sandbox::with_alice();
    let copy = let_others_look(&sandbox);
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let client = sandbox.client("alice").program(&copy).under(&nobody);
    let outcome = client.login(&[&alice.code(0)]);
    assert_eq!(
        (outcome.code, outcome.prompts.len()),
        (pam::AUTHINFO_UNAVAIL, 0)
    );
    assert_eq!((outcome.errors.len(), &*outcome.stderr), (1, ""));
    let lines = sandbox.decisions();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(
        lines[0].contains("permission denied. This must run as root"),
        "{}",
        lines[0]
    );
    let outcome = sandbox.login("alice", &[&alice.code(0)]);
    assert!(outcome.granted(), "{outcome:#?}");
}
