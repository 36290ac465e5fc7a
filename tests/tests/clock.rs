//! The clock of the machine is wrong, and right again: no panic, no code twice, and a line in the
//! log that says what to do.

use std::fs;

use mfa_core::{
    device::Shape,
    verdict::{Refusal, Verdict},
};
use mfa_tests::{
    enrolled::{Enrolled, NOW, REPLACE, STEP},
    lock::{self, wait_until_it_waits},
    outcome::Outcome,
    pam,
    sandbox::Sandbox,
    virtual_login::World,
};

const USED: &str = "This code was already used. Wait for the next one.";
const DAY: u64 = 86_400;

/// The code of that time, at that time.
#[track_caller]
fn log_in_at(sandbox: &Sandbox, alice: &Enrolled, time: u64) -> Outcome {
    sandbox.at(time).login("alice", &[&alice.code_at(time)])
}

#[track_caller]
fn assert_granted(outcome: &Outcome) {
    assert!(outcome.granted(), "{outcome:#?}");
    assert_eq!(outcome.prompts.len(), 1, "{outcome:#?}");
}

/// Refused at that time, whatever of its kind is typed, and told that it was used.
#[track_caller]
fn assert_used(sandbox: &Sandbox, time: u64, code: &str) {
    let outcome = sandbox.at(time).login("alice", &[code]);
    assert!(!outcome.granted(), "{outcome:#?}");
    assert_eq!(outcome.errors, [USED]);
}

/// Nothing that a phone shows gets in at that time, one code or three in a row; the log says why.
#[track_caller]
fn assert_behind(sandbox: &Sandbox, alice: &Enrolled, time: u64) {
    let row = [time - STEP, time, time + STEP].map(|time| alice.code_at(time));
    let one = sandbox.at(time).login("alice", &[&row[1]]);
    let in_turn = sandbox.login("alice", &row.each_ref().map(|code| &**code));
    let in_one_answer = sandbox.login("alice", &[&row.join(" ")]);
    for outcome in [one, in_turn, in_one_answer] {
        assert!(!outcome.granted(), "{time}: {outcome:#?}");
        let prompt = &outcome.prompts[0];
        assert!(prompt.starts_with("3 codes in a row"), "{outcome:#?}");
    }
    assert_told(sandbox);
}

/// The last login told in the log what is wrong with the clock.
#[track_caller]
fn assert_told(sandbox: &Sandbox) {
    let lines = sandbox.decisions();
    let line = &lines[lines.len() - 2];
    assert!(
        line.contains("caution user=alice warning=\"the clock of this machine is behind")
            && line.contains("users/2001.toml")
            && line.contains("Set the clock"),
        "{lines:#?}"
    );
}

#[test]
fn a_clock_set_back_and_corrected_brings_no_code_back() {
    let (sandbox, alice) = Sandbox::with_alice();
    let before = NOW - 600;
    // Used at its own time, ten minutes ago, and seen by somebody.
    assert_granted(&log_in_at(&sandbox, &alice, before));
    assert_granted(&log_in_at(&sandbox, &alice, NOW));
    assert_behind(&sandbox, &alice, before);
    // That of the right time explains itself in the log, and is not taken.
    let outcome = sandbox.at(before).login("alice", &[&alice.code(0)]);
    assert!(!outcome.granted(), "{outcome:#?}");

    for step in [-1, 0] {
        assert_used(&sandbox, NOW, &alice.code(step));
    }
    assert_granted(&log_in_at(&sandbox, &alice, NOW + STEP));
    assert_used(&sandbox, NOW + STEP, &alice.code(1));
}

#[test]
fn a_clock_a_day_ahead_and_back_brings_no_code_back() {
    let (sandbox, alice) = Sandbox::with_alice();
    assert_granted(&log_in_at(&sandbox, &alice, NOW));
    assert_granted(&log_in_at(&sandbox, &alice, NOW + DAY));
    assert_behind(&sandbox, &alice, NOW);
    // Backup codes know no time.
    let outcome = sandbox.login("alice", &[&alice.backup_codes[0]]);
    assert!(outcome.granted(), "{outcome:#?}");
    // New backup codes do not make the old ones of the phone good again.
    sandbox.admin(&["regenerate", "alice", "--json"]).ok();
    assert_behind(&sandbox, &alice, NOW);

    assert_used(&sandbox, NOW + DAY, &alice.code_at(NOW + DAY));
    assert_granted(&log_in_at(&sandbox, &alice, NOW + DAY + STEP));
}

