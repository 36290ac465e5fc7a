//! Guessing is slowed down by asking for two and three codes in a row, and nobody is locked out.

use std::{
    collections::BTreeSet,
    fs,
    sync::{Barrier, mpsc},
    thread,
    time::{Duration, Instant},
};

use mfa_core::{
    Clock,
    device::Shape,
    log_line::Level,
    login::{Host, Request, Silence, Talk, login},
    paths::Root,
};
use mfa_tests::{
    PASSWORD,
    command::{LIMIT, run},
    enrolled::{Enrolled, NOW, STEP, now},
    machine::Machine,
    need, need_root,
    oath::Oath,
    outcome::Outcome,
    pam,
    protocol::Event,
    pty::Pty,
    sandbox::Sandbox,
    sshd::Sshd,
    virtual_login::World,
};
use serde_json::Value;
use zeroize::Zeroizing;

const ONE: &str = "Verification code or backup code: ";
const TWO: &str = "2 codes in a row are needed: type one now and the next when it changes, \
                   or type two consecutive codes in one answer, noted beforehand; or a backup code: ";
const THREE: &str = "3 codes in a row are needed: type one now and the next ones when they change, \
                     or type three consecutive codes in one answer, noted beforehand; or a backup code: ";
const NEXT: &str = "Codes in a row are needed. Type the next code as soon as it changes: ";
const WRONG: &str = "Wrong code.";
const USED: &str = "This code was already used. Wait for the next one.";
const SAME: &str = "That is the same code. Wait until it changes.";
const SUSPENDED: &str = "Too many failed attempts: only a backup code helps now, or the administrator with mfa-admin unlock.";

const DAY: u64 = 86_400;
const TODAY: u64 = NOW / DAY;

/// Two codes that alice's device does not show within an hour of [`NOW`].
fn two_wrong(alice: &Enrolled) -> [String; 2] {
    let codes = Oath::new(&alice.secret).codes_from(NOW - 4000, 270);
    let numbers = (0..).map(|number| format!("{number:06}"));
    let mut wrong = numbers.filter(|number| !codes.contains(number));
    [(); 2].map(|()| wrong.next().expect("there are more numbers than codes"))
}

/// What was charged to alice.
fn charges(sandbox: &Sandbox) -> BTreeSet<String> {
    let entries = fs::read_dir(sandbox.path("var/lib/pam_mfa/state/2001"));
    let names = entries
        .expect("alice's state")
        .map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.into_string().expect("a name of ours"));
    names.filter(|name| !name.starts_with("block-")).collect()
}

/// Uses all single guesses of ten days up.
fn use_up_guesses(sandbox: &Sandbox) {
    (TODAY - 9..=TODAY).for_each(|day| charge(sandbox, &format!("guess-{day}")));
}

/// Uses all pairs of ten days up.
fn use_up_pairs(sandbox: &Sandbox) {
    for day in TODAY - 9..=TODAY {
        (0..10).for_each(|number| charge(sandbox, &format!("pair-{day}-{number}")));
    }
}

fn charge(sandbox: &Sandbox, name: &str) {
    let path = sandbox.path("var/lib/pam_mfa/state/2001").join(name);
    fs::write(path, "").expect("charge for a guess");
}

/// Alice, of whom two codes in a row are asked.
fn with_alice_asked_for_two() -> (Sandbox, Enrolled) {
    let (sandbox, alice) = Sandbox::with_alice();
    use_up_guesses(&sandbox);
    (sandbox, alice)
}

/// Alice, of whom three codes in a row are asked.
fn with_alice_asked_for_three() -> (Sandbox, Enrolled) {
    let (sandbox, alice) = with_alice_asked_for_two();
    use_up_pairs(&sandbox);
    (sandbox, alice)
}

/// How many codes each refused try had.
fn evaluations(outcome: &Outcome) -> Vec<usize> {
    let (mut typed, mut tries) = (0, Vec::new());
    for event in &outcome.events {
        match event {
            Event::Prompt { .. } => typed += 1,
            Event::Error { .. } => tries.push(std::mem::take(&mut typed)),
            _ => {}
        }
    }
    tries
}

#[track_caller]
fn assert_granted(outcome: &Outcome) {
    assert!(outcome.granted(), "{outcome:#?}");
}

/// A refused try that showed this, and left these charges.
#[track_caller]
fn assert_refused(outcome: &Outcome, shown: &[&str]) {
    assert_eq!(outcome.code, pam::AUTH_ERR, "{outcome:#?}");
    let lines: String = shown.iter().map(|line| format!("{line}\n")).collect();
    assert_eq!(outcome.shown(), lines);
}

fn last_line(sandbox: &Sandbox) -> String {
    sandbox.decisions().pop().expect("a line")
}

#[test]
fn ten_wrong_codes_are_judged_one_by_one_and_then_two_in_a_row_are_asked_for() {
    let (sandbox, alice) = Sandbox::with_alice();
    let wrong = alice.wrong_code();
    for _ in 0..3 {
        let outcome = sandbox.login("alice", &[&wrong, &wrong, &wrong]);
        assert_refused(&outcome, &[ONE, WRONG, ONE, WRONG, ONE, WRONG]);
    }
    // The tenth guess, and in the same call the first of a pair.
    let outcome = sandbox.login("alice", &[&wrong, &wrong]);
    assert_refused(&outcome, &[ONE, WRONG, TWO, NEXT]);
    let guesses: BTreeSet<_> = (TODAY - 9..=TODAY)
        .map(|day| format!("guess-{day}"))
        .collect();
    assert_eq!(charges(&sandbox), guesses);

    // A right code alone is not enough, and not used up by the attempt.
    let outcome = sandbox.login("alice", &[&alice.code(-1)]);
    assert_refused(&outcome, &[TWO, NEXT]);
    let outcome = sandbox.login("alice", &[&alice.code(-1), &alice.code(0)]);
    assert_granted(&outcome);
    assert_eq!(outcome.prompts, [TWO, NEXT]);
    // The codes are used, both; and the guesses stay used up.
    for step in [-1, 0] {
        let codes = [alice.code(step), alice.code(step + 1)];
        let outcome = sandbox.login("alice", &[&codes[0], &codes[1]]);
        assert_refused(&outcome, &[TWO, NEXT, WRONG, TWO]);
    }
}

