//! The clock of this machine, by which codes are judged.

use mfa_core::overview;
use mfa_core::paths::Root;
use mfa_core::store::Store;

use super::{Finding, is_here, program};
use crate::time;

/// Says what the kernel knows of it (adjtimex(2)), whatever keeps it right.
const PROGRAM: &str = "/usr/bin/timedatectl";

/// Whether something keeps it right; where that cannot be asked, nothing is told.
pub fn examine(root: &Root) -> Option<Finding> {
    let entries = || overview::all(&Store::open(root).ok()?, 0, time::now()).ok();
    if !is_here(root) || entries().is_none_or(|entries| entries.is_empty()) {
        return None;
    }
    let said = program::said(PROGRAM, &["show", "--property=NTPSynchronized", "--value"])?;
    (said.trim() == "no").then(|| {
        let what = "it is not synchronised: once it is off by more than half a minute, no code is right";
        let mend = "Run: apt install systemd-timesyncd; timedatectl set-ntp true; or let chrony or the host keep it";
        Finding::warning("the clock", what, mend)
    })
}
