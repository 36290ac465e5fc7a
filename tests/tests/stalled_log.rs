//! A log that nobody reads, or that is not there, holds no login up.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::Path,
    time::{Duration, Instant},
};

use mfa_tests::{enrolled::Enrolled, outcome::Outcome, sandbox::Sandbox};

/// How much longer a login may take.
const PROMISE: Duration = Duration::from_millis(200);
/// How long the whole of a login may take, the start of the program included.
const ALL: Duration = Duration::from_millis(1500);
/// The fastest of so many logins counts, for others use this machine too. If that is not enough, more.
const LOGINS: (usize, usize) = (3, 20);

/// A socket whose queue is full and stays so.
fn deaf(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).expect("bind a socket");
    let sender = UnixDatagram::unbound().expect("a socket");
    sender
        .set_nonblocking(true)
        .expect("a socket that does not wait");
    while sender.send_to(b"full", path).is_ok() {}
    socket
}

/// How long a login takes in a world of its own.
fn time(stalled: bool, play: impl Fn(&Sandbox, &Enrolled) -> Outcome) -> Duration {
    let (sandbox, alice) = Sandbox::with_alice();
    let socket = sandbox.path("dev/log");
    fs::remove_file(&socket).expect("remove the log's socket");
    let _deaf = stalled.then(|| deaf(&socket));
    let begin = Instant::now();
    play(&sandbox, &alice);
    begin.elapsed()
}

#[track_caller]
fn assert_hardly_longer(play: impl Fn(&Sandbox, &Enrolled) -> Outcome) {
    let (mut without, mut stalled) = (Duration::MAX, Duration::MAX);
    for count in 1..=LOGINS.1 {
        without = without.min(time(false, &play));
        stalled = stalled.min(time(true, &play));
        let is_good = without < ALL && stalled < ALL && stalled < without + PROMISE;
        if is_good && count >= LOGINS.0 {
            return;
        }
    }
    panic!("{without:?} without a log, {stalled:?} with one that nobody reads");
}

fn granted(outcome: Outcome) -> Outcome {
    assert!(outcome.granted(), "{outcome:#?}");
    outcome
}

#[test]
fn a_login_by_code() {
    assert_hardly_longer(|sandbox, alice| granted(sandbox.login("alice", &[&alice.code(0)])));
}

#[test]
fn a_login_by_backup_code() {
    assert_hardly_longer(|sandbox, alice| {
        granted(sandbox.login("alice", &[&alice.backup_codes[0]]))
    });
}

#[test]
fn a_login_that_is_refused() {
    assert_hardly_longer(|sandbox, alice| sandbox.login("alice", &[&*alice.wrong_code(); 3]));
}

#[test]
fn a_login_that_is_asked_for_three_codes_without_a_guess() {
    assert_hardly_longer(|sandbox, alice| {
        let state = sandbox.path("var/lib/pam_mfa/state/2001");
        fs::remove_dir_all(state).expect("remove the state");
        let row = [-1, 0, 1].map(|step| alice.code(step)).concat();
        granted(sandbox.login("alice", &[&row]))
    });
}

#[test]
fn a_login_whose_configuration_is_wrong() {
    assert_hardly_longer(|sandbox, alice| {
        sandbox.write("etc/pam_mfa/config.toml", "tris = 3\n");
        sandbox.login("alice", &[&alice.code(0)])
    });
}
