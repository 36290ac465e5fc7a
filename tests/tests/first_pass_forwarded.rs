//! What stands in `PAM_AUTHTOK` behind us (`forward_pass` beside `try_first_pass` and `use_first_pass`).

use std::{
    fs,
    path::{Path, PathBuf},
};

use mfa_tests::{
    PASSWORD,
    enrolled::{Enrolled, NOW, STEP},
    outcome::Outcome,
    pam::{self, Reply},
    sandbox::Sandbox,
};

/// Asks for the password, whatever it is worth, so that there is a `PAM_AUTHTOK`.
const ASKED: &str = "auth optional pam_unix.so nodelay\n";
/// Asks for the password, and ends there if it is wrong.
const CHECKED: &str = "auth requisite pam_unix.so nodelay\n";
/// Takes the `PAM_AUTHTOK` that it finds for the password.
const JUDGED: &str = "auth required pam_unix.so use_first_pass nodelay\n";
const ACCOUNT: &str = "account required pam_permit.so\n";

const PASSWORD_PROMPT: &str = "Password: ";

/// A stack of these lines, `{mfa}` among them.
fn stack(sandbox: &Sandbox, lines: &[&str]) {
    sandbox.stack(&[lines, &[ACCOUNT]].concat().concat());
}

fn with_alice(lines: &[&str]) -> (Sandbox, Enrolled) {
    let (sandbox, alice) = Sandbox::with_alice();
    stack(&sandbox, lines);
    (sandbox, alice)
}

fn behind_password(code: &str) -> String {
    format!("{PASSWORD}{code}")
}

#[track_caller]
fn assert_granted(outcome: &Outcome) {
    assert!(outcome.granted(), "{outcome:#?}");
}

fn last_line(sandbox: &Sandbox) -> String {
    sandbox.decisions().pop().expect("a line")
}

/// Lines behind us that write what `PAM_AUTHTOK` is in the end.
fn observer(sandbox: &Sandbox) -> (PathBuf, String) {
    let file = sandbox.path("authtok");
    let tee = format!(
        "auth optional pam_exec.so quiet expose_authtok /usr/bin/tee {}\n",
        file.display()
    );
    (file, tee)
}

#[test]
fn forward_pass_leaves_the_password_alone_to_the_modules_behind_us() {
    for option in ["use_first_pass", "try_first_pass"] {
        let line = format!("auth required {{mfa}} {option} forward_pass\n");
        let (sandbox, alice) = with_alice(&[ASKED, &line, JUDGED]);
        let passwords = [
            "wrong",
            PASSWORD,
            "correct horse ",
            PASSWORD,
            "correct horse7",
        ];
        let granted = "granted user=alice method=totp device=phone";
        let times = (NOW..).step_by(STEP as usize);
        for (time, password) in times.zip(passwords) {
            let typed = format!("{password}{}", alice.code_at(time));
            let outcome = sandbox.at(time).login("alice", &[&typed]);
            assert_eq!(outcome.granted(), password == PASSWORD, "{password:?}");
            assert_eq!(outcome.prompts, [PASSWORD_PROMPT]);
            assert!(last_line(&sandbox).contains(granted));
        }
        // Without it they get all that was typed.
        sandbox.at(NOW + 10 * STEP);
        stack(
            &sandbox,
            &[ASKED, &line.replace("forward_pass", ""), JUDGED],
        );
        let outcome = sandbox.login("alice", &[&behind_password(&alice.code(10))]);
        assert_eq!((outcome.code, outcome.prompts.len()), (pam::AUTH_ERR, 1));
        assert!(last_line(&sandbox).contains(granted));
    }
}

/// What `PAM_AUTHTOK` is behind us after these answers.
#[track_caller]
fn authtok(sandbox: &Sandbox, file: &Path, answers: &[&str]) -> String {
    let _ = fs::remove_file(file);
    sandbox.login("alice", answers);
    fs::read_to_string(file).expect("what stood in PAM_AUTHTOK")
}

#[test]
fn the_authtok_is_replaced_by_the_password_of_a_right_answer_alone() {
    let (sandbox, alice) = Sandbox::with_alice();
    let (file, observer) = observer(&sandbox);
    let with = |options: &str| {
        let ours = format!("auth optional {{mfa}} {options}\n");
        stack(&sandbox, &[ASKED, &ours, &observer]);
    };
    let wrong = format!("pw{}", alice.wrong_code());
    for (time, option) in (NOW..).step_by(STEP as usize).zip(["use", "try"]) {
        sandbox.at(time);
        let right = format!("pw{}", alice.code_at(time));
        with(&format!("{option}_first_pass forward_pass tries=1"));
        assert_eq!(authtok(&sandbox, &file, &["pw"]), "pw");
        assert_eq!(authtok(&sandbox, &file, &[&wrong]), wrong);
        assert_eq!(authtok(&sandbox, &file, &[&right]), "pw");
        assert_eq!(authtok(&sandbox, &file, &[&right]), right);
    }
    // What is typed at our own prompt counts more; a code alone leaves what is there.
    let later = NOW + 2 * STEP;
    sandbox.at(later);
    with("try_first_pass forward_pass");
    let typed = format!("other{}", alice.code_at(later));
    assert_eq!(authtok(&sandbox, &file, &["pw", &typed]), "other");
    let later = later + STEP;
    sandbox.at(later);
    assert_eq!(
        authtok(&sandbox, &file, &["pw", &alice.code_at(later)]),
        "pw"
    );
    // Without forward_pass it is never touched.
    let later = later + STEP;
    sandbox.at(later);
    with("try_first_pass");
    let typed = format!("pw{}", alice.code_at(later));
    assert_eq!(authtok(&sandbox, &file, &[&typed]), typed);
}

#[test]
fn any_bytes_may_stand_before_the_code() {
    let (sandbox, alice) = Sandbox::with_alice();
    let (file, observer) = observer(&sandbox);
    stack(
        &sandbox,
        &[
            ASKED,
            "auth required {mfa} use_first_pass forward_pass\n",
            &observer,
        ],
    );
    let passwords: [&[u8]; 5] = [
        b"p\xe4ss\xff",
        "pässwörd ".as_bytes(),
        b"-- 42",
        b"\x01",
        b"123456",
    ];
    for (time, password) in (NOW..).step_by(STEP as usize).zip(passwords) {
        let typed = [password, alice.code_at(time).as_bytes()].concat();
        let client = sandbox.at(time).client("alice");
        assert_granted(&client.insist(&Reply::Text(typed)));
        assert_eq!(fs::read(&file).expect("what was handed on"), password);
    }
}

#[test]
fn who_is_not_asked_keeps_the_password() {
    let ours = "auth required {mfa} use_first_pass forward_pass\n";
    let (sandbox, alice) = with_alice(&[CHECKED, ours, JUDGED]);
    assert!(!sandbox.login("alice", &[PASSWORD]).granted());
    sandbox.write("etc/pam_mfa/config.toml", "exempt.users = ['alice']\n");
    let outcome = sandbox.login("alice", &[PASSWORD]);
    assert_granted(&outcome);
    assert_eq!(outcome.shown(), format!("{PASSWORD_PROMPT}\n"));
    assert!(
        !sandbox
            .login("alice", &[&behind_password(&alice.code(0))])
            .granted()
    );
}