#[test]
fn two_codes_one_after_the_other_or_in_one_answer() {
    let ways: [fn(String, String) -> Vec<String>; 5] = [
        |first, second| vec![first, second],
        |first, second| vec![format!("{first}{second}")],
        |first, second| vec![format!(" {first} {second} ")],
        |first, second| {
            vec![format!(
                "{}-{} {} {}",
                &first[..3],
                &first[3..],
                &second[..3],
                &second[3..]
            )]
        },
        |first, second| {
            vec![
                format!(" {} {}", &first[..3], &first[3..]),
                format!("{second}\t"),
            ]
        },
    ];
    for way in ways {
        for step in [-2, -1, 0] {
            let (sandbox, alice) = with_alice_asked_for_two();
            let answers = way(alice.code(step), alice.code(step + 1));
            let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
            let outcome = sandbox.login("alice", &answers);
            assert_granted(&outcome);
            assert_eq!(outcome.prompts, [TWO, NEXT][..answers.len()], "{answers:?}");
            assert!(!sandbox.login("alice", &answers).granted(), "{answers:?}");
        }
    }
}

#[test]
fn two_codes_that_are_not_consecutive_or_not_of_now_are_refused() {
    let (sandbox, alice) = with_alice_asked_for_two();
    for steps in [[0, -1], [-1, 1], [-3, -2], [1, 2], [-2, 0], [5, 6]] {
        let codes = steps.map(|step| alice.code(step));
        let outcome = sandbox.login("alice", &[&codes[0], &codes[1]]);
        assert_refused(&outcome, &[TWO, NEXT, WRONG, TWO]);
        let outcome = sandbox.login("alice", &[&codes.concat()]);
        assert_refused(&outcome, &[TWO, WRONG, TWO]);
    }
}

/// Types the code that the device shows after each wait.
struct Patient<'w> {
    world: &'w World,
    waits: Vec<i64>,
}

impl Talk for Patient<'_> {
    fn ask(&mut self, _: &str, _: bool) -> Result<Zeroizing<Vec<u8>>, Silence> {
        if self.waits.is_empty() {
            return Err(Silence::NoAnswer);
        }
        self.world.pass(self.waits.remove(0));
        Ok(self.world.code_in(0, 0).into_bytes().into())
    }

    fn tell(&mut self, _: &str) {}

    fn warn(&mut self, _: &str) {}
}

#[test]
fn codes_in_a_row_are_typed_as_the_device_shows_them() {
    // In the middle of a step; how long the owner waits before each code; whether he gets in.
    let cases: [(usize, &[i64], bool); 6] = [
        (0, &[0, 30], true),
        (0, &[10, 5, 20], true),
        // One was missed; it is typed before the wait and not after.
        (0, &[0, 60], false),
        (100, &[0, 30, 30], true),
        (100, &[14, 16, 44], true),
        (100, &[0, 30], false),
    ];
    for (pairs, waits, granted) in cases {
        let world = World::new(
            tempfile::tempdir().expect("a directory"),
            &[Shape::default()],
            NOW as i64,
        );
        let state = world.path().join("var/lib/pam_mfa/state/0");
        for day in TODAY - 9..=TODAY {
            fs::write(state.join(format!("guess-{day}")), "").expect("charge for a guess");
            for number in 0..pairs / 10 {
                let pair = state.join(format!("pair-{day}-{number}"));
                fs::write(pair, "").expect("charge for a pair");
            }
        }
        let waits = waits.to_vec();
        let verdict = world.login(&mut Patient {
            world: &world,
            waits: waits.clone(),
        });
        let got_in = matches!(verdict, mfa_core::verdict::Verdict::Granted(_));
        assert_eq!(got_in, granted, "{pairs} {waits:?} {verdict:?}");
    }
}

#[test]
fn a_hundred_wrong_pairs_are_judged_and_then_three_in_a_row_are_asked_for() {
    let (sandbox, alice) = with_alice_asked_for_two();
    let pair = two_wrong(&alice).join(" ");
    for _ in 0..33 {
        let outcome = sandbox.login("alice", &[&pair, &pair, &pair]);
        assert_refused(&outcome, &[TWO, WRONG, TWO, WRONG, TWO, WRONG]);
    }
    let outcome = sandbox.login("alice", &[&pair, &pair]);
    assert_refused(&outcome, &[TWO, WRONG, THREE, NEXT]);
    assert_eq!(charges(&sandbox).len(), 110);

    // Neither one nor two are enough now.
    let [a, b, c] = [-1, 0, 1].map(|step| alice.code(step));
    assert_refused(&sandbox.login("alice", &[&a, &b]), &[THREE, NEXT, NEXT]);
    assert_refused(&sandbox.login("alice", &[&b, &c]), &[THREE, NEXT, NEXT]);
    let outcome = sandbox.login("alice", &[&format!("{a} {b}")]);
    assert_refused(&outcome, &[THREE, NEXT]);
    let outcome = sandbox.login("alice", &[&a, &b, &c]);
    assert_granted(&outcome);
    assert_eq!(outcome.prompts, [THREE, NEXT, NEXT]);
    assert_eq!(charges(&sandbox).len(), 110);
}

#[test]
fn three_codes_in_any_number_of_answers() {
    for answers in [
        &["a b c"][..],
        &["abc"],
        &["a", "b c"],
        &["a b", "c"],
        &["a", "b", "c"],
    ] {
        let (sandbox, alice) = with_alice_asked_for_three();
        let typed: Vec<String> = answers
            .iter()
            .map(|answer| {
                let answer = answer.replace('a', &alice.code(-1));
                answer
                    .replace('b', &alice.code(0))
                    .replace('c', &alice.code(1))
            })
            .collect();
        let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
        let outcome = sandbox.login("alice", &typed);
        assert_granted(&outcome);
        assert_eq!(outcome.prompts, [THREE, NEXT, NEXT][..typed.len()]);
    }
}

#[test]
fn of_a_wrong_pair_nothing_is_told() {
    let (sandbox, alice) = with_alice_asked_for_two();
    let (right, next, wrong) = (alice.code(0), alice.code(1), alice.wrong_code());
    let far_off = alice.code(20);
    let long = "1".repeat(600);
    for pair in [
        [&*right, &*wrong],
        [&wrong, &next],
        [&wrong, &right],
        [&right, &far_off],
        [&right, ""],
        [&right, "what?"],
        [&right, "12345"],
        [&wrong, "what?"],
        [&right, PASSWORD],
        [&right, &long],
    ] {
        let before = charges(&sandbox).len();
        let outcome = sandbox.login("alice", &pair);
        assert_refused(&outcome, &[TWO, NEXT, WRONG, TWO]);
        assert_eq!(charges(&sandbox).len(), before + 1, "{pair:?}");
    }
    // Neither the right code nor the next one was used up by all that.
    assert_granted(&sandbox.login("alice", &[&right, &next]));
}

