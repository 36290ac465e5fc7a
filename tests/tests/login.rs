//! A login with verification codes, through the real libpam.

use mfa_tests::{
    PASSWORD,
    enrolled::{Enrolled, NOW, STEP},
    outcome::Outcome,
    pam::{self, Reply},
    protocol::Event,
    sandbox::Sandbox,
};

const PROMPT: &str = "Verification code or backup code: ";
const WRONG: &str = "Wrong code.";
const USED: &str = "This code was already used. Wait for the next one.";

/// Refused after three prompts, with a delay, as everybody is who has no right code.
#[track_caller]
fn assert_wrong_three_times(outcome: &Outcome) {
    assert_eq!((outcome.code, outcome.setcred), (pam::AUTH_ERR, None));
    assert_eq!(outcome.prompts, [PROMPT; 3], "{outcome:#?}");
    assert_eq!(outcome.errors, [WRONG; 3]);
    assert_eq!(outcome.infos.len(), 0, "{outcome:#?}");
    assert_delayed(outcome);
}

#[track_caller]
fn assert_delayed(outcome: &Outcome) {
    let delay = outcome.delay_usec.expect("two seconds, more or less");
    assert!((1_000_000..=3_000_000).contains(&delay), "{delay}");
}

#[track_caller]
fn assert_granted(outcome: &Outcome) {
    assert!(outcome.granted(), "{outcome:#?}");
}

#[test]
fn a_right_code_is_let_in_after_one_prompt_without_echo() {
    let (sandbox, alice) = Sandbox::with_alice();
    let outcome = sandbox.login("alice", &[&alice.code(0)]);
    assert_granted(&outcome);
    let prompt = Event::Prompt {
        style: pam::PROMPT_ECHO_OFF,
        text: PROMPT.to_owned(),
    };
    assert_eq!(outcome.events.first(), Some(&prompt));
    assert_eq!(outcome.shown(), format!("{PROMPT}\n"));
    assert_eq!(outcome.stderr, "");
}

#[test]
fn a_code_is_taken_in_every_dress() {
    let (sandbox, alice) = Sandbox::with_alice();
    type Dress = fn(&str, &str) -> String;
    let dresses: [Dress; 6] = [
        |a, b| format!("{a} {b}"),
        |a, b| format!("{a}-{b}"),
        |a, b| format!("  {a}{b}\t"),
        |a, b| format!(" {a} - {b} "),
        |a, b| format!("{a}\u{a0}{b}"),
        |a, b| format!("{a}{b}{}", " ".repeat(506)),
    ];
    for (time, dress) in (NOW..).step_by(STEP as usize).zip(dresses) {
        let code = alice.code_at(time);
        let (first, last) = code.split_at(3);
        assert_granted(&sandbox.at(time).login("alice", &[&dress(first, last)]));
    }
}

#[test]
fn the_window_is_one_step_either_side() {
    let (sandbox, alice) = Sandbox::with_alice();
    for step in [-1, 0, 1] {
        assert_granted(&sandbox.login("alice", &[&alice.code(step)]));
    }
}

#[test]
fn the_window_ends_to_the_second() {
    let (sandbox, alice) = Sandbox::with_alice();
    // The code of the step of NOW is good from one step before its begin to one after its end.
    let begin = NOW / STEP * STEP;
    let code = alice.code(0);
    for late in [begin - STEP - 1, begin + 2 * STEP] {
        assert!(!sandbox.at(late).login("alice", &[&code]).granted());
    }
    assert_granted(&sandbox.at(begin - STEP).login("alice", &[&code]));
    let next = alice.code(1);
    assert_granted(&sandbox.at(begin + 3 * STEP - 1).login("alice", &[&next]));
}

#[test]
fn a_code_outside_of_the_window_is_refused_and_the_log_blames_the_clock() {
    let (sandbox, alice) = Sandbox::with_alice();
    for (step, hint) in [
        (2, "1 min: the device is ahead"),
        (-2, "1 min: the device is behind"),
    ] {
        let outcome = sandbox.login("alice", &[&alice.code(step)]);
        assert_eq!(
            (outcome.code, &*outcome.errors),
            (pam::AUTH_ERR, &[WRONG.to_owned()][..])
        );
        let line = sandbox.decisions().pop().expect("a line");
        assert!(line.contains("reason=wrong-code"), "{line}");
        assert!(
            line.contains(&format!("clock off by about {hint}")),
            "{line}"
        );
    }
}

#[test]
fn a_clock_that_is_off_is_never_learned() {
    let (sandbox, alice) = Sandbox::with_alice();
    for steps in [10, 11, 12, 13, 14, 15] {
        assert!(!sandbox.login("alice", &[&alice.code(steps)]).granted());
    }
    assert_granted(&sandbox.login("alice", &[&alice.code(0)]));
}

#[test]
fn a_replayed_code_is_refused_and_says_so() {
    let (sandbox, alice) = Sandbox::with_alice();
    let code = alice.code(0);
    assert_granted(&sandbox.login("alice", &[&code]));
    let outcome = sandbox.login("alice", &[&code, &code, &code]);
    assert_eq!((outcome.code, outcome.prompts.len()), (pam::AUTH_ERR, 3));
    assert_eq!(outcome.errors, [USED; 3]);
    assert_delayed(&outcome);
    let line = sandbox.decisions().pop().expect("a line");
    assert!(
        line.contains("reason=replayed-code,replayed-code,replayed-code"),
        "{line}"
    );
}

