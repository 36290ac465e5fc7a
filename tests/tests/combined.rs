//! Password and code in one answer (`forward_pass`): the code is ours, the password goes on to the
//! module behind us.

use std::{fs, path::PathBuf};

use mfa_tests::{
    PASSWORD,
    enrolled::{Enrolled, NOW, STEP},
    outcome::Outcome,
    pam::{self, Reply},
    protocol::Event,
    sandbox::Sandbox,
};

/// For a client with one field.
const STACK: &str = "auth required {mfa} forward_pass\n\
                     auth required pam_unix.so use_first_pass nodelay\n\
                     account required pam_permit.so\n";

const PROMPT: &str = "Password and verification code: ";
/// That of pam_unix and of pam_exec, where nothing was handed on to them.
const PASSWORD_PROMPT: &str = "Password: ";
const WRONG: &str = "Wrong code.";
const USED: &str = "This code was already used. Wait for the next one.";
const OUT_OF_ORDER: &str = "The verification code cannot be checked now. The administrator finds the reason in the system log.";

fn with_alice(stack: &str) -> (Sandbox, Enrolled) {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.stack(stack);
    (sandbox, alice)
}

#[track_caller]
fn assert_granted(outcome: &Outcome) {
    assert!(outcome.granted(), "{outcome:#?}");
}

fn last_line(sandbox: &Sandbox) -> String {
    sandbox.decisions().pop().expect("a line")
}

/// How many tries of alice failed.
#[track_caller]
fn failed_attempts(sandbox: &Sandbox) -> u64 {
    let json = sandbox.admin(&["status", "alice", "--json"]).ok().stdout;
    let status: serde_json::Value = serde_json::from_str(&json).expect("the JSON of status");
    status["failed_attempts"].as_u64().expect("a number")
}

/// Alice, and behind us a module that writes `PAM_AUTHTOK` into a file, and asks where there is none.
fn with_observer() -> (Sandbox, Enrolled, PathBuf) {
    let (sandbox, alice) = Sandbox::with_alice();
    let file = sandbox.path("handed-on");
    let observer = format!(
        "auth required {{mfa}} forward_pass tries=1\n\
         auth required pam_exec.so quiet expose_authtok /usr/bin/tee {}\n\
         account required pam_permit.so\n",
        file.display()
    );
    sandbox.stack(&observer);
    (sandbox, alice, file)
}

#[test]
fn password_and_code_are_let_in_after_one_prompt_without_echo() {
    let (sandbox, alice) = with_alice(STACK);
    // Whatever the configuration says of a code.
    sandbox.write("etc/pam_mfa/config.toml", "echo = true\n");
    let outcome = sandbox.login("alice", &[&format!("{PASSWORD}{}", alice.code(0))]);
    assert_granted(&outcome);
    let prompt = Event::Prompt {
        style: pam::PROMPT_ECHO_OFF,
        text: PROMPT.to_owned(),
    };
    assert_eq!(outcome.events.first(), Some(&prompt));
    assert_eq!(outcome.shown(), format!("{PROMPT}\n"));
    let granted = "pam_mfa(test:auth): granted user=alice method=totp device=phone rhost= tty=";
    assert_eq!(sandbox.decisions(), [granted]);
}

#[test]
fn the_password_is_handed_on_to_the_byte() {
    let (sandbox, alice, file) = with_observer();
    let long = "x".repeat(506);
    let passwords: [&[u8]; 16] = [
        PASSWORD.as_bytes(),
        b"0",
        b"hunter2",
        b"123456",
        b"1234567890123456789",
        b"pw 42",
        b" pw ",
        b"-",
        b"--pw--",
        b"pw\t\x01\x7f",
        b"abcd-efgh-2345",
        b"ABCDEFGH2345",
        "pässwörd\u{a0}".as_bytes(),
        "pw\u{ff16}".as_bytes(),
        b"p\xe4ss\xff",
        long.as_bytes(),
    ];
    for (time, password) in (NOW..).step_by(STEP as usize).zip(passwords) {
        let typed = [password, alice.code_at(time).as_bytes()].concat();
        let outcome = sandbox
            .at(time)
            .client("alice")
            .insist(&Reply::Text(typed.clone()));
        assert_granted(&outcome);
        let shown = String::from_utf8_lossy(password);
        assert_eq!(outcome.prompts, [PROMPT], "{shown:?}");
        assert_eq!(
            fs::read(&file).expect("what was handed on"),
            password,
            "{shown:?}"
        );
    }
}

