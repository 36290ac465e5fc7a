//! Password and code in one answer: codes in a row, backup codes, suspended users.

use std::fs;

use mfa_tests::{
    PASSWORD,
    enrolled::{Enrolled, NOW, STEP},
    outcome::Outcome,
    pam,
    sandbox::Sandbox,
};

const STACK: &str = "auth required {mfa} forward_pass\n\
                     auth required pam_unix.so use_first_pass nodelay\n\
                     account required pam_permit.so\n";
const PLAIN: &str = "auth required {mfa} tries=10\n";

const ONE: &str = "Password and verification code: ";
const TWO: &str =
    "Password and 2 consecutive verification codes, or a backup code, in one answer: ";
const THREE: &str =
    "Password and 3 consecutive verification codes, or a backup code, in one answer: ";
const NEXT: &str = "Codes in a row are needed. Type the next code as soon as it changes: ";
const WRONG: &str = "Wrong code.";
const BACKUP_USED: &str = "This backup code was already used. Take another one.";
const SUSPENDED: &str = "Too many failed attempts: only a backup code helps now, or the administrator with mfa-admin unlock.";

/// Alice, of whom so many codes in a row are asked, for all free tries were used up.
fn with_alice_asked_for(codes: usize) -> (Sandbox, Enrolled) {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.stack(PLAIN);
    let wrong = alice.wrong_code();
    if codes > 1 {
        sandbox.login("alice", &[&*wrong; 10]);
    }
    if codes > 2 {
        let pair = format!("{wrong}{wrong}");
        (0..10).for_each(|_| drop(sandbox.login("alice", &[&*pair; 10])));
    }
    sandbox.stack(STACK);
    assert_eq!(status(&sandbox, "codes_in_a_row"), codes as u64);
    (sandbox, alice)
}

#[track_caller]
fn status(sandbox: &Sandbox, field: &str) -> u64 {
    let json = sandbox.admin(&["status", "alice", "--json"]).ok().stdout;
    let status: serde_json::Value = serde_json::from_str(&json).expect("the JSON of status");
    status[field].as_u64().expect("a number")
}

#[track_caller]
fn assert_granted(outcome: &Outcome) {
    assert!(outcome.granted(), "{outcome:#?}");
}

/// The letters `a`, `b` and `c` stand for three consecutive codes, the last of them that of the next
/// step; `P` for the password, `w` for a wrong code.
fn typed(answers: &[&str], alice: &Enrolled) -> Vec<String> {
    let spell = |letter: char| match letter {
        'a'..='c' => alice.code(i64::from(u32::from(letter)) - i64::from(u32::from('b'))),
        'P' => PASSWORD.to_owned(),
        'w' => alice.wrong_code(),
        other => other.to_string(),
    };
    let answers = answers.iter();
    answers
        .map(|answer| answer.chars().map(spell).collect())
        .collect()
}

fn login(sandbox: &Sandbox, alice: &Enrolled, answers: &[&str]) -> Outcome {
    let answers = typed(answers, alice);
    let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
    sandbox.login("alice", &answers)
}

#[test]
fn so_many_codes_as_are_needed_are_let_in_in_one_answer_or_in_several() {
    for (needed, answers) in [
        (1, &["Pb"][..]),
        (2, &["Pab"]),
        (2, &["Pbc"]),
        (2, &["Pa b "]),
        (2, &["Pa", "b"]),
        (3, &["Pabc"]),
        (3, &["Pa-b-c"]),
        (3, &["Pab", "c"]),
        (3, &["Pa", "bc"]),
        (3, &["Pa", "b", "c"]),
    ] {
        let (sandbox, alice) = with_alice_asked_for(needed);
        let failed = status(&sandbox, "failed_attempts");
        let outcome = login(&sandbox, &alice, answers);
        assert_granted(&outcome);
        let first = [ONE, TWO, THREE][needed - 1];
        let prompts = [first, NEXT, NEXT];
        assert_eq!(outcome.prompts, prompts[..answers.len()], "{answers:?}");
        assert_eq!(outcome.infos.len(), usize::from(failed > 0), "{outcome:#?}");
        // They are used up, and the password behind them is of no use.
        assert!(
            !login(&sandbox, &alice, answers).granted(),
            "{needed} {answers:?}"
        );
    }
}

