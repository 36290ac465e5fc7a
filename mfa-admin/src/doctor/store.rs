//! Key, store and records.

use mfa_core::config::{Config, Unenrolled};
use mfa_core::overview;
use mfa_core::paths::Root;
use mfa_core::store::Store;

use super::{Finding, shown_path};
use crate::time;

const DATA: &str = "/var/lib/pam_mfa";

/// Whether the store opens, and each record in it.
pub fn examine(root: &Root) -> Vec<Finding> {
    let about = shown_path(root, DATA).display().to_string();
    let mend = "Do what it says; docs/recovery.md has a recipe for each. Exempt an administrator until it is done";
    let entries = Store::open(root).and_then(|store| overview::all(&store, 0, time::now()));
    let entries = match entries {
        Ok(entries) => entries,
        Err(fault) => {
            return vec![Finding::fault(
                &about,
                format!("whoever is asked is refused: {fault}"),
                mend,
            )];
        }
    };
    let mut findings = Vec::new();
    for (uid, seen) in &entries {
        match seen {
            Err(fault) => {
                let what = format!("the user with the id {uid} is refused: {fault}");
                findings.push(Finding::fault(&about, what, "Do what it says"));
            }
            Ok(seen) if !seen.state_is_known => {
                let what = format!(
                    "which codes of {} are used is not known: no backup code is taken",
                    seen.user
                );
                let mend = format!(
                    "Run: mfa-admin regenerate {}",
                    mfa_core::user::shown(&seen.user)
                );
                findings.push(Finding::warning(&about, what, mend));
            }
            Ok(seen) if seen.backup_left.is_some_and(|left| left <= FEW) => {
                let left = seen.backup_left.unwrap_or_default();
                let what = format!("{} has {left} backup codes left", seen.user);
                let mend = format!(
                    "Run: mfa-admin regenerate {}",
                    mfa_core::user::shown(&seen.user)
                );
                findings.push(Finding::warning(&about, what, mend));
            }
            Ok(_) => {}
        }
    }
    if entries.is_empty() {
        let mend = "Run: mfa-admin enroll USER";
        let skips = Config::load(root).is_ok_and(|config| config.unenrolled != Unenrolled::Deny);
        findings.push(match skips {
            true => Finding::warning(&about, "nobody is enrolled", mend),
            false => Finding::fault(
                &about,
                "nobody is enrolled: whoever is asked is refused",
                mend,
            ),
        });
    }
    findings
}

/// So few backup codes are nearly none.
const FEW: usize = 2;
