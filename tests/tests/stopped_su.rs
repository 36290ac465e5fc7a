//! An ordinary user stops his own `su` in the middle of the module: he keeps nobody out.
//!
//! He knows the password. Without a right code he holds no lock at any system call; with one he can,
//! and then the owner is refused after two seconds and the log names him.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use mfa_core::charge::{DAYS, PAIRS, day_of};
use mfa_tests::{
    PASSWORD,
    enrolled::{Enrolled, STEP, now},
    locate,
    machine::Machine,
    need, need_root,
    oath::Oath,
    pam,
    pty::Pty,
    trace::{self, Call},
};

const STACK: &str = "auth required pam_unix.so\nauth required pam_mfa.so\n";
const PROMPT: &str = "Verification code or backup code: ";
/// How the prompts for codes in a row end: the first one, and the next.
const PROMPTS: [&str; 2] = ["or a backup code: ", "as soon as it changes: "];
const STOPPED: &str = "stopped by SIGSTOP";
/// How long a login may take while somebody else is stopped. One that found the lock held took two
/// seconds only to be refused.
const PROMPTLY: Duration = Duration::from_secs(2);
/// How many are stopped at the same time: fewer than there are free guesses, so that each is judged.
const AT_ONCE: usize = 8;

/// The next code, which is good already and stays so for two steps.
fn code(alice: &Enrolled) -> String {
    alice.code_at(now() + STEP)
}

/// So many codes in a row, of which the last is the next one, in one answer.
fn row(alice: &Enrolled, codes: usize) -> String {
    let first = now() + STEP - (codes as u64 - 1) * STEP;
    Oath::new(&alice.secret).codes_from(first, codes).join(" ")
}

/// A machine where bob knows alice's password, and the owner logs in at the service `test`.
fn machine() -> (Machine, Enrolled) {
    let (machine, alice) = Machine::with_alice();
    machine.add_user("bob");
    machine.stack("su", STACK);
    machine.stack("test", "auth required pam_mfa.so\n");
    machine.stack("login", STACK);
    machine.copy_in(&locate::pam_client(), "/tmp/pam-client", "0755");
    keep(&machine);
    (machine, alice)
}

/// The state as it is now is what [`forget`] goes back to.
fn keep(machine: &Machine) {
    machine.sh("rm -rf /tmp/fresh-state && cp -a /var/lib/pam_mfa/state /tmp/fresh-state");
}

/// Strangers have used up what is free with fewer codes in a row, today and tomorrow.
fn use_up(machine: &Machine, codes: usize) {
    let today = day_of(now().cast_signed());
    let names = (today - DAYS + 1..=today + 1).flat_map(|day| {
        let guess = (codes > 1).then(|| format!("guess-{day}"));
        let pairs = if codes > 2 { PAIRS } else { 0 };
        let pairs = (0..pairs).map(move |number| format!("pair-{day}-{number}"));
        guess.into_iter().chain(pairs)
    });
    let names: Vec<String> = names.collect();
    machine.sh(&format!(
        "cd /var/lib/pam_mfa/state/* && touch . {}",
        names.join(" ")
    ));
    keep(machine);
}