#[test]
fn after_a_clock_that_was_ahead_a_new_enrollment_lets_in_at_once() {
    let (sandbox, alice) = Sandbox::with_alice();
    assert_granted(&log_in_at(&sandbox, &alice, NOW + 10 * DAY));
    assert_behind(&sandbox, &alice, NOW);
    let replaced = sandbox.admin(REPLACE).ok().stdout;
    let alice: Enrolled = serde_json::from_str(&replaced).expect("the JSON of enroll");
    assert_granted(&log_in_at(&sandbox, &alice, NOW));
}

#[test]
fn an_enrollment_while_the_clock_was_ahead_names_the_repair_when_it_is_corrected() {
    let sandbox = Sandbox::new();
    sandbox.at(NOW + 10 * DAY);
    let alice = sandbox.enroll("alice");
    assert_behind_or_in_a_row(&sandbox, &alice, NOW);
}

/// Nothing was used yet: one code is not enough, and three in a row are.
#[track_caller]
fn assert_behind_or_in_a_row(sandbox: &Sandbox, alice: &Enrolled, time: u64) {
    let outcome = sandbox.at(time).login("alice", &[&alice.code_at(time)]);
    assert!(!outcome.granted(), "{outcome:#?}");
    assert_told(sandbox);
    let row = [time - STEP, time, time + STEP].map(|time| alice.code_at(time));
    let outcome = sandbox.login("alice", &[&row.join(" ")]);
    assert!(outcome.granted(), "{outcome:#?}");
    let outcome = sandbox.login("alice", &[&row.join(" ")]);
    assert!(!outcome.granted(), "{outcome:#?}");
}

#[test]
fn the_clock_is_read_again_under_the_lock() {
    let (sandbox, alice) = Sandbox::with_alice();
    let clock = sandbox.path("clock");
    let set = |time: u64| fs::write(&clock, format!("{time}\n")).expect("set the clock");
    let held = lock::hold(&sandbox);
    set(NOW);
    let mut session = sandbox.client("alice").following(&clock).start();
    session.prompt();
    session.answer(&alice.code(0));
    wait_until_it_waits(session.pid());
    set(NOW + 3 * STEP);
    drop(held);
    // Right when it was typed, and its window has passed since.
    session.next_prompt();
    let outcome = session.finish();
    assert!(!outcome.granted(), "{outcome:#?}");
    assert_eq!(outcome.errors, ["Wrong code."]);
    let line = sandbox.decisions().pop().expect("a line");
    assert!(line.contains("clock off by about"), "{line}");
}

/// The last second before 1970, and the first days of 1960 and 1902.
const BEFORE_1970: [i64; 3] = [-1, -315_619_200, -2_145_916_800];

#[test]
fn before_1970_a_code_is_refused_and_a_backup_code_gets_in_once() {
    let (sandbox, alice) = Sandbox::with_alice();
    assert_granted(&log_in_at(&sandbox, &alice, NOW));
    for (number, date) in BEFORE_1970.into_iter().enumerate() {
        let row = [-1, 0, 1].map(|step| alice.code(step)).join(" ");
        for answer in [&alice.code(0), &row, &alice.code_at(0)] {
            let outcome = sandbox.client("alice").at_any(date).login(&[answer]);
            assert!(!outcome.granted(), "{date}: {outcome:#?}");
            assert_eq!(outcome.code, pam::AUTH_ERR, "{date}: {outcome:#?}");
            assert_told(&sandbox);
        }
        let lines = sandbox.decisions().join("\n");
        assert!(
            lines.contains("reason=clock-before-1970"),
            "{date}: {lines}"
        );
        let backup_code = &alice.backup_codes[number];
        let login = || sandbox.client("alice").at_any(date).login(&[backup_code]);
        assert!(login().granted(), "{date}");
        assert!(!login().granted(), "{date}");
        for arguments in [&["status", "alice"][..], &["list"], &["list", "--json"]] {
            sandbox.at_any(date).admin(arguments).ok();
        }
    }
    assert_used(&sandbox, NOW, &alice.code(0));
    assert_granted(&log_in_at(&sandbox, &alice, NOW + STEP));
}

#[test]
fn an_administrator_whose_clock_is_before_1970_loses_and_revives_nothing() {
    let (sandbox, alice) = Sandbox::with_alice();
    assert_granted(&log_in_at(&sandbox, &alice, NOW));
    let date = BEFORE_1970[1];
    sandbox
        .at_any(date)
        .admin(&["regenerate", "alice", "--json"])
        .ok();
    assert_used(&sandbox, NOW, &alice.code(0));
    assert_granted(&log_in_at(&sandbox, &alice, NOW + STEP));
    // State that is lost while the clock is wrong counts as used up to the present window.
    fs::remove_dir_all(sandbox.path("var/lib/pam_mfa/state/2001")).expect("remove the state");
    sandbox
        .at_any(date)
        .admin(&["regenerate", "alice", "--json"])
        .ok();
    assert!(
        !sandbox
            .at(NOW)
            .login("alice", &[&alice.backup_codes[0]])
            .granted()
    );
}