#[test]
fn of_three_wrong_codes_nothing_is_told() {
    let (sandbox, alice) = with_alice_asked_for_three();
    let right = [-1, 0, 1].map(|step| alice.code(step));
    for wrong in ["what?", &alice.wrong_code(), ""] {
        for place in 0..3 {
            if place == 0 && !wrong.starts_with('0') {
                continue;
            }
            let mut row = right.clone();
            row[place] = wrong.to_owned();
            let outcome = sandbox.login("alice", &row.each_ref().map(|code| &**code));
            assert_refused(&outcome, &[THREE, NEXT, NEXT, WRONG, THREE]);
        }
    }
    assert_eq!(charges(&sandbox).len(), 110);
    assert_granted(&sandbox.login("alice", &[&right.concat()]));
}

#[test]
fn what_cannot_be_a_code_is_refused_at_once_and_costs_nothing() {
    for make in [with_alice_asked_for_two, with_alice_asked_for_three] {
        let (sandbox, _) = make();
        let before = charges(&sandbox);
        let outcome = sandbox.login("alice", &["what?", "", "12345"]);
        assert_eq!(outcome.errors, [WRONG; 3]);
        assert_eq!(charges(&sandbox), before);
        assert!(last_line(&sandbox).contains("reason=no-code,no-code,no-code"));
    }
}

#[test]
fn a_used_code_in_a_pair_is_just_wrong() {
    let (sandbox, alice) = Sandbox::with_alice();
    assert_granted(&sandbox.login("alice", &[&alice.code(0)]));
    use_up_guesses(&sandbox);
    for steps in [[-1, 0], [0, 1]] {
        let [first, second] = steps.map(|step| alice.code(step));
        let outcome = sandbox.login("alice", &[&first, &second]);
        assert_refused(&outcome, &[TWO, NEXT, WRONG, TWO]);
        assert!(
            last_line(&sandbox).contains("reason=replayed-code,no-answer"),
            "{}",
            last_line(&sandbox)
        );
    }
    // It tells a guesser nothing, so it costs what a wrong pair costs.
    assert_eq!(charges(&sandbox).len(), 12);
    // Unused ones are let in, once.
    let later = NOW + STEP;
    let pair = [alice.code(1), alice.code(2)].concat();
    assert_granted(&sandbox.client("alice").at(later).login(&[&pair]));
    let again = sandbox.client("alice").at(later).login(&[&pair]);
    assert_refused(&again, &[TWO, WRONG, TWO]);
}

#[test]
fn two_codes_are_as_good_as_one_where_one_is_asked_for_and_a_wrong_pair_costs_a_pair() {
    let (sandbox, alice) = Sandbox::with_alice();
    let outcome = sandbox.login("alice", &[&two_wrong(&alice).concat()]);
    assert_refused(&outcome, &[ONE, WRONG, ONE]);
    let oldest = format!("pair-{}-0", TODAY - 9);
    assert_eq!(charges(&sandbox), BTreeSet::from([oldest]));
    let pair = [alice.code(0), alice.code(1)].concat();
    assert_granted(&sandbox.login("alice", &[&pair]));
    assert_eq!(sandbox.login("alice", &[&alice.code(0)]).errors, [USED]);
    assert_eq!(sandbox.login("alice", &[&alice.code(1)]).errors, [USED]);
}

#[test]
fn the_same_code_twice_is_told_three_times_and_costs_no_try() {
    let (sandbox, alice) = with_alice_asked_for_two();
    let (right, next) = (alice.code(0), alice.code(1));
    let outcome = sandbox.login("alice", &[&right, &right, &right, &right, &next]);
    assert_granted(&outcome);
    assert_eq!(outcome.prompts, [TWO, NEXT, NEXT, NEXT, NEXT]);
    assert_eq!(outcome.infos[..3], [SAME; 3]);
    assert_eq!(outcome.errors, [""; 0]);
    assert_eq!(charges(&sandbox).len(), 10);

    let wrong = alice.wrong_code();
    let outcome = sandbox.login("alice", &[&*wrong; 5]);
    assert_refused(
        &outcome,
        &[TWO, NEXT, SAME, NEXT, SAME, NEXT, SAME, NEXT, WRONG, TWO],
    );
    assert_eq!(charges(&sandbox).len(), 11);
}

#[test]
fn a_backup_code_helps_at_every_prompt() {
    for make in [with_alice_asked_for_two, with_alice_asked_for_three] {
        let (sandbox, alice) = make();
        let before = charges(&sandbox);
        let (right, wrong) = (alice.code(0), alice.wrong_code());
        let openings: [&[&str]; 5] = [
            &[],
            &["what?"],
            &[&right],
            &[&wrong],
            &[&right, &right, &right],
        ];
        for (opening, code) in openings.into_iter().zip(&alice.backup_codes) {
            let outcome = sandbox.login("alice", &[opening, &[code]].concat());
            assert_granted(&outcome);
            assert!(
                outcome.infos.iter().any(|info| info.contains("left")),
                "{outcome:#?}"
            );
        }
        assert_eq!(charges(&sandbox), before);
        // The code that was typed first was not used up.
        let row = [-1, 0, 1].map(|step| alice.code(step)).concat();
        assert_granted(&sandbox.login("alice", &[&row]));
    }
}

#[test]
fn a_wrong_backup_code_costs_nothing_and_is_never_throttled() {
    let (sandbox, alice) = with_alice_asked_for_three();
    let before = charges(&sandbox);
    let outcome = sandbox.login("alice", &["aaaa-aaaa-aaaa"; 3]);
    assert_refused(&outcome, &[THREE, WRONG, THREE, WRONG, THREE, WRONG]);
    let outcome = sandbox.login(
        "alice",
        &[&alice.code(0), "aaaa-aaaa-aaaa", &alice.backup_codes[0]],
    );
    assert_granted(&outcome);
    assert_eq!(charges(&sandbox), before);
}