#[test]
fn fewer_codes_or_wrong_ones_are_refused_and_nothing_is_told_of_which() {
    for (needed, answers) in [
        (2, &["Pw", "c"][..]),
        (2, &["Pb", "w"]),
        (2, &["Pb", "a"]),
        (2, &["Pa", "c"]),
        // A client with one field gives the same answer to every prompt.
        (2, &["Pb", "Pb"]),
        (2, &["Pb", "P"]),
        (2, &["Pb", ""]),
        (3, &["Pa", "b", "w"]),
        (3, &["Pw", "b", "c"]),
        (3, &["Pb", "Pb", "Pb"]),
        (3, &["Pab", "Pab"]),
    ] {
        let (sandbox, alice) = with_alice_asked_for(needed);
        let first = [ONE, TWO, THREE][needed - 1];
        let outcome = login(&sandbox, &alice, answers);
        assert_eq!(outcome.code, pam::AUTH_ERR, "{answers:?}");
        let mut prompts = vec![first];
        prompts.extend(vec![NEXT; answers.len() - 1]);
        prompts.push(first);
        assert_eq!(outcome.prompts, prompts, "{answers:?}");
        assert_eq!(outcome.errors, [WRONG], "{answers:?}");
        // None of the right ones among them was used up.
        assert_granted(&login(&sandbox, &alice, &["Pabc"[..=needed].as_ref()]));
    }
}

#[test]
fn a_run_that_is_broken_off_is_neither_judged_nor_charged() {
    for needed in [2, 3] {
        let (sandbox, alice) = with_alice_asked_for(needed);
        let before = status(&sandbox, "failed_attempts");
        let outcome = login(&sandbox, &alice, &["Pb"]);
        assert_eq!((outcome.code, outcome.prompts.len()), (pam::AUTH_ERR, 2));
        assert_eq!(status(&sandbox, "failed_attempts"), before);
    }
}

/// Never more, for a password may end in digits: here they are somebody's who has typed too much.
#[test]
fn no_more_codes_are_split_off_than_are_needed() {
    let (sandbox, alice) = with_alice_asked_for(2);
    assert!(!login(&sandbox, &alice, &["Pabc"]).granted());
    let granted = "granted user=alice method=totp";
    assert!(
        sandbox
            .decisions()
            .iter()
            .any(|line| line.contains(granted))
    );
}

#[test]
fn each_wrong_pair_behind_the_password_is_charged_once() {
    let (sandbox, alice) = with_alice_asked_for(2);
    let before = status(&sandbox, "failed_attempts");
    let outcome = login(&sandbox, &alice, &["Pww", "Pww", "Pww"]);
    assert_eq!(outcome.prompts, [TWO; 3]);
    assert_eq!(outcome.errors, [WRONG; 3]);
    assert_eq!(status(&sandbox, "failed_attempts"), before + 3);
}

#[test]
fn a_wrong_code_behind_the_password_is_charged_and_given_back_with_the_grant() {
    let (sandbox, alice) = with_alice_asked_for(1);
    login(&sandbox, &alice, &["Pw"]);
    assert_eq!(status(&sandbox, "failed_attempts"), 1);
    let outcome = login(&sandbox, &alice, &["Pw", "Pw", "Pb"]);
    assert_granted(&outcome);
    assert_eq!(outcome.infos.len(), 1, "{outcome:#?}");
    assert!(outcome.infos[0].starts_with("1 failed attempt since"));
}

