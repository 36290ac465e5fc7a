//! How long login(1) waits.

use std::fs;

use mfa_core::paths::Root;

use super::Finding;

const FILE: &str = "etc/login.defs";

/// Three codes in a row of 30 seconds each, and some time to type (seconds).
const ENOUGH: u32 = 120;

/// What holds without a line (login.defs(5)).
const DEFAULT: u32 = 60;

/// For the service `login` alone.
pub fn examine(root: &Root, service: &str) -> Option<Finding> {
    if service != "login" {
        return None;
    }
    let path = root.below(FILE);
    let text = fs::read_to_string(&path).unwrap_or_default();
    let mut set = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("LOGIN_TIMEOUT")).then(|| words.next()?.parse().ok())?
    });
    let seconds: u32 = set.next_back().unwrap_or(DEFAULT);
    (1..ENOUGH).contains(&seconds).then(|| {
        let what = format!("after {seconds} seconds login breaks off: too short to wait for three codes in a row");
        let mend = format!("Set LOGIN_TIMEOUT {ENOUGH} in {}; a backup code, or three codes noted before, help meanwhile", path.display());
        Finding::warning(service, what, mend)
    })
}