#[test]
fn no_answer_ends_a_run_and_charges_nothing() {
    let (sandbox, alice) = with_alice_asked_for_two();
    for answers in [&[][..], &[&*alice.code(0)], &[&alice.wrong_code()]] {
        let outcome = sandbox.login("alice", answers);
        assert_refused(&outcome, &[TWO, NEXT][..=answers.len()]);
        assert!(last_line(&sandbox).contains("reason=no-answer"));
    }
    assert_eq!(charges(&sandbox).len(), 10);
    assert_granted(&sandbox.login("alice", &[&alice.code(0), &alice.code(1)]));
}

#[test]
fn typing_errors_cost_nothing_if_the_same_login_ends_well() {
    let (sandbox, alice) = Sandbox::with_alice();
    let wrong = alice.wrong_code();
    let outcome = sandbox.login("alice", &[&wrong, &wrong, &alice.code(0)]);
    assert_granted(&outcome);
    assert_eq!((charges(&sandbox).len(), &*outcome.infos), (0, &[][..]));

    // Another login gives nothing back.
    sandbox.login("alice", &[&wrong, &wrong, &wrong]);
    assert_granted(&sandbox.login("alice", &[&wrong, &alice.code(1)]));
    assert_eq!(charges(&sandbox).len(), 3);
    assert_granted(&sandbox.login("alice", &[&wrong, &alice.backup_codes[0]]));
    assert_eq!(charges(&sandbox).len(), 3);
}

#[test]
fn wrong_pairs_cost_nothing_if_the_same_login_ends_well() {
    let (sandbox, alice) = with_alice_asked_for_two();
    let pair = two_wrong(&alice).concat();
    let right = [alice.code(-1), alice.code(0)].concat();
    assert_granted(&sandbox.login("alice", &[&pair, &pair, &right]));
    assert_eq!(charges(&sandbox).len(), 10);
    sandbox.login("alice", &[&pair, &pair, &pair]);
    let right = [alice.code(1), alice.code(2)].concat();
    let later = sandbox.client("alice").at(NOW + STEP).login(&[&right]);
    assert_granted(&later);
    assert_eq!(charges(&sandbox).len(), 13);
}

#[test]
fn a_second_call_on_the_same_handle_gives_nothing_back() {
    let (sandbox, alice) = Sandbox::with_alice();
    let wrong = alice.wrong_code();
    let outcome = sandbox
        .client("alice")
        .calls(2)
        .login(&[&wrong, &wrong, &wrong, &alice.code(0)]);
    assert_eq!(outcome.codes, [pam::AUTH_ERR, pam::SUCCESS]);
    assert_eq!(charges(&sandbox).len(), 3);
}

#[test]
fn a_right_code_that_was_used_already_costs_nothing() {
    let (sandbox, alice) = Sandbox::with_alice();
    assert_granted(&sandbox.login("alice", &[&alice.code(0)]));
    let (right, older, wrong) = (alice.code(0), alice.code(-1), alice.wrong_code());
    for _ in 0..5 {
        let outcome = sandbox.login("alice", &[&right, &older, &right]);
        assert_eq!(outcome.errors, [USED; 3]);
        assert_eq!(charges(&sandbox).len(), 0);
    }
    // What was wrong beside it stays charged.
    let outcome = sandbox.login("alice", &[&right, &wrong, &right]);
    assert_eq!(outcome.errors, [USED, WRONG, USED]);
    assert_eq!(charges(&sandbox).len(), 1);
}

#[test]
fn a_device_of_eight_digits() {
    let sandbox = Sandbox::new();
    sandbox.at(NOW);
    let enroll = [
        "enroll",
        "alice",
        "--digits",
        "8",
        "--no-verify",
        "--yes",
        "--json",
    ];
    let alice: Enrolled = serde_json::from_str(&sandbox.admin(&enroll).ok().stdout).expect("JSON");
    let oath = Oath {
        digits: 8,
        ..Oath::new(&alice.secret)
    };
    let codes = oath.codes_from(NOW, 2);
    let mut wrong = (0..)
        .map(|n| format!("{n:08}"))
        .filter(|n| !codes.contains(n));
    let [w, v] = [(); 2].map(|()| wrong.next().expect("there are more numbers than codes"));
    // Six digits cannot be a code of hers.
    sandbox.login("alice", &["123456"; 3]);
    assert_eq!(charges(&sandbox).len(), 0);
    for _ in 0..3 {
        sandbox.login("alice", &[&w, &w, &w]);
    }
    let outcome = sandbox.login("alice", &[&w, &w, &v, &format!("{v} {w}")]);
    assert_refused(&outcome, &[ONE, WRONG, TWO, NEXT, WRONG, TWO, WRONG]);
    assert_eq!(charges(&sandbox).len(), 12);
    assert_granted(&sandbox.login("alice", &[&format!("{} {}", codes[0], codes[1])]));
}

#[test]
fn each_day_gives_one_guess_and_ten_pairs_more() {
    let (sandbox, alice) = with_alice_asked_for_three();
    let wrong = two_wrong(&alice);
    let midnight = (TODAY + 1) * DAY;
    sandbox.at(midnight - 1);
    let row = wrong[0].as_str();
    assert_refused(&sandbox.login("alice", &[row]), &[THREE, NEXT]);
    sandbox.at(midnight);
    let outcome = sandbox.login("alice", &[row, row, &wrong[1]]);
    assert_refused(&outcome, &[ONE, WRONG, TWO, NEXT, WRONG, TWO]);
    for _ in 0..3 {
        sandbox.login("alice", &[&*wrong.concat(); 3]);
    }
    assert_refused(&sandbox.login("alice", &[row]), &[THREE, NEXT]);
    // On the tenth day all are free again.
    sandbox.at(midnight + 10 * DAY);
    let shown = sandbox.admin(&["status", "alice"]).ok().stdout;
    let asked_for = "Asked for     1 code, for 10 failed tries more; then 2 in a row\n";
    assert!(shown.contains(asked_for), "{shown}");
}