#[test]
fn the_code_is_taken_in_every_dress() {
    let (sandbox, alice) = with_alice(STACK);
    type Dress = fn(&str, &str) -> String;
    let dresses: [Dress; 5] = [
        |a, b| format!("{PASSWORD}{a} {b}"),
        |a, b| format!("{PASSWORD}{a}-{b}"),
        |a, b| format!("{PASSWORD}{a}{b} "),
        |a, b| format!("{PASSWORD}{a} - {b}--  "),
        |a, b| {
            let spaced = |text: &str| text.replace("", " ").trim().to_owned();
            format!("{PASSWORD}{} {}", spaced(a), spaced(b))
        },
    ];
    for (time, dress) in (NOW..).step_by(STEP as usize).zip(dresses) {
        let code = alice.code_at(time);
        let (first, last) = code.split_at(3);
        let outcome = sandbox.at(time).login("alice", &[&dress(first, last)]);
        assert_granted(&outcome);
        assert_eq!(outcome.prompts.len(), 1);
    }
}

#[test]
fn a_right_code_behind_a_wrong_password_is_used_up_and_refused_by_the_module_behind_us() {
    let (sandbox, alice) = with_alice(STACK);
    let wrong = [
        "wrong",
        "correct hors",
        "correct horse ",
        " correct horse",
        "correct-horse",
        "Correct horse",
        "correct horse1",
        "correct horse123456",
    ];
    for (time, password) in (NOW..).step_by(STEP as usize).zip(wrong) {
        let code = alice.code_at(time);
        let outcome = sandbox
            .at(time)
            .login("alice", &[&format!("{password}{code}")]);
        assert_eq!(outcome.code, pam::AUTH_ERR, "{password:?}");
        assert_eq!(outcome.prompts, [PROMPT], "{password:?}");
        assert!(last_line(&sandbox).contains("granted user=alice"));
        let outcome = sandbox.login("alice", &[&format!("{PASSWORD}{code}")]);
        assert_eq!((outcome.code, &*outcome.errors[0]), (pam::AUTH_ERR, USED));
    }
    // It costs no guess: who has the code is no guesser.
    assert_eq!(failed_attempts(&sandbox), 0);
}

/// google-authenticator hands an empty password on there, which hides the one that is known already.
#[test]
fn a_code_alone_hands_nothing_on() {
    let (sandbox, alice) = with_alice(STACK);
    let outcome = sandbox.login("alice", &[&alice.code(-1)]);
    assert_eq!((outcome.code, outcome.prompts.len()), (pam::AUTH_ERR, 1));
    assert!(last_line(&sandbox).contains("granted user=alice"));
    sandbox.stack(&STACK.replace("use_first_pass", "try_first_pass"));
    let outcome = sandbox.login("alice", &[&alice.code(0), PASSWORD]);
    assert_granted(&outcome);
    assert_eq!(outcome.prompts, [PROMPT, PASSWORD_PROMPT]);
}

