//! The code in what an earlier module asked for (`try_first_pass`, `use_first_pass`).

use std::process::Command;

use mfa_tests::{
    PASSWORD,
    client::Client,
    command::run,
    enrolled::{Enrolled, NOW, STEP},
    outcome::Outcome,
    pam::{self, Reply},
    sandbox::Sandbox,
};

/// Asks for the password, whatever it is worth, so that there is a `PAM_AUTHTOK`.
const ASKED: &str = "auth optional pam_unix.so nodelay\n";
/// Asks for the password, and ends there if it is wrong.
const CHECKED: &str = "auth requisite pam_unix.so nodelay\n";
const JUDGED: &str = "auth required pam_unix.so use_first_pass nodelay\n";
const ACCOUNT: &str = "account required pam_permit.so\n";

const PASSWORD_PROMPT: &str = "Password: ";
const ONE: &str = "Verification code or backup code: ";
const COMBINED: &str = "Password and verification code: ";
const TWO: &str = "2 codes in a row are needed: type one now and the next when it changes, or type two consecutive codes in one answer, noted beforehand; or a backup code: ";
const NEXT: &str = "Codes in a row are needed. Type the next code as soon as it changes: ";
const WRONG: &str = "Wrong code.";
const USED: &str = "This code was already used. Wait for the next one.";

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

#[track_caller]
fn status(sandbox: &Sandbox, field: &str) -> u64 {
    let json = sandbox.admin(&["status", "alice", "--json"]).ok().stdout;
    let status: serde_json::Value = serde_json::from_str(&json).expect("the JSON of status");
    status[field].as_u64().expect("a number")
}

/// Alice with another password than that of the harness.
fn with_password<'s>(sandbox: &'s Sandbox, password: &str) -> Client<'s> {
    let mut openssl = Command::new("openssl");
    openssl.args(["passwd", "-5", "-stdin"]);
    let hash = run(&mut openssl, password).ok().stdout;
    let line = format!("alice:{}:2001:2001::/:/bin/sh\n", hash.trim());
    sandbox.write("passwd", &line);
    let file = sandbox.path("passwd");
    let client = sandbox.client("alice");
    client.env("NSS_WRAPPER_PASSWD", file.to_str().expect("UTF-8"))
}

#[test]
fn a_code_behind_the_password_is_let_in_without_a_prompt_of_ours() {
    for option in ["use_first_pass", "try_first_pass"] {
        for forward in ["", " forward_pass"] {
            let (sandbox, alice) =
                with_alice(&[ASKED, "auth required {mfa} ", option, forward, "\n"]);
            let outcome = sandbox.login("alice", &[&behind_password(&alice.code(0))]);
            assert_granted(&outcome);
            assert_eq!(outcome.shown(), format!("{PASSWORD_PROMPT}\n"));
            assert!(last_line(&sandbox).contains("granted user=alice method=totp"));
            let outcome = sandbox.login("alice", &[&behind_password(&alice.backup_codes[0])]);
            assert_granted(&outcome);
            assert_eq!(outcome.prompts, [PASSWORD_PROMPT]);
            assert!(last_line(&sandbox).contains("granted user=alice method=backup left=9"));
        }
    }
}

#[test]
fn use_first_pass_never_asks() {
    let (sandbox, alice) = with_alice(&[ASKED, "auth required {mfa} use_first_pass tries=10\n"]);
    let code = alice.code(0);
    assert_granted(&sandbox.login("alice", &[&behind_password(&code)]));
    for (password, reason) in [
        (PASSWORD, "no-code"),
        ("", "no-code"),
        (&behind_password("12345"), "no-code"),
        (&behind_password("abcd-efgh-2345"), "no-code"),
        (&behind_password(&code), "replayed-code"),
    ] {
        let outcome = sandbox.login("alice", &[password, &alice.code(1)]);
        assert_eq!(outcome.code, pam::AUTH_ERR, "{password:?}");
        assert_eq!(outcome.prompts, [PASSWORD_PROMPT], "{password:?}");
        assert_eq!(outcome.errors.len(), 1, "{outcome:#?}");
        let line = last_line(&sandbox);
        assert!(line.contains(&format!("reason={reason} ")), "{line}");
        assert_eq!(status(&sandbox, "failed_attempts"), 0);
    }
    let wrong = behind_password(&alice.wrong_code());
    let outcome = sandbox.login("alice", &[&wrong, &alice.code(1)]);
    assert_eq!(outcome.shown(), format!("{PASSWORD_PROMPT}\n{WRONG}\n"));
    assert_eq!(status(&sandbox, "failed_attempts"), 1);
}