#[test]
fn failures_are_told_after_the_next_login_and_not_again() {
    let (sandbox, alice) = Sandbox::with_alice();
    let wrong = alice.wrong_code();
    let told = |count: &str| {
        format!("{count} since your last login. If that was not you, somebody knows your password.")
    };
    sandbox.login("alice", &[&wrong, &wrong, &wrong]);
    // The owner's own typing error is none.
    let outcome = sandbox.login("alice", &[&wrong, &alice.code(-1)]);
    assert_granted(&outcome);
    assert_eq!(outcome.infos, [told("3 failed attempts")]);
    let granted = "granted user=alice method=totp device=phone failures=3 rhost=";
    assert!(last_line(&sandbox).contains(granted));
    let outcome = sandbox.login("alice", &[&alice.code(0)]);
    assert_granted(&outcome);
    assert_eq!(outcome.infos, [""; 0]);

    // One; after a backup code too; and pairs as well.
    sandbox.login("alice", &[&wrong]);
    let outcome = sandbox.login("alice", &[&alice.backup_codes[0]]);
    let left = "9 backup codes are left.".to_owned();
    assert_eq!(outcome.infos, [left, told("1 failed attempt")]);
    sandbox.login("alice", &[&two_wrong(&alice).concat(), &wrong]);
    let outcome = sandbox.login("alice", &[&alice.code(1)]);
    assert_granted(&outcome);
    assert_eq!(outcome.infos, [told("2 failed attempts")]);
}

#[test]
fn failures_are_told_although_older_ones_were_forgotten_meanwhile() {
    let (sandbox, alice) = Sandbox::with_alice();
    let wrong = alice.wrong_code();
    sandbox.login("alice", &[&wrong, &wrong, &wrong]);
    assert_granted(&sandbox.login("alice", &[&alice.code(0)]));
    // Three days on, the names of those three are no longer counted.
    let later = NOW + 3 * DAY;
    sandbox.at(later);
    let wrong = alice.wrong_code_at(later);
    sandbox.login("alice", &[&wrong, &wrong]);
    let outcome = sandbox.login("alice", &[&alice.code_at(later)]);
    assert_granted(&outcome);
    let told = outcome.infos.first().map_or("nothing", String::as_str);
    assert!(told.starts_with("2 failed attempts since"), "{told}");
}

/// `failed_attempts` and `codes_in_a_row` of `status --json`.
fn status(sandbox: &Sandbox) -> (u64, u64) {
    let json = sandbox.admin(&["status", "alice", "--json"]).ok().stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let number = |field: &str| json[field].as_u64().expect("a number");
    (number("failed_attempts"), number("codes_in_a_row"))
}

#[track_caller]
fn assert_status(sandbox: &Sandbox, failed: u64, asked_for: &str) {
    let shown = sandbox.admin(&["status", "alice"]).ok().stdout;
    let lines: Vec<&str> = shown.lines().collect();
    for line in [
        format!("Failed since  {failed}"),
        format!("Asked for     {asked_for}"),
    ] {
        assert!(lines.contains(&&*line), "no {line:?} in {shown}");
    }
    let codes = asked_for[..1].parse().expect("a number of codes");
    assert_eq!(status(sandbox), (failed, codes));
}

#[test]
fn status_tells_what_is_asked_for_and_what_is_left() {
    let (sandbox, alice) = Sandbox::with_alice();
    let wrong = two_wrong(&alice);
    assert_status(
        &sandbox,
        0,
        "1 code, for 10 failed tries more; then 2 in a row",
    );
    sandbox.login("alice", &[&wrong[0]; 3].map(|code| code.as_str()));
    assert_status(
        &sandbox,
        3,
        "1 code, for 7 failed tries more; then 2 in a row",
    );
    assert_granted(&sandbox.login("alice", &[&alice.code(0)]));
    assert_status(
        &sandbox,
        0,
        "1 code, for 7 failed tries more; then 2 in a row",
    );
    for _ in 0..2 {
        sandbox.login("alice", &[&wrong[0]; 3].map(|code| code.as_str()));
    }
    assert_status(
        &sandbox,
        6,
        "1 code, for 1 failed try more; then 2 in a row",
    );
    sandbox.login("alice", &[&wrong[0], &wrong[0], &wrong[1]]);
    assert_status(
        &sandbox,
        8,
        "2 codes in a row, for 99 failed tries more; then 3",
    );
    use_up_pairs(&sandbox);
    assert_status(&sandbox, 107, "3 codes in a row");
}

#[test]
fn unlock_gives_the_first_row_back() {
    let rows: [fn(&Sandbox); 3] = [use_up_guesses, use_up_pairs, |sandbox| {
        use_up_guesses(sandbox);
        use_up_pairs(sandbox);
        (0..=2000).for_each(|n| charge(sandbox, &format!("pair-junk{n}")));
    }];
    for use_up in rows {
        let (sandbox, alice) = Sandbox::with_alice();
        use_up(&sandbox);
        let shown = sandbox.admin(&["unlock", "alice"]).ok().stdout;
        assert_eq!(
            shown,
            "The failed attempts of alice are forgotten. A login asks for one code.\n"
        );
        assert_eq!(charges(&sandbox).len(), 0);
        assert_eq!(status(&sandbox), (0, 1));
        let outcome = sandbox.login("alice", &[&alice.code(0)]);
        assert_granted(&outcome);
        assert_eq!(outcome.shown(), format!("{ONE}\n"));
        assert_eq!(sandbox.login("alice", &[&alice.code(0)]).errors, [USED]);
    }
}

#[test]
fn nobody_can_be_unlocked_who_is_not_enrolled() {
    let (sandbox, _) = Sandbox::with_alice();
    let bob = sandbox.admin(&["unlock", "bob"]).failed();
    assert!(bob.stderr.contains("bob is not enrolled"), "{bob:?}");
    // With the accounts of the real system: libnss-wrapper has no words for somebody unknown.
    let mut command = sandbox.admin_command(&["unlock", "nobody-of-this-name"]);
    let nobody = run(command.env_remove("LD_PRELOAD"), "").failed();
    let text = "there is no user nobody-of-this-name";
    assert!(nobody.stderr.contains(text), "{nobody:?}");
    assert_eq!(states(&sandbox), ["2001"]);
}

/// The users of whom there is state, by their uids.
fn states(sandbox: &Sandbox) -> Vec<String> {
    let entries = fs::read_dir(sandbox.path("var/lib/pam_mfa/state")).expect("the state");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.into_string().expect("a uid"))
        .collect()
}

fn suspend_after(sandbox: &Sandbox, value: &str) {
    let lines = format!("suspend_after = {value}\ntries = 3\n");
    sandbox.write("etc/pam_mfa/config.toml", &lines);
}