/// Whoever was stopped before is gone, nothing was guessed and nothing was used.
fn forget(machine: &Machine) {
    let script = "
        running() { grep -l '^[0-9]* (su) [^Z]' /proc/[0-9]*/stat 2>/dev/null || true; }
        for stat in $(running); do
            su=${stat#/proc/}
            kill -KILL ${su%/stat} 2>/dev/null || true
        done
        while [ -n \"$(running)\" ]; do :; done
        cd /var/lib/pam_mfa && rm -rf state && cp -a /tmp/fresh-state state";
    machine.sh(script);
}

/// Bob's `su alice` under strace(1), which root runs so that `su` keeps its rights.
fn su(machine: &Machine, strace: &[&str]) -> Pty {
    let strace = [&["strace", "-f", "-u", "bob"], strace].concat();
    let words = [&strace[..], &["su", "alice", "-c", "true"]].concat();
    machine.spawn_pty("root", &words)
}

/// How a `su` that was given all answers went on.
#[derive(PartialEq, Eq)]
enum End {
    Stopped,
    Ended,
}

/// Gives the password, then these answers, then the end of the file.
fn play(su: &mut Pty, answers: &[&str]) -> End {
    let mut answers = answers.iter();
    loop {
        let [first, next] = PROMPTS;
        let waits_for = [
            STOPPED,
            "Password: ",
            PROMPT,
            first,
            next,
            "su: ",
            "+++ exited",
        ];
        match su.expect_any(&waits_for).0 {
            0 => return End::Stopped,
            1 => su.send_line(PASSWORD),
            2..=4 => match answers.next() {
                Some(answer) => su.send_line(answer),
                None => su.send("\x04"),
            },
            _ => return End::Ended,
        }
    }
}

/// The system calls that the module makes for somebody who types what is wrong and then nothing.
fn calls(machine: &Machine, wrong: &[&str]) -> Vec<Call> {
    let mut traced = su(machine, &["-s", "200", "-o", "/tmp/strace"]);
    assert!(play(&mut traced, wrong) == End::Ended);
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("strace");
    fs::write(&log, machine.read("/tmp/strace")).expect("copy the log of strace");
    let mut calls = trace::calls(&log, "su: Authentication failure");
    // What comes after the log line is the business of su.
    let last = |call: &Call| call.line.contains("refused user=alice");
    let last = calls.iter().position(last).expect("a line for the log");
    calls.truncate(last + 1);
    calls
}

fn stopped_at(machine: &Machine, call: &Call, wrong: &[&str]) -> Pty {
    let inject = format!("inject={}:signal=STOP:when={}", call.name, call.number);
    let traced = format!("trace={}", call.name);
    let mut su = su(machine, &["-s", "0", "-e", &traced, "-e", &inject]);
    let end = play(&mut su, wrong);
    assert!(end == End::Stopped, "{}: {}", call.line, su.transcript());
    su
}

/// The owner logs in; the PAM code, and how long it took.
fn log_in(machine: &Machine, answer: &str) -> (i32, Duration) {
    let begin = Instant::now();
    let code = machine.log_in("alice", "test", answer);
    (code, begin.elapsed())
}

#[track_caller]
fn assert_gets_in(machine: &Machine, answer: &str, while_stopped: &[Call]) {
    let (code, took) = log_in(machine, answer);
    let log = machine.decisions().pop();
    assert!(
        code == pam::SUCCESS && took < PROMPTLY,
        "{code} after {took:?}, {log:?}, while somebody is stopped at one of {while_stopped:#?}"
    );
}

/// Somebody who types this is stopped at every call, where so many codes in a row are asked for.
fn nobody_is_kept_out(codes: usize, wrong: fn(&Enrolled) -> Vec<String>, seen: &[&str]) {
    need_root!();
    need!("/usr/bin/strace");
    let (machine, alice) = machine();
    use_up(&machine, codes);
    let wrong = wrong(&alice);
    let wrong: Vec<&str> = wrong.iter().map(String::as_str).collect();
    let calls = calls(&machine, &wrong);
    for words in ["openat(", "connect(", "reason=wrong-code"]
        .iter()
        .chain(seen)
    {
        assert!(
            calls.iter().any(|call| call.line.contains(words)),
            "{words} {calls:#?}"
        );
    }
    println!("stopped at {} calls", calls.len());
    for some in calls.chunks(AT_ONCE) {
        forget(&machine);
        let stopped: Vec<Pty> = thread::scope(|scope| {
            let stop = |call| {
                let (machine, wrong) = (&machine, &wrong);
                scope.spawn(move || stopped_at(machine, call, wrong))
            };
            let threads: Vec<_> = some.iter().map(stop).collect();
            let stopped = threads.into_iter().map(|thread| thread.join());
            stopped.map(|pty| pty.expect("it was stopped")).collect()
        });
        assert_gets_in(&machine, &row(&alice, codes), some);
        assert_gets_in(&machine, &alice.backup_codes[0], some);
        drop(stopped);
    }
}

fn wrong(alice: &Enrolled) -> String {
    alice.wrong_code_at(now())
}

/// Other six digits than the first that are wrong.
const OTHER: &str = "999999";

#[test]
fn a_su_that_is_stopped_at_any_system_call_keeps_nobody_out() {
    nobody_is_kept_out(1, |alice| vec![wrong(alice)], &["getdents64(", "\"guess-"]);
}

#[test]
fn a_su_that_is_stopped_with_two_codes_in_a_row_keeps_nobody_out() {
    let wrong = |alice: &Enrolled| vec![wrong(alice), OTHER.to_owned()];
    nobody_is_kept_out(2, wrong, &["getdents64(", "\"pair-"]);
}

#[test]
fn a_su_that_is_stopped_with_three_codes_in_a_row_keeps_nobody_out() {
    let wrong = |alice: &Enrolled| vec![wrong(alice), OTHER.to_owned(), wrong(alice)];
    nobody_is_kept_out(3, wrong, &["getdents64("]);
}

#[test]
fn a_su_that_is_stopped_with_a_wrong_backup_code_keeps_nobody_out() {
    nobody_is_kept_out(1, |_| vec!["zzzz-zzzz-zzzz".to_owned()], &[]);
}

#[test]
fn at_a_real_login_a_stopped_su_is_not_even_noticed() {
    need_root!();
    need!("/usr/bin/strace");
    need!("/bin/login");
    let (machine, alice) = machine();
    let wrong = wrong(&alice);
    // In the middle of the charge: the name is claimed.
    let calls = calls(&machine, &[&wrong]);
    let claim = calls.iter().find(|call| call.line.contains("guess-"));
    let claim = claim.expect("a guess is charged");
    let _stopped = stopped_at(&machine, claim, &[&wrong]);
    for answer in [&code(&alice), &alice.backup_codes[0]] {
        let mut login = machine.spawn_pty("root", &["login", "alice"]);
        login.expect("Password: ");
        login.send_line(PASSWORD);
        login.expect(PROMPT);
        let begin = Instant::now();
        login.send_line(answer);
        login.expect("$ ");
        assert!(begin.elapsed() < PROMPTLY, "{:?}", begin.elapsed());
    }
}

/// A su to alice with a right code, stopped as it records that.
fn stopped_with_the_lock(machine: &Machine, alice: &Enrolled) -> Pty {
    let inject = "inject=fdatasync:signal=STOP:when=1";
    let mut su = su(machine, &["-e", "trace=fdatasync", "-e", inject]);
    assert!(play(&mut su, &[&alice.code_at(now())]) == End::Stopped);
    su
}

#[test]
fn who_is_stopped_with_a_right_code_holds_the_lock_and_is_named() {
    need_root!();
    need!("/usr/bin/strace");
    let (machine, alice) = machine();
    let _stopped = stopped_with_the_lock(&machine, &alice);
    let holder = machine.sh("pgrep -x su");
    let named = format!("is locked by process {}", holder.trim());

    thread::scope(|scope| {
        let admin = scope.spawn(|| {
            let begin = Instant::now();
            let ended = machine.run(&["mfa-admin", "unlock", "alice"]);
            (ended.failed().stderr, begin.elapsed())
        });
        for answer in [&code(&alice), &alice.backup_codes[0]] {
            let (code, took) = log_in(&machine, answer);
            assert_eq!(code, pam::AUTHINFO_UNAVAIL);
            assert!(took > PROMPTLY && took < 2 * PROMPTLY, "{took:?}");
            let line = machine.decisions().pop().expect("a line");
            assert!(line.contains(&named), "{named}: {line}");
        }
        let (told, took) = admin.join().expect("the command ends");
        assert!(told.contains(&named), "{named}: {told}");
        let patience = Duration::from_secs(5);
        assert!(took > patience && took < 2 * patience, "{took:?}");
    });

    // Ended, it holds nothing, and neither code was used up by the refusals.
    machine.sh(&format!("kill -KILL {}", holder.trim()));
    assert_eq!(log_in(&machine, &code(&alice)).0, pam::SUCCESS);
    let (code, _) = log_in(&machine, &alice.backup_codes[0]);
    assert_eq!(code, pam::SUCCESS);
}

#[test]
fn by_force_an_admin_command_ends_a_stopped_su_and_goes_on() {
    need_root!();
    need!("/usr/bin/strace");
    let (machine, alice) = machine();
    let _stopped = stopped_with_the_lock(&machine, &alice);
    machine
        .run(&["mfa-admin", "regenerate", "alice", "--yes", "--force"])
        .ok();
    assert_eq!(machine.sh("pgrep -x su || true"), "");
    assert_eq!(log_in(&machine, &code(&alice)).0, pam::SUCCESS);
}