#[test]
fn use_first_pass_without_a_password_refuses_without_a_prompt() {
    for forward in ["", " forward_pass"] {
        let (sandbox, alice) = with_alice(&["auth required {mfa} use_first_pass", forward, "\n"]);
        let outcome = sandbox.login("alice", &[&alice.code(0)]);
        assert_eq!((outcome.code, &*outcome.shown()), (pam::AUTH_ERR, ""));
        assert!(last_line(&sandbox).contains("reason=no-answer "));
    }
}

#[test]
fn try_first_pass_asks_where_the_password_has_no_code() {
    let (sandbox, alice) = with_alice(&[CHECKED, "auth required {mfa} try_first_pass tries=1\n"]);
    let outcome = sandbox.login("alice", &[PASSWORD, &alice.code(0)]);
    assert_granted(&outcome);
    assert_eq!(outcome.shown(), format!("{PASSWORD_PROMPT}\n{ONE}\n"));
    // It is a prompt for a code alone.
    let outcome = sandbox.login("alice", &[PASSWORD, &behind_password(&alice.code(1))]);
    assert_eq!(outcome.prompts, [PASSWORD_PROMPT, ONE]);
    assert_eq!(
        (outcome.code, &*outcome.errors),
        (pam::AUTH_ERR, &[WRONG.to_owned()][..])
    );
    assert!(last_line(&sandbox).contains("reason=no-code "));
}

#[test]
fn try_first_pass_without_a_password_asks_as_ever() {
    let (sandbox, alice) = with_alice(&["auth required {mfa} try_first_pass\n"]);
    let outcome = sandbox.login("alice", &["what?", "", &alice.code(0)]);
    assert_granted(&outcome);
    assert_eq!(outcome.prompts, [ONE; 3]);
}

#[test]
fn try_first_pass_asks_after_a_wrong_or_used_code_behind_the_password() {
    let (sandbox, alice) = with_alice(&[ASKED, "auth required {mfa} try_first_pass\n"]);
    assert_granted(&sandbox.login("alice", &[&behind_password(&alice.code(-1))]));
    for (password, told) in [(alice.wrong_code(), WRONG), (alice.code(-1), USED)] {
        let outcome = sandbox.login("alice", &[&behind_password(&password), "what?"]);
        assert_eq!(outcome.prompts[..2], [PASSWORD_PROMPT, ONE]);
        assert_eq!(outcome.errors, [told, WRONG]);
    }
    let wrong = behind_password(&alice.wrong_code());
    assert_granted(&sandbox.login("alice", &[&wrong, &alice.code(0)]));
}

/// As google-authenticator does: what was typed for somebody else is none of our prompts.
#[test]
fn the_first_pass_is_none_of_the_tries_of_try_first_pass() {
    let (sandbox, alice) = with_alice(&[ASKED, "auth required {mfa} try_first_pass tries=1\n"]);
    let wrong = behind_password(&alice.wrong_code());
    let outcome = sandbox.login("alice", &[&wrong, &alice.code(0)]);
    assert_eq!(outcome.prompts, [PASSWORD_PROMPT, ONE]);
    assert_granted(&outcome);
}

#[test]
fn who_has_a_password_that_ends_in_digits_gets_in_with_every_number_of_tries() {
    for tries in ["tries=3", "tries=2", "tries=1"] {
        let (sandbox, alice) =
            with_alice(&[CHECKED, "auth required {mfa} try_first_pass ", tries, "\n"]);
        let password = format!("hunter{}", alice.wrong_code());
        let client = with_password(&sandbox, &password);
        let outcome = client.login(&[&password, &alice.code(0)]);
        assert!(outcome.granted(), "{tries} {outcome:#?}");
        assert_eq!(outcome.prompts, [PASSWORD_PROMPT, ONE]);
        // The guess that was none is given back.
        assert_eq!(status(&sandbox, "failed_attempts"), 0);
    }
}

#[test]
fn the_start_of_a_password_that_was_taken_for_one_with_a_code_is_not_handed_on() {
    let ours = "auth required {mfa} try_first_pass forward_pass\n";
    let (sandbox, alice) = with_alice(&[CHECKED, ours, JUDGED]);
    let password = format!("hunter{}", alice.wrong_code());
    let client = with_password(&sandbox, &password);
    let outcome = client.login(&[&password, &alice.code(0)]);
    assert_eq!(outcome.prompts, [PASSWORD_PROMPT, COMBINED]);
    assert_granted(&outcome);
}