#[track_caller]
fn assert_suspended(sandbox: &Sandbox, answers: &[&str]) {
    let before = charges(sandbox);
    let outcome = sandbox.login("alice", answers);
    assert_eq!(outcome.code, pam::MAXTRIES, "{outcome:#?}");
    assert_eq!(outcome.errors, [SUSPENDED]);
    assert!(last_line(sandbox).contains("reason=suspended "));
    assert_eq!(charges(sandbox), before);
}

#[test]
fn after_so_many_failures_only_a_backup_code_helps_if_the_configuration_says_so() {
    let (sandbox, alice) = Sandbox::with_alice();
    suspend_after(&sandbox, "5");
    let wrong = alice.wrong_code();
    sandbox.login("alice", &[&*wrong; 3]);
    sandbox.login("alice", &[&wrong]);
    // Four are too few.
    assert_granted(&sandbox.login("alice", &[&alice.code(-1)]));
    // From here on it counts anew.
    sandbox.login("alice", &[&*wrong; 3]);
    sandbox.login("alice", &[&*wrong; 2]);
    let right = alice.code(0);
    assert_suspended(&sandbox, &[&right]);
    assert_suspended(&sandbox, &[&wrong]);
    assert_suspended(
        &sandbox,
        &[&[-1, 0, 1].map(|step| alice.code(step)).concat()],
    );
    let shown = sandbox.admin(&["status", "alice"]).ok().stdout;
    let helps = "a backup code only (suspend_after), until: mfa-admin unlock alice";
    assert!(shown.contains(helps), "{shown}");
    let outcome = sandbox.login("alice", &[&alice.backup_codes[0]]);
    assert_granted(&outcome);
    assert!(
        outcome.infos[1].starts_with("5 failed attempts since"),
        "{outcome:#?}"
    );
    // Then codes are taken again; the refused one was not used up.
    assert_granted(&sandbox.login("alice", &[&right]));
}

#[test]
fn failures_of_the_same_login_count_as_well() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.write("etc/pam_mfa/config.toml", "suspend_after = 5\ntries = 10\n");
    let wrong = alice.wrong_code();
    let outcome = sandbox.login("alice", &[&*wrong; 10]);
    assert_eq!(outcome.code, pam::MAXTRIES);
    assert_eq!(
        outcome.errors,
        [WRONG, WRONG, WRONG, WRONG, WRONG, SUSPENDED]
    );
    assert_eq!(charges(&sandbox).len(), 5);
}

#[test]
fn after_so_many_failures_unlock_helps_as_well() {
    let (sandbox, alice) = Sandbox::with_alice();
    suspend_after(&sandbox, "5");
    let wrong = alice.wrong_code();
    sandbox.login("alice", &[&*wrong; 3]);
    sandbox.login("alice", &[&*wrong; 2]);
    assert_suspended(&sandbox, &[&alice.code(0)]);
    sandbox.admin(&["unlock", "alice"]).ok();
    let outcome = sandbox.login("alice", &[&alice.code(0)]);
    assert_granted(&outcome);
    assert_eq!(outcome.shown(), format!("{ONE}\n"));
}

#[test]
fn pairs_count_as_failures_too() {
    let (sandbox, alice) = with_alice_asked_for_two();
    sandbox.admin(&["regenerate", "alice", "--json"]).ok();
    suspend_after(&sandbox, "3");
    sandbox.login("alice", &[&*two_wrong(&alice).concat(); 3]);
    assert_suspended(&sandbox, &[&alice.code(0)]);
}

#[test]
fn a_wrong_limit_refuses_and_the_log_names_it() {
    for value in ["101", "-1", "\"five\"", "5.5"] {
        let (sandbox, alice) = Sandbox::with_alice();
        suspend_after(&sandbox, value);
        let outcome = sandbox.login("alice", &[&alice.code(0)]);
        assert_eq!(
            (outcome.code, outcome.prompts.len()),
            (pam::SERVICE_ERR, 0),
            "{value}"
        );
        let line = last_line(&sandbox);
        let named = line.contains("reason=config ") && line.contains("etc/pam_mfa/config.toml: ");
        assert!(named, "{line}");
        assert!(
            line.contains("suspend_after: expected a number from 0 to 100")
                || line.contains("line 1: "),
            "{line}"
        );
        suspend_after(&sandbox, "100");
        assert_granted(&sandbox.login("alice", &[&alice.code(0)]));
    }
}

#[test]
fn who_is_not_enrolled_is_asked_for_one_code_for_ever_and_leaves_nothing() {
    let (sandbox, _) = Sandbox::with_alice();
    suspend_after(&sandbox, "5");
    let shown = [ONE, WRONG].repeat(3);
    for user in ["bob", "nobody-of-this-name"] {
        for _ in 0..5 {
            let client = sandbox.client(user);
            let client = match user {
                "bob" => client,
                _ => client.real_accounts(),
            };
            let outcome = client.login(&["123456", "123456 654321", "abcd-efgh-2345"]);
            assert_refused(&outcome, &shown);
        }
    }
    assert_eq!(states(&sandbox), ["2001"]);
    assert!(!sandbox.path("run/pam_mfa").exists());
}

#[test]
fn a_right_code_is_let_in_while_another_login_is_failing() {
    let (sandbox, alice) = Sandbox::with_alice();
    let wrong = alice.wrong_code();
    let mut stranger = sandbox.client("alice").start();
    stranger.prompt();
    stranger.answer(&wrong);
    stranger.prompt();
    assert_granted(&sandbox.login("alice", &[&alice.code(-1)]));
    stranger.answer(&wrong);
    stranger.prompt();
    assert_granted(&sandbox.login("alice", &[&alice.backup_codes[0]]));
    stranger.answer(&wrong);
    assert_eq!(stranger.finish().code, pam::AUTH_ERR);

    // And while one is in the middle of a pair.
    use_up_guesses(&sandbox);
    let mut stranger = sandbox.client("alice").start();
    stranger.prompt();
    stranger.answer(&wrong);
    stranger.prompt();
    assert_granted(&sandbox.login("alice", &[&[alice.code(0), alice.code(1)].concat()]));
    assert_eq!(charges(&sandbox).len(), 10);
}