#[test]
fn a_code_older_than_the_newest_spent_one_is_refused() {
    let (sandbox, alice) = Sandbox::with_alice();
    assert_granted(&sandbox.login("alice", &[&alice.code(1)]));
    let outcome = sandbox.login("alice", &[&alice.code(0), &alice.code(-1), &alice.code(1)]);
    assert_eq!(
        (outcome.code, &*outcome.errors),
        (pam::AUTH_ERR, &[USED; 3].map(str::to_owned)[..])
    );
}

#[test]
fn after_a_replay_the_next_code_is_let_in_by_the_same_call() {
    let (sandbox, alice) = Sandbox::with_alice();
    assert_granted(&sandbox.login("alice", &[&alice.code(0)]));
    let outcome = sandbox.login("alice", &[&alice.code(0), &alice.code(1)]);
    assert_granted(&outcome);
    assert_eq!(outcome.errors, [USED]);
}

/// Each would be let in if it were read less strictly.
fn not_a_code(alice: &Enrolled) -> Vec<Vec<u8>> {
    let code = alice.code(0);
    let wide = code
        .chars()
        .map(|digit| char::from_u32(digit as u32 - '0' as u32 + 0xff10));
    let texts = [
        String::new(),
        " ".to_owned(),
        code[1..].to_owned(),
        format!("{code}0"),
        format!("0{code}"),
        format!("{code}."),
        format!("+{code}"),
        format!("{code}x"),
        format!("{PASSWORD}{code}"),
        format!("\u{8}\n\r\u{7f}INCORRECT{code}"),
        wide.map(|digit| digit.expect("a full-width digit"))
            .collect(),
        format!("{code}{}", " ".repeat(507)),
        format!("{code}{}", " ".repeat(1 << 20)),
    ];
    let invalid = [code.as_bytes(), b"\xff\xfe"].concat();
    texts
        .into_iter()
        .map(String::into_bytes)
        .chain([invalid])
        .collect()
}

#[test]
fn what_is_not_a_code_is_refused_three_times() {
    let (sandbox, alice) = Sandbox::with_alice();
    for typed in not_a_code(&alice) {
        let shown = String::from_utf8_lossy(&typed[..typed.len().min(40)]).into_owned();
        let outcome = sandbox.client("alice").insist(&Reply::Text(typed));
        assert!(!outcome.granted(), "{shown:?}");
        assert_wrong_three_times(&outcome);
        let line = sandbox.decisions().pop().expect("a line");
        assert!(
            line.contains("reason=no-code,no-code,no-code "),
            "{shown:?} {line}"
        );
    }
    assert_granted(&sandbox.login("alice", &[&alice.code(0)]));
}

#[test]
fn a_wrong_code_is_refused_three_times() {
    let (sandbox, alice) = Sandbox::with_alice();
    let wrong = alice.wrong_code();
    assert_wrong_three_times(&sandbox.login("alice", &[wrong.as_str(); 5]));
    // Nothing was spent by it.
    assert_granted(&sandbox.login("alice", &[&alice.code(-1)]));
}

#[test]
fn the_right_code_is_let_in_at_the_second_and_third_try() {
    let (sandbox, alice) = Sandbox::with_alice();
    let outcome = sandbox.login("alice", &[&alice.wrong_code(), &alice.code(-1)]);
    assert_granted(&outcome);
    assert_eq!(
        (outcome.prompts.len(), outcome.errors),
        (2, vec![WRONG.to_owned()])
    );
    assert_granted(&sandbox.login("alice", &["", "what?", &alice.code(0)]));
    let late = sandbox.login("alice", &["", "what?", "why?", &alice.code(1)]);
    assert_wrong_three_times(&late);
}

#[test]
fn nobody_learns_who_is_enrolled_or_who_exists() {
    let (sandbox, alice) = Sandbox::with_alice();
    for typed in [&*alice.wrong_code(), "what?", "12345678", "abcd-efgh-2345"] {
        let enrolled = sandbox.login("alice", &[typed; 3]);
        assert_wrong_three_times(&enrolled);
        let bob = sandbox.login("bob", &[typed; 3]);
        assert_wrong_three_times(&bob);
        assert_eq!(bob.shown(), enrolled.shown());
        for user in [
            "nobody-of-this-name",
            "../2001",
            "alice\n",
            "é",
            &"x".repeat(5000),
        ] {
            let unknown = sandbox.client(user).real_accounts().login(&[typed; 3]);
            assert_wrong_three_times(&unknown);
            assert_eq!(unknown.shown(), enrolled.shown(), "{user:?}");
        }
    }
    // Bob is not let in by somebody else's right code either.
    assert_wrong_three_times(&sandbox.login("bob", &[alice.code(0).as_str(); 3]));
}