#[test]
fn who_has_a_password_that_ends_in_digits_gets_in_where_codes_in_a_row_are_asked_for() {
    let (sandbox, alice) = with_alice(&["auth required {mfa} tries=10\n"]);
    let wrong = alice.wrong_code();
    sandbox.login("alice", &[&*wrong; 10]);
    stack(&sandbox, &[CHECKED, "auth required {mfa} try_first_pass\n"]);
    let password = format!("hunter{wrong}");
    let [a, b] = [-1, 0].map(|step| alice.code(step));
    let client = with_password(&sandbox, &password);
    // The end of the password is not taken for the first code.
    let outcome = client.login(&[&password, &format!("{a} {b}")]);
    assert_granted(&outcome);
    assert_eq!(outcome.prompts, [PASSWORD_PROMPT, TWO]);
}

#[test]
fn a_suspended_user_whose_password_ends_in_digits_is_asked_for_a_backup_code() {
    let (sandbox, alice) = with_alice(&["auth required {mfa}\n"]);
    let wrong = alice.wrong_code();
    sandbox.write("etc/pam_mfa/config.toml", "suspend_after = 3\n");
    sandbox.login("alice", &[&*wrong; 3]);
    stack(&sandbox, &[CHECKED, "auth required {mfa} try_first_pass\n"]);
    let password = format!("hunter{wrong}");
    let client = with_password(&sandbox, &password);
    assert_granted(&client.login(&[&password, &alice.backup_codes[0]]));
}

#[test]
fn a_password_that_looks_like_a_backup_code_is_none() {
    let (sandbox, alice) = with_alice(&[CHECKED, "auth required {mfa} try_first_pass tries=1\n"]);
    let password = "abcd-efgh-2345";
    let outcome = with_password(&sandbox, password).login(&[password, &alice.code(0)]);
    assert_granted(&outcome);
    assert_eq!(outcome.shown(), format!("{PASSWORD_PROMPT}\n{ONE}\n"));
}

#[test]
fn a_wrong_password_ends_before_us_where_it_is_requisite() {
    for option in ["use_first_pass", "try_first_pass"] {
        let (sandbox, alice) = with_alice(&[CHECKED, "auth required {mfa} ", option, "\n"]);
        let password = behind_password(&alice.code(0));
        let outcome = sandbox.login("alice", &[&password, &alice.code(0)]);
        assert_eq!((outcome.code, outcome.prompts.len()), (pam::AUTH_ERR, 1));
        assert_eq!(sandbox.decisions().len(), 0);
    }
}

#[test]
fn the_password_again_is_refused_without_charge_and_the_log_names_the_setting_of_sshd() {
    let (sandbox, alice) = with_alice(&[CHECKED, "auth required {mfa} try_first_pass\n"]);
    let outcome = sandbox
        .client("alice")
        .insist(&Reply::Text(PASSWORD.into()));
    assert_eq!(outcome.prompts, [PASSWORD_PROMPT, ONE, ONE, ONE]);
    assert_eq!(
        (outcome.code, outcome.errors),
        (pam::AUTH_ERR, vec![WRONG.to_owned(); 3])
    );
    let line = last_line(&sandbox);
    assert!(
        line.contains("reason=password,password,password "),
        "{line}"
    );
    assert!(line.contains("KbdInteractiveAuthentication yes"), "{line}");
    assert_eq!(status(&sandbox, "failed_attempts"), 0);
    assert_granted(&sandbox.login("alice", &[PASSWORD, &alice.code(0)]));
}

#[test]
fn a_first_pass_of_more_than_512_bytes_has_no_code() {
    let (sandbox, alice) = with_alice(&[ASKED, "auth required {mfa} use_first_pass\n"]);
    let long = "x".repeat(506);
    let outcome = sandbox.login("alice", &[&format!("{long}{}", alice.code(-1))]);
    assert_granted(&outcome);
    for more in [1, 1000] {
        let typed = format!("{long}{}{}", "x".repeat(more), alice.code(0));
        let outcome = sandbox.login("alice", &[&typed]);
        assert_eq!(
            outcome.code,
            pam::AUTH_ERR,
            "{more}: {}",
            last_line(&sandbox)
        );
    }
}