#[test]
fn while_strangers_hammer_the_owner_gets_in() {
    let (sandbox, alice) = Sandbox::with_alice();
    let [a, b] = two_wrong(&alice);
    let (tell, told) = mpsc::channel();
    let hammer = |tell: mpsc::Sender<Outcome>| {
        let login = || sandbox.login("alice", &[&*a, &b, &a, &b, &a, &b, &a, &b, &a]);
        // Until the owner has gone.
        while tell.send(login()).is_ok() {}
    };
    thread::scope(|scope| {
        for tell in [tell.clone(), tell.clone(), tell] {
            scope.spawn(|| hammer(tell));
        }
        // Before each of the owner's logins the strangers have failed once more.
        let told = told;
        let hammered = || {
            for _ in 0..3 {
                let outcome = told.recv_timeout(LIMIT).expect("a stranger");
                assert_eq!(outcome.code, pam::AUTH_ERR, "{outcome:#?}");
            }
        };
        for _ in 0..5 {
            hammered();
        }
        // Three in a row are enough whatever the strangers have used up by now.
        for step in 0..4 {
            hammered();
            let row = [0, 1, 2].map(|ahead| alice.code(3 * step + ahead)).concat();
            let time = NOW.saturating_add_signed((3 * step + 1) * STEP as i64);
            assert_granted(&sandbox.client("alice").at(time).login(&[&row]));
        }
        for code in &alice.backup_codes {
            hammered();
            assert_granted(&sandbox.login("alice", &[code]));
        }
    });
    assert!(charges(&sandbox).len() <= 110);
}

#[test]
fn an_answer_that_finds_nothing_free_any_more_becomes_the_first_of_a_pair() {
    let (sandbox, alice) = Sandbox::with_alice();
    (TODAY - 9..TODAY).for_each(|day| charge(&sandbox, &format!("guess-{day}")));
    let mut owner = sandbox.client("alice").start();
    assert_eq!(owner.prompt().text, ONE);
    // Meanwhile somebody takes the last guess.
    let outcome = sandbox.login("alice", &[&alice.wrong_code()]);
    assert_eq!(outcome.prompts, [ONE, TWO]);
    owner.answer(&alice.code(0));
    assert_eq!(owner.prompt().text, NEXT);
    owner.answer(&alice.code(1));
    let outcome = owner.finish();
    assert_granted(&outcome);
    assert_eq!(outcome.prompts, [ONE, NEXT]);
}

struct Still;

impl Clock for Still {
    fn now(&self) -> i64 {
        NOW as i64
    }
}

/// Types wrong codes and counts how many each judged try had.
#[derive(Default)]
struct Guesser {
    typed: usize,
    judged: [usize; 4],
}

impl Talk for Guesser {
    fn ask(&mut self, _: &str, _: bool) -> Result<Zeroizing<Vec<u8>>, Silence> {
        self.typed += 1;
        // Two codes in turn: the same one twice would be asked for again.
        let digit = [b'0', b'1'][self.typed % 2];
        Ok(Zeroizing::new(vec![digit; 6]))
    }

    fn tell(&mut self, _: &str) {}

    fn warn(&mut self, _: &str) {
        self.judged[std::mem::take(&mut self.typed).min(3)] += 1;
    }
}

fn guess(root: &Root) -> [usize; 4] {
    let request = Request {
        user: "root".to_owned(),
        service: "test".to_owned(),
        rhost: None,
        tty: None,
        authtok: None,
        options: Default::default(),
    };
    let silent = |_: Level, _: &str| {};
    let host = Host {
        root,
        clock: &Still,
        log: &silent,
    };
    let mut guesser = Guesser::default();
    login(&host, &request, &mut guesser);
    guesser.judged
}

#[test]
fn two_hundred_guessers_at_once_have_as_many_tries_as_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new(dir, &[Shape::default()], NOW as i64);
    let root = Root::new(world.path()).expect("an absolute path");
    let start = Barrier::new(200);
    let judged = thread::scope(|scope| {
        let guesser = || {
            start.wait();
            guess(&root)
        };
        let guessers: Vec<_> = (0..200).map(|_| scope.spawn(guesser)).collect();
        let judged = guessers
            .into_iter()
            .map(|guesser| guesser.join().expect("no guesser panics"));
        judged.fold([0; 4], |sum, one| [0, 1, 2, 3].map(|n| sum[n] + one[n]))
    });
    assert_eq!(judged, [0, 10, 100, 490]);
}

#[test]
fn processes_that_guess_at_once_have_as_many_tries_as_one() {
    const GUESSERS: usize = 24;
    let (sandbox, alice) = Sandbox::with_alice();
    let [a, b] = two_wrong(&alice);
    let answers: Vec<&str> = [&*a, &b].into_iter().cycle().take(12).collect();
    let sessions: Vec<_> = (0..GUESSERS)
        .map(|_| {
            let mut session = sandbox.client("alice").start();
            session.prompt();
            session
        })
        .collect();
    // All of them stand at their first prompt, which asks for one code.
    let judged: Vec<usize> = thread::scope(|scope| {
        let play = |mut session: mfa_tests::session::Session| {
            let answers = &answers;
            scope.spawn(move || {
                for answer in answers {
                    session.answer(answer);
                    if session.next_prompt().is_none() {
                        break;
                    }
                }
                session.finish()
            })
        };
        let players: Vec<_> = sessions.into_iter().map(play).collect();
        let outcomes = players
            .into_iter()
            .map(|player| player.join().expect("no guesser panics"));
        outcomes.flat_map(|outcome| evaluations(&outcome)).collect()
    });
    let of = |codes: usize| judged.iter().filter(|tried| **tried == codes).count();
    assert_eq!(
        (judged.len(), of(1), of(2)),
        (GUESSERS * 3, 10, GUESSERS * 3 - 10)
    );
    assert_eq!(charges(&sandbox).len(), GUESSERS * 3);
}

#[test]
fn of_a_crowded_directory_three_codes_are_asked_and_the_log_names_it() {
    let (sandbox, alice) = Sandbox::with_alice();
    (0..=2000).for_each(|n| charge(&sandbox, &format!("guess-junk{n}")));
    assert_eq!(status(&sandbox).1, 3);
    let outcome = sandbox.login("alice", &[&alice.code(0)]);
    assert_refused(&outcome, &[THREE, NEXT]);
    let lines = sandbox.decisions();
    let caution = lines.iter().find(|line| line.contains(": caution "));
    let caution = caution.unwrap_or_else(|| panic!("no caution in {lines:#?}"));
    for word in [
        "user=alice warning=",
        "var/lib/pam_mfa/state/2001",
        "mfa-admin unlock",
    ] {
        assert!(caution.contains(word), "{caution}");
    }
    assert_eq!(charges(&sandbox).len(), 2001);
    let row = [-1, 0, 1].map(|step| alice.code(step)).concat();
    assert_granted(&sandbox.login("alice", &[&row]));
    // Whoever typed right codes is asked for one again.
    assert_eq!((charges(&sandbox).len(), status(&sandbox).1), (0, 1));
}