#[test]
fn after_a_refusal_nothing_is_handed_on() {
    let (sandbox, alice) = with_alice(
        "auth optional {mfa} forward_pass tries=1\n\
         auth required pam_unix.so try_first_pass nodelay\n\
         account required pam_permit.so\n",
    );
    let behind = |code: &str| format!("{PASSWORD}{code}");
    let (wrong, used) = (behind(&alice.wrong_code()), behind(&alice.code(0)));
    // So it is seen if something is handed on.
    let outcome = sandbox.login("alice", &[&used]);
    assert_granted(&outcome);
    assert_eq!(outcome.prompts, [PROMPT]);
    for (user, answer) in [
        ("alice", PASSWORD),
        ("alice", ""),
        ("alice", &wrong),
        ("alice", &used),
        ("alice", &behind("abcd-efgh-2345")),
        ("bob", PASSWORD),
        ("bob", &behind(&alice.code(1))),
    ] {
        let outcome = sandbox.login(user, &[answer, PASSWORD]);
        assert_granted(&outcome);
        assert_eq!(outcome.prompts, [PROMPT, PASSWORD_PROMPT], "{user}");
        assert!(last_line(&sandbox).contains("refused"), "{user}");
    }
}

#[test]
fn the_password_of_a_refused_answer_is_not_handed_on() {
    let (sandbox, alice) = with_alice(STACK);
    let refused = format!("{PASSWORD}{}", alice.wrong_code());
    let outcome = sandbox.login("alice", &[&refused, &alice.code(0)]);
    assert_eq!(outcome.prompts, [PROMPT; 2]);
    assert!(last_line(&sandbox).contains("granted user=alice"));
    assert_eq!(outcome.code, pam::AUTH_ERR, "{outcome:#?}");
}

#[test]
fn the_right_answer_is_let_in_at_the_third_try_and_its_password_counts() {
    let (sandbox, alice) = with_alice(STACK);
    let refused = format!("wrong{}", alice.wrong_code());
    let right = format!("{PASSWORD}{}", alice.code(0));
    let outcome = sandbox.login("alice", &[PASSWORD, &refused, &right]);
    assert_granted(&outcome);
    assert_eq!(outcome.prompts, [PROMPT; 3]);
    assert_eq!(outcome.errors, [WRONG; 2]);
}

#[test]
fn the_number_of_tries_is_that_of_the_line_or_else_of_the_configuration() {
    let (sandbox, alice) = with_alice(STACK);
    let wrong = format!("{PASSWORD}{}", alice.wrong_code());
    let prompts = || sandbox.login("alice", &[&*wrong; 9]).prompts.len();
    assert_eq!(prompts(), 3);
    sandbox.write("etc/pam_mfa/config.toml", "tries = 2\n");
    assert_eq!(prompts(), 2);
    sandbox.stack(&STACK.replace("forward_pass", "forward_pass tries=1"));
    assert_eq!(prompts(), 1);
}

#[test]
fn a_password_without_a_code_costs_nothing() {
    let (sandbox, alice) = with_alice(STACK);
    let code = alice.code(0);
    let behind = |code: &str| format!("{PASSWORD}{code}");
    for answer in [
        String::new(),
        PASSWORD.to_owned(),
        behind(&code[1..]),
        behind(&format!("{code}.")),
        behind(&format!("{}\u{a0}{}", &code[..3], &code[3..])),
        format!("{code}{PASSWORD}"),
    ] {
        let outcome = sandbox.login("alice", &[&*answer; 4]);
        assert_eq!(outcome.code, pam::AUTH_ERR);
        assert_eq!(outcome.prompts, [PROMPT; 3]);
        assert_eq!(outcome.errors, [WRONG; 3]);
        let line = last_line(&sandbox);
        assert!(line.contains("reason=no-code,no-code,no-code "), "{line}");
    }
    assert_eq!(failed_attempts(&sandbox), 0);
    assert_granted(&sandbox.login("alice", &[&behind(&code)]));
}

#[test]
fn a_used_code_behind_the_password_is_refused_without_charge() {
    let (sandbox, alice) = with_alice(STACK);
    let answer = format!("{PASSWORD}{}", alice.code(0));
    assert_granted(&sandbox.login("alice", &[&answer]));
    let outcome = sandbox.login("alice", &[&*answer; 4]);
    assert_eq!((outcome.code, outcome.prompts.len()), (pam::AUTH_ERR, 3));
    assert_eq!(outcome.errors, [USED; 3]);
    assert_eq!(failed_attempts(&sandbox), 0);
}

