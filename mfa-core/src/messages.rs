//! Everything that a login says to a person.

use crate::judge::Miss;
use crate::verdict::{Grant, Method, Refusal};

/// From how many backup codes on a login tells how to get new ones.
const FEW: usize = 3;

/// The login cannot be decided.
pub const OUT_OF_ORDER: &str = "The verification code cannot be checked now. The administrator finds the reason in the system log.";

/// The prompt for the first code, or for the next one of a run.
pub fn prompt(run: usize) -> &'static str {
    match run {
        0 => "Verification code or backup code: ",
        _ => "Next code, as soon as it changes: ",
    }
}

/// What a refused answer is told. The same words for everything that a guesser could learn from.
pub fn refusal(refusal: &Refusal) -> Option<&'static str> {
    Some(match refusal {
        Refusal::Missed(Miss::Replayed) => "This code was already used. Wait for the next one.",
        Refusal::Missed(Miss::BackupSpent) => {
            "This backup code was already used. Take another one."
        }
        Refusal::Missed(Miss::BackupUnknown) => {
            "Backup codes cannot be used now. Type a verification code, or ask the administrator."
        }
        Refusal::NoCode | Refusal::NotEnrolled | Refusal::UnknownUser | Refusal::Missed(_) => {
            "Wrong code."
        }
        Refusal::RecordChanged => "Your enrollment was changed just now. Log in again.",
        Refusal::Fault(_) | Refusal::Config(_) | Refusal::Arguments(_) => OUT_OF_ORDER,
        Refusal::NoAnswer | Refusal::NoConversation | Refusal::CalledTooEarly => return None,
    })
}

/// What somebody is told who was let in.
pub fn after_grant(grant: &Grant, user: &str) -> Option<String> {
    let Method::Backup { left } = grant.method else {
        return None;
    };
    let count = match left {
        0 => "This was your last backup code.".to_owned(),
        1 => "1 backup code is left.".to_owned(),
        left => format!("{left} backup codes are left."),
    };
    Some(match left {
        0..=FEW => format!("{count} Get new ones with: sudo mfa-admin regenerate {user}"),
        _ => count,
    })
}