#[test]
fn names_of_any_kind_count_as_charges() {
    let (sandbox, alice) = Sandbox::with_alice();
    let state = sandbox.path("var/lib/pam_mfa/state/2001");
    for day in TODAY - 9..=TODAY {
        let name = state.join(format!("guess-{day}"));
        match day % 3 {
            0 => fs::create_dir(name).expect("make a directory"),
            1 => std::os::unix::fs::symlink("/nowhere", name).expect("make a link"),
            _ => nix::unistd::mkfifo(&name, nix::sys::stat::Mode::S_IRWXU).expect("make a fifo"),
        }
    }
    let outcome = sandbox.login("alice", &[&alice.code(0), &alice.code(1)]);
    assert_granted(&outcome);
    assert_eq!(outcome.prompts, [TWO, NEXT]);
}

/// So many consecutive codes, the last of which is the next one: good already, and for two steps.
fn row(user: &Enrolled, count: usize) -> String {
    let first = now() + STEP - (count as u64 - 1) * STEP;
    Oath::new(&user.secret).codes_from(first, count).join(" ")
}

const STACK: &str = "auth required pam_unix.so\nauth required pam_mfa.so\n";

/// A machine with this service, on which strangers have used up alice's guesses, and her pairs if so
/// wished. Those of tomorrow too, for it may be midnight.
fn machine_after_guesses(service: &str, pairs: bool) -> (Machine, Enrolled) {
    let (machine, alice) = Machine::with_alice();
    machine.stack(service, STACK);
    let today = now() / DAY;
    let mut names: Vec<String> = (today - 9..=today + 1)
        .map(|day| format!("guess-{day}"))
        .collect();
    if pairs {
        let of_day = |day| (0..10).map(move |n| format!("pair-{day}-{n}"));
        names.extend((today - 9..=today + 1).flat_map(of_day));
    }
    let names = names.join(" ");
    machine.sh(&format!(
        "cd /var/lib/pam_mfa/state/$(id -u alice) && touch {names}"
    ));
    (machine, alice)
}

/// The owner at a program that asked for the password and now asks for codes in a row: once with
/// them, in one answer, and once with a backup code.
#[track_caller]
fn owner_gets_in(alice: &Enrolled, count: usize, success: &str, start: impl Fn() -> Pty) {
    let prompt = [ONE, TWO, THREE][count - 1];
    for answer in [&row(alice, count), &alice.backup_codes[0]] {
        let begin = Instant::now();
        let mut pty = start();
        let before = pty.expect("codes in a row");
        assert!(before.ends_with(&prompt[..2]), "{before}");
        pty.expect(&prompt["2 codes in a row".len()..]);
        pty.send_line(answer);
        pty.expect(success);
        assert!(
            begin.elapsed() < Duration::from_secs(15),
            "{:?}",
            begin.elapsed()
        );
        assert!(!pty.transcript().contains(answer), "{}", pty.transcript());
    }
}

#[test]
fn the_owner_gets_in_at_sshd_though_strangers_have_used_up_the_guesses() {
    need_root!();
    need!("/usr/sbin/sshd");
    let (machine, alice) = machine_after_guesses("sshd", false);
    let sshd = Sshd::start(&machine, "AuthenticationMethods keyboard-interactive");
    owner_gets_in(&alice, 2, "alice\r\n", || {
        let mut ssh = sshd.ssh("alice", &["-oNumberOfPasswordPrompts=1"], "id -un");
        ssh.expect("Password: ");
        ssh.send_line(PASSWORD);
        ssh
    });
    let lines = machine.decisions();
    assert!(
        lines[0].contains("granted user=alice method=totp"),
        "{lines:#?}"
    );
    assert!(
        lines[1].contains("granted user=alice method=backup"),
        "{lines:#?}"
    );
}

/// `login` gives up after sixty seconds: three codes in a row can be noted beforehand.
#[test]
fn the_owner_gets_in_at_login_though_strangers_have_used_up_guesses_and_pairs() {
    need_root!();
    need!("/bin/login");
    let (machine, alice) = machine_after_guesses("login", true);
    owner_gets_in(&alice, 3, "$ ", || {
        let mut login = machine.spawn_pty("root", &["login", "alice"]);
        login.expect("Password: ");
        login.send_line(PASSWORD);
        login
    });
}

#[test]
fn the_owner_gets_in_at_sudo_though_strangers_have_used_up_the_guesses() {
    need_root!();
    need!("/usr/bin/sudo");
    let (machine, alice) = machine_after_guesses("sudo", false);
    let sudoers =
        "Defaults passwd_tries=1, timestamp_timeout=0, lecture=never\nalice ALL=(ALL) ALL\n";
    machine.write("/etc/sudoers.d/alice", sudoers, "0440");
    owner_gets_in(&alice, 2, "root\r\n", || {
        let mut sudo = machine.spawn_pty("alice", &["sudo", "id", "-un"]);
        sudo.expect("password for alice: ");
        sudo.send_line(PASSWORD);
        sudo
    });
}

#[test]
fn the_prompts_for_codes_in_a_row_stand_on_the_terminal_as_they_are() {
    need_root!();
    let (machine, alice) = machine_after_guesses("su", false);
    machine.add_user("bob");
    let mut su = machine.spawn_pty("bob", &["su", "alice", "-c", "id -un"]);
    su.expect("Password: ");
    su.send_line(PASSWORD);
    let row = Oath::new(&alice.secret).codes_from(now(), 2);
    su.expect(TWO);
    su.send_line(&row[0]);
    su.expect(NEXT);
    su.send_line(&row[0]);
    su.expect(SAME);
    su.expect(NEXT);
    su.send_line(&row[1]);
    su.expect("\r\nalice\r\n");
    let terminal = su.transcript();
    let shown = format!("Password: \r\n{TWO}\r\n{NEXT}\r\n{SAME}\r\n{NEXT}\r\n");
    let told = " failed attempts since your last login. If that was not you, somebody knows your \
                password.\r\nalice\r\n";
    assert!(
        terminal.starts_with(&shown) && terminal.ends_with(told),
        "{terminal}"
    );
}