#[test]
fn more_than_512_bytes_are_no_answer() {
    let (sandbox, alice, _) = with_observer();
    let code = alice.code(0);
    let password = "x".repeat(507);
    // Of what is longer the first 513 bytes are seen, and there the code stands.
    for tail in ["", "x", " ", &"x".repeat(5000)] {
        let outcome = sandbox.login("alice", &[&format!("{password}{code}{tail}")]);
        assert_eq!(outcome.code, pam::AUTH_ERR, "{}", last_line(&sandbox));
        assert_eq!(outcome.prompts, [PROMPT, PASSWORD_PROMPT]);
    }
}

#[test]
fn nobody_learns_who_is_enrolled_or_who_exists() {
    let (sandbox, alice) = with_alice("auth required {mfa} forward_pass\n");
    let behind = |code: &str| format!("{PASSWORD}{code}");
    for answer in [
        PASSWORD.to_owned(),
        behind(&alice.wrong_code()),
        behind("12345678"),
        behind("abcd-efgh-2345"),
    ] {
        let answers = [&*answer; 4];
        let enrolled = sandbox.login("alice", &answers);
        assert_eq!(enrolled.prompts, [PROMPT; 3]);
        let bob = sandbox.login("bob", &answers);
        let unknown = sandbox.client("nobody-of-this-name").real_accounts();
        for stranger in [bob, unknown.login(&answers)] {
            assert_eq!(stranger.shown(), enrolled.shown());
            assert_eq!(stranger.code, enrolled.code);
        }
    }
    // Somebody else's right code is of no use.
    let answer = behind(&alice.code(0));
    assert_eq!(sandbox.login("bob", &[&answer]).code, pam::AUTH_ERR);
}

#[test]
fn who_is_not_asked_types_the_password_to_the_module_behind_us() {
    let (sandbox, _) = with_alice(&STACK.replace("use_first_pass", "try_first_pass"));
    sandbox.write("etc/pam_mfa/config.toml", "exempt.users = ['alice']\n");
    let outcome = sandbox.login("alice", &[PASSWORD]);
    assert_granted(&outcome);
    assert_eq!(outcome.prompts, [PASSWORD_PROMPT]);
}

#[test]
fn silence_hides_messages_but_no_prompts() {
    let (sandbox, alice) = with_alice(STACK);
    let wrong = format!("{PASSWORD}{}", alice.wrong_code());
    let right = format!("{PASSWORD}{}", alice.code(0));
    let client = sandbox.client("alice").silent();
    let outcome = client.login(&[&wrong, &right]);
    assert_granted(&outcome);
    assert_eq!(outcome.shown(), format!("{PROMPT}\n{WRONG} {PROMPT}\n"));
}

#[test]
fn echo_on_the_same_line_is_refused_for_it_would_show_the_password() {
    let (sandbox, alice) = with_alice(&STACK.replace("forward_pass", "forward_pass echo"));
    let outcome = sandbox.login("alice", &[&format!("{PASSWORD}{}", alice.code(0))]);
    assert_eq!(outcome.code, pam::SERVICE_ERR);
    assert_eq!(outcome.shown(), format!("{OUT_OF_ORDER}\n"));
}

#[test]
fn the_prompt_of_the_line_counts_and_that_of_the_configuration_is_for_a_code_alone() {
    let (sandbox, _) = with_alice(STACK);
    sandbox.write("etc/pam_mfa/config.toml", "prompt = 'Code? '\n");
    assert_eq!(sandbox.login("alice", &[]).prompts, [PROMPT]);
    sandbox.stack(&STACK.replace("forward_pass", "forward_pass [prompt=Both? ]"));
    assert_eq!(sandbox.login("alice", &[]).prompts, ["Both? "]);
}