/// Beyond what 32 bits hold, with a sign and without; the last is later than Linux can be set to.
const FAR: [u64; 3] = [(1 << 31) + 25, (1 << 32) + 25, (1 << 33) + 25];

/// A year of five digits.
const YEAR_10000: u64 = 253_402_300_800 + 25;

#[test]
fn beyond_2106_a_code_gets_in_once() {
    for time in FAR {
        println!("at {time}");
        let (sandbox, alice) = Sandbox::with_alice();
        assert_granted(&log_in_at(&sandbox, &alice, NOW));
        assert_granted(&log_in_at(&sandbox, &alice, time));
        assert_used(&sandbox, time, &alice.code_at(time));
        assert_used(&sandbox, time, &alice.code_at(time - STEP));
        // What the same bits mean where some are cut off.
        let outcome = sandbox.login("alice", &[&alice.code_at(time & 0xffff_ffff)]);
        assert!(time <= u64::from(u32::MAX) || !outcome.granted());
        assert_granted(&log_in_at(&sandbox, &alice, time + STEP));
        assert!(sandbox.login("alice", &[&alice.backup_codes[0]]).granted());
        for arguments in [&["status", "alice"][..], &["list"], &["list", "--json"]] {
            sandbox.admin(arguments).ok();
        }
        sandbox.admin(&["regenerate", "alice", "--json"]).ok();
        assert_used(&sandbox, time + STEP, &alice.code_at(time + STEP));
        assert_behind(&sandbox, &alice, NOW);
    }
}

#[test]
fn an_enrollment_beyond_2106_works() {
    for time in FAR {
        let sandbox = Sandbox::new();
        sandbox.at(time);
        let alice = sandbox.enroll("alice");
        println!("at {time}");
        assert_granted(&log_in_at(&sandbox, &alice, time));
        assert_used(&sandbox, time, &alice.code_at(time));
        sandbox.admin(&["status", "alice"]).ok();
    }
}

#[test]
fn in_the_year_10000_nothing_panics() {
    let (sandbox, alice) = Sandbox::with_alice();
    assert_granted(&log_in_at(&sandbox, &alice, YEAR_10000));
    assert_used(&sandbox, YEAR_10000, &alice.code_at(YEAR_10000));
    for arguments in [&["status", "alice"][..], &["list"], &["list", "--json"]] {
        sandbox.admin(arguments).ok();
    }
}

/// Times at which sums and products of seconds overflow.
const ABSURD: [i64; 9] = [
    i64::MIN,
    i64::MIN + 1,
    -(1 << 62),
    -1,
    0,
    1,
    i64::MAX / 30,
    i64::MAX - 1,
    i64::MAX,
];

#[test]
fn no_time_at_all_makes_it_panic_or_take_a_code_twice() {
    let directory = tempfile::tempdir().expect("a directory");
    let shapes = [
        Shape::default(),
        Shape {
            digits: 8,
            period: 60,
            ..Shape::default()
        },
    ];
    let start = NOW as i64;
    let world = World::new(directory, &shapes, start);
    let codes = [0, 1].map(|device| world.code_in(0, device));
    let (verdict, _) = world.login_with(&[&codes[0]]);
    assert!(matches!(verdict, Verdict::Granted(_)), "{verdict:?}");
    for time in ABSURD {
        world.now.set(time);
        let row = format!("{0}{0}{0}", codes[0]);
        for answer in [&codes[0], &codes[1], &row, &"000000".to_owned()] {
            let (verdict, _) = world.login_with(&[answer]);
            let refused = matches!(&verdict, Verdict::Refused(why)
                if !why.iter().any(|why| matches!(why, Refusal::Fault(_))));
            assert!(refused, "{time}: {verdict:?}");
        }
    }
    // The second device was not used yet: it is right again as soon as the clock is.
    world.now.set(start);
    let (verdict, _) = world.login_with(&[&codes[0]]);
    assert!(matches!(verdict, Verdict::Refused(_)), "{verdict:?}");
    let (verdict, told) = world.login_with(&[&codes[1]]);
    assert!(
        matches!(verdict, Verdict::Granted(_)),
        "{verdict:?} {told:?}"
    );
}
