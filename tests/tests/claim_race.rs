//! Other logins take names in the moment in which one claims its own: who gets too few of them may not be
//! judged, and what he got is not given back.

use std::fs::{self, File};

use mfa_core::charge::{DAYS, day_of};
use mfa_tests::{
    enrolled::{Enrolled, NOW},
    lock::signal,
    need,
    sandbox::Sandbox,
    trace,
};
use nix::sys::signal::Signal;

const STATE: &str = "var/lib/pam_mfa/state/2001";

/// Alice with two devices: a try costs her two names.
fn alice() -> (Sandbox, Enrolled) {
    let sandbox = Sandbox::new();
    sandbox.at(NOW);
    let [alice, _] = sandbox.enroll_cheaply("alice", 2001, NOW);
    (sandbox, alice)
}

/// The words of strace, and the file into which it writes.
fn strace(sandbox: &Sandbox, more: &str) -> [String; 6] {
    let log = sandbox.path("strace").display().to_string();
    ["strace", "-f", "-s200", more, "-o", &log].map(str::to_owned)
}

#[test]
fn with_fewer_names_than_a_try_costs_nothing_is_judged() {
    need!("/usr/bin/strace");
    let (sandbox, first) = alice();
    let words = strace(&sandbox, "-etrace=openat");
    let client = sandbox
        .client("alice")
        .under(&words.each_ref().map(|word| &**word));
    assert!(client.login(&[&first.code(0)]).granted());
    let calls = trace::calls(&sandbox.path("strace"), "granted");
    let claims = calls.iter().filter(|call| call.line.contains("\"guess-"));
    let claims: Vec<_> = claims.collect();
    assert_eq!(claims.len(), 2, "{calls:#?}");

    let (sandbox, alice) = alice();
    let words = strace(
        &sandbox,
        &format!("-einject=openat:signal=STOP:when={}", claims[0].number),
    );
    let client = sandbox
        .client("alice")
        .under(&words.each_ref().map(|word| &**word));
    let mut session = client.start();
    session.prompt();
    session.answer(&alice.code(0));
    let stopped = trace::stopped(&sandbox.path("strace"));
    let today = day_of(NOW.cast_signed());
    let names = (today - DAYS + 1..=today).map(|day| format!("guess-{day}"));
    let left = names.filter(|name| File::create_new(sandbox.path(STATE).join(name)).is_ok());
    assert_eq!(left.count(), 9, "it has one of the ten");
    signal(stopped, Signal::SIGCONT);
    // The code is right, and still it is only the first of a pair.
    let prompt = session.prompt().text;
    assert!(prompt.starts_with("Codes in a row are needed"), "{prompt}");
    assert!(!session.finish().granted());
    let names = fs::read_dir(sandbox.path(STATE)).expect("list the state");
    assert_eq!(names.count(), 1 + 10, "the block, and all that was claimed");
}
