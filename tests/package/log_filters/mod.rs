//! The filters for fail2ban and logcheck against the lines that real logins leave in a real log.

mod application;
mod every_line;
mod forged;
mod jail;
mod journal;
mod module_line;
mod scene;
mod ssh;

use std::{
    thread,
    time::{Duration, Instant},
};

use mfa_tests::command::LIMIT;

const FILTER: &str = "/etc/fail2ban/filter.d/pam_mfa.conf";
const RULES: &str = "/etc/logcheck/ignore.d.server/libpam-mfa";
const CONFIG: &str = "/etc/pam_mfa/config.toml";

/// Whoever gets this one banned has written a line that says what he wants.
const VICTIM: &str = "203.0.113.66";

const GUESSER: &str = "203.0.113.1";

/// What the module writes about a login through sshd.
fn at_sshd(what: &str, rhost: &str) -> String {
    format!("pam_mfa(sshd:auth): {what} rhost={rhost} tty=ssh")
}

/// How often we look again.
const PAUSE: Duration = Duration::from_millis(20);

#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(PAUSE);
    }
}