#[test]
fn a_backup_code_behind_the_password_is_let_in_once_in_any_dress() {
    let dresses: [fn(&str) -> String; 6] = [
        str::to_owned,
        |code| code.replace('-', ""),
        str::to_uppercase,
        |code| code.replace('-', " "),
        |code| format!("{code}  "),
        |code| code.replace('-', " - "),
    ];
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.stack(STACK);
    for (place, dress) in dresses.into_iter().enumerate() {
        let answer = format!("{PASSWORD}{}", dress(&alice.backup_codes[place]));
        let outcome = sandbox.login("alice", &[&answer]);
        assert_granted(&outcome);
        assert_eq!(outcome.prompts, [ONE]);
        let again = sandbox.login("alice", &[&answer]);
        assert_eq!(
            (again.code, &*again.errors[0]),
            (pam::AUTH_ERR, BACKUP_USED)
        );
    }
    assert_eq!(status(&sandbox, "failed_attempts"), 0);
}

#[test]
fn the_password_before_a_backup_code_is_handed_on_to_the_byte() {
    let (sandbox, alice) = Sandbox::with_alice();
    let file = sandbox.path("handed-on");
    let tee = file.display();
    sandbox.stack(&format!(
        "auth required {{mfa}} forward_pass\n\
         auth required pam_exec.so quiet expose_authtok /usr/bin/tee {tee}\n\
         account required pam_permit.so\n"
    ));
    let passwords = [
        PASSWORD,
        "pw-",
        "pw ",
        "123456",
        "abcd-efgh-2345",
        "é",
        "--",
    ];
    for (password, code) in passwords.into_iter().zip(&alice.backup_codes) {
        let outcome = sandbox.login("alice", &[&format!("{password}{code}")]);
        assert_granted(&outcome);
        let handed_on = fs::read_to_string(&file).expect("what was handed on");
        assert_eq!(handed_on, password);
    }
}

#[test]
fn a_backup_code_is_used_up_by_a_wrong_password_too() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.stack(STACK);
    let code = &alice.backup_codes[0];
    let outcome = sandbox.login("alice", &[&format!("wrong{code}")]);
    assert_eq!((outcome.code, outcome.prompts.len()), (pam::AUTH_ERR, 1));
    let outcome = sandbox.login("alice", &[&format!("{PASSWORD}{code}")]);
    assert_eq!(outcome.errors[0], BACKUP_USED);
}

#[test]
fn a_password_that_looks_like_a_backup_code_is_a_password() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.stack("auth required {mfa} forward_pass\n");
    let outcome = sandbox.login("alice", &["abcd-efgh-2345"]);
    assert_eq!(outcome.errors, [WRONG]);
    assert!(sandbox.decisions()[0].contains("reason=no-code,no-answer "));
    let later = NOW + STEP;
    sandbox.at(later);
    let answer = format!("abcd-efgh-2345{}", alice.code_at(later));
    assert_granted(&sandbox.login("alice", &[&answer]));
}

#[test]
fn a_backup_code_is_enough_where_codes_in_a_row_are_asked_for() {
    for needed in [2, 3] {
        let (sandbox, alice) = with_alice_asked_for(needed);
        let answer = format!("{PASSWORD}{}", alice.backup_codes[0]);
        let outcome = sandbox.login("alice", &[&answer]);
        assert_granted(&outcome);
        assert_eq!(outcome.prompts.len(), 1);
    }
}

#[test]
fn who_is_suspended_gets_in_with_a_backup_code_alone() {
    let (sandbox, alice) = with_alice_asked_for(1);
    sandbox.write("etc/pam_mfa/config.toml", "suspend_after = 2\n");
    let outcome = login(&sandbox, &alice, &["Pw", "Pw", "Pb"]);
    assert_eq!(outcome.code, pam::MAXTRIES, "{outcome:#?}");
    assert_eq!(outcome.prompts, [ONE; 3]);
    assert_eq!(outcome.errors, [WRONG, WRONG, SUSPENDED]);
    // The right code is not used up by that.
    let outcome = login(&sandbox, &alice, &["Pb", "Pb"]);
    assert_eq!((outcome.code, outcome.prompts.len()), (pam::MAXTRIES, 1));
    let answer = format!("{PASSWORD}{}", alice.backup_codes[0]);
    assert_granted(&sandbox.login("alice", &[&answer]));
    assert_granted(&login(&sandbox, &alice, &["Pb"]));
}