#[test]
fn codes_in_a_row_behind_the_password() {
    let (sandbox, alice) = with_alice(&["auth required {mfa} tries=10\n"]);
    let [a, b, c] = [-1, 0, 1].map(|step| alice.code(step));
    sandbox.login("alice", &[&*alice.wrong_code(); 10]);
    let failed = status(&sandbox, "failed_attempts");

    stack(&sandbox, &[ASKED, "auth required {mfa} use_first_pass\n"]);
    // One is not enough; there is nobody to ask for the other, so nothing was guessed.
    for password in [&a, &b] {
        let outcome = sandbox.login("alice", &[&behind_password(password), &c]);
        assert_eq!((outcome.code, outcome.prompts.len()), (pam::AUTH_ERR, 1));
    }
    assert_eq!(status(&sandbox, "failed_attempts"), failed);
    let outcome = sandbox.login("alice", &[&behind_password(&format!("{b}{a}"))]);
    assert_eq!(
        (outcome.code, &*outcome.errors),
        (pam::AUTH_ERR, &[WRONG.to_owned()][..])
    );
    let outcome = sandbox.login("alice", &[&behind_password(&format!("{a} {b}"))]);
    assert_granted(&outcome);
    assert_eq!(outcome.prompts, [PASSWORD_PROMPT]);

    // One behind the password may be its end, so try_first_pass asks for both.
    let later = NOW + 3 * STEP;
    sandbox.at(later);
    let [a, b] = [later - STEP, later].map(|time| alice.code_at(time));
    stack(&sandbox, &[ASKED, "auth required {mfa} try_first_pass\n"]);
    let outcome = sandbox.login("alice", &[&behind_password(&a), &a, &b]);
    assert_granted(&outcome);
    assert_eq!(outcome.prompts, [PASSWORD_PROMPT, TWO, NEXT]);
}

#[test]
fn three_codes_in_a_row_behind_the_password() {
    let (sandbox, alice) = with_alice(&["auth required {mfa} tries=10\n"]);
    let [a, b, c] = [-1, 0, 1].map(|step| alice.code(step));
    let wrong = alice.wrong_code();
    sandbox.login("alice", &[&*wrong; 10]);
    let pair = format!("{wrong} {wrong}");
    for _ in 0..10 {
        sandbox.login("alice", &[&*pair; 10]);
    }
    assert_eq!(status(&sandbox, "codes_in_a_row"), 3);
    stack(
        &sandbox,
        &[
            ASKED,
            "auth required {mfa} use_first_pass forward_pass\n",
            JUDGED,
        ],
    );
    for codes in [b.clone(), format!("{b}{c}"), format!("{a}{b}{wrong}")] {
        let outcome = sandbox.login("alice", &[&behind_password(&codes)]);
        assert_eq!((outcome.code, outcome.prompts.len()), (pam::AUTH_ERR, 1));
    }
    let outcome = sandbox.login("alice", &[&behind_password(&format!("{a}{b}{c}"))]);
    assert_granted(&outcome);
    assert_eq!(outcome.prompts, [PASSWORD_PROMPT]);
}

#[test]
fn nobody_learns_who_is_enrolled_or_who_exists() {
    for options in [
        "use_first_pass",
        "try_first_pass",
        "try_first_pass forward_pass",
    ] {
        let ours = format!("auth required {{mfa}} {options}\n");
        let (sandbox, alice) = with_alice(&[ASKED, &ours]);
        let wrong = alice.wrong_code();
        for password in [
            "what?",
            PASSWORD,
            "pw12345678",
            "abcd-efgh-2345",
            &behind_password(&wrong),
        ] {
            let answers = [password, &wrong, "why?", &wrong];
            let enrolled = sandbox.login("alice", &answers);
            let unknown = sandbox.client("nobody-of-this-name").real_accounts();
            for stranger in [sandbox.login("bob", &answers), unknown.login(&answers)] {
                assert_eq!(stranger.shown(), enrolled.shown(), "{options} {password}");
                assert_eq!(stranger.code, enrolled.code);
            }
            sandbox.admin(&["unlock", "alice"]).ok();
        }
    }
}

#[test]
fn two_ways_to_take_the_first_pass_on_one_line_are_refused_without_a_prompt() {
    let ours = "auth required {mfa} try_first_pass use_first_pass\n";
    let (sandbox, alice) = with_alice(&[ASKED, ours]);
    let outcome = sandbox.login("alice", &[&behind_password(&alice.code(0)), &alice.code(1)]);
    assert_eq!((outcome.code, outcome.prompts.len()), (pam::SERVICE_ERR, 1));
}

#[test]
fn silence_hides_messages_but_no_prompts() {
    let (sandbox, alice) = with_alice(&[ASKED, "auth required {mfa} try_first_pass\n"]);
    let wrong = behind_password(&alice.wrong_code());
    let outcome = sandbox
        .client("alice")
        .silent()
        .login(&[&wrong, &alice.code(0)]);
    assert_granted(&outcome);
    assert_eq!(
        outcome.shown(),
        format!("{PASSWORD_PROMPT}\n{WRONG} {ONE}\n")
    );
}
