//! Alice's lock in the hand of a test: whoever found a code right, or is about to write a record,
//! waits for it, and can be stopped there.

use std::{
    fs::{self, File},
    thread,
    time::{Duration, Instant},
};

use nix::{
    libc::{SYS_clock_nanosleep, SYS_nanosleep},
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use crate::{command::LIMIT, sandbox::Sandbox};

/// Holds the lock until the file is dropped.
pub fn hold(sandbox: &Sandbox) -> File {
    let state = File::open(sandbox.path("var/lib/pam_mfa/state/2001"));
    let state = state.expect("open alice's state");
    state.lock().expect("lock alice's state");
    state
}

/// Waits until a process waits for the lock that we hold: it sleeps for a time, which it does for nothing
/// else.
#[track_caller]
pub fn wait_until_it_waits(pid: u32) {
    let deadline = Instant::now() + LIMIT;
    while !sleeps_for_a_time(pid) {
        assert!(Instant::now() < deadline, "it does not wait for the lock");
        thread::sleep(Duration::from_millis(2));
    }
}

fn sleeps_for_a_time(pid: u32) -> bool {
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).expect("a running process");
    let number = call
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok());
    number.is_some_and(|number| [SYS_nanosleep, SYS_clock_nanosleep].contains(&number))
}

/// Sends a signal to a child of ours.
pub fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid as i32), signal).expect("a child of ours");
}

/// Stops a child of ours, and returns when it stands still.
pub fn stop(pid: u32) {
    signal(pid, Signal::SIGSTOP);
    let child = Pid::from_raw(pid as i32);
    let status = waitpid(child, Some(WaitPidFlag::WUNTRACED)).expect("a child of ours");
    assert_eq!(status, WaitStatus::Stopped(child, Signal::SIGSTOP));
}