#[test]
fn the_password_typed_again_is_no_code_even_if_it_is_one() {
    let (sandbox, alice) = Sandbox::with_alice();
    // The password is wrong; what matters is that it is known when the code is typed.
    sandbox.stack(
        "auth optional pam_unix.so nodelay\nauth required {mfa}\naccount required pam_permit.so\n",
    );
    let code = alice.code(0);
    let outcome = sandbox.login("alice", &[code.as_str(); 4]);
    assert_eq!(outcome.prompts, ["Password: ", PROMPT, PROMPT, PROMPT]);
    assert_eq!(
        (outcome.code, &*outcome.errors),
        (pam::AUTH_ERR, &[WRONG; 3].map(str::to_owned)[..])
    );
    let line = sandbox.decisions().pop().expect("a line");
    assert!(
        line.contains("reason=password,password,password "),
        "{line}"
    );
    assert!(line.contains("KbdInteractiveAuthentication yes"), "{line}");
    assert_granted(&sandbox.login("alice", &["something else", &code]));
}

#[test]
fn two_names_with_one_uid_meet_in_one_record() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.add_account("alias", 2001);
    assert_granted(&sandbox.login("alias", &[&alice.code(0)]));
    for name in ["alice", "alias"] {
        assert_eq!(sandbox.login(name, &[&alice.code(0)]).errors, [USED]);
    }
    assert_granted(&sandbox.login("alice", &[&alice.code(1)]));
    assert_eq!(sandbox.login("alias", &[&alice.code(1)]).errors, [USED]);
}

#[test]
fn the_number_of_tries_is_configured() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.write("etc/pam_mfa/config.toml", "tries = 1\n");
    let outcome = sandbox.login("alice", &[&alice.wrong_code(), &alice.code(0)]);
    assert_eq!((outcome.code, outcome.prompts.len()), (pam::AUTH_ERR, 1));
    sandbox.write("etc/pam_mfa/config.toml", "tries = 5\n");
    assert_granted(&sandbox.login("alice", &["", "", "", "", &alice.code(0)]));
}

#[test]
fn other_shapes_of_codes_are_let_in() {
    let sandbox = Sandbox::new();
    sandbox.at(NOW);
    let shape = ["--algorithm", "sha512", "--digits", "8", "--period", "60"];
    let enroll = ["enroll", "bob", "--no-verify", "--yes", "--json"];
    let json = sandbox.admin(&[&enroll[..], &shape].concat()).ok().stdout;
    let bob: Enrolled = serde_json::from_str(&json).expect("the JSON of enroll");
    let oath = mfa_tests::oath::Oath {
        algorithm: "sha512",
        digits: 8,
        period: 60,
        ..mfa_tests::oath::Oath::new(&bob.secret)
    };
    for time in [NOW - 60, NOW, NOW + 60] {
        assert_granted(&sandbox.login("bob", &[&oath.code_at(time)]));
    }
    assert!(!sandbox.login("bob", &[&oath.code_at(NOW + 120)]).granted());
}

#[test]
fn silence_hides_messages_but_no_prompts() {
    let (sandbox, alice) = Sandbox::with_alice();
    let answers = [&*alice.wrong_code(), &alice.backup_codes[0]];
    let outcome = sandbox.client("alice").silent().login(&answers);
    assert_granted(&outcome);
    // What went wrong is told with the next prompt: sudo is silent always.
    assert_eq!(outcome.shown(), format!("{PROMPT}\nWrong code. {PROMPT}\n"));
}

#[test]
fn alone_in_the_stack_it_gives_credentials_and_no_account() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.stack("auth required {mfa}\naccount required {mfa}\nsession required {mfa}\n");
    let outcome = sandbox.client("alice").session().login(&[&alice.code(0)]);
    assert_eq!(
        (outcome.code, outcome.setcred),
        (pam::SUCCESS, Some(pam::SUCCESS))
    );
    // It has no opinion there, and libpam wants one at least.
    assert_eq!(outcome.acct_mgmt, Some(pam::PERM_DENIED));
    assert_eq!(outcome.open_session, Some(pam::PERM_DENIED));
    sandbox.stack("auth required {mfa}\naccount required {mfa}\naccount required pam_permit.so\n");
    let outcome = sandbox.client("alice").skip_authenticate().login(&[]);
    assert_eq!(
        (outcome.acct_mgmt, outcome.prompts.len()),
        (Some(pam::SUCCESS), 0)
    );
}

#[test]
fn a_record_that_changes_while_the_prompt_is_open_is_said_to_have_changed() {
    let (sandbox, alice) = Sandbox::with_alice();
    for (command, answer) in [
        ("regenerate", alice.code(0)),
        ("disable", alice.backup_codes[0].clone()),
    ] {
        let mut session = sandbox.client("alice").start();
        session.prompt();
        sandbox.admin(&[command, "alice", "--yes"]).ok();
        session.answer(&answer);
        let outcome = session.finish();
        assert_eq!(
            outcome.errors,
            ["Your enrollment was changed just now. Log in again."]
        );
        assert_eq!(outcome.prompts.len(), 1);
    }
    let log = sandbox.decisions().join("\n");
    assert!(!log.contains("no valid state"), "{log}");
}
