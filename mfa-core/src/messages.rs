//! Everything that a login says to a person.

use crate::config::Day;
use crate::judge::Miss;
use crate::user::shown;
use crate::verdict::{Grant, Method, Refusal};

/// From how many backup codes on a login tells how to get new ones.
const FEW: usize = 3;

/// The login cannot be decided.
pub const OUT_OF_ORDER: &str = "The verification code cannot be checked now. The administrator finds the reason in the system log.";

/// The same code was typed twice in a row.
pub const SAME_CODE: &str = "That is the same code. Wait until it changes.";

/// The prompt for a password with codes behind it, where so many are needed.
pub fn prompt_behind_password(needed: usize) -> &'static str {
    match needed {
        0 | 1 => "Password and verification code: ",
        2 => "Password and 2 consecutive verification codes, or a backup code, in one answer: ",
        _ => "Password and 3 consecutive verification codes, or a backup code, in one answer: ",
    }
}

/// The prompt for a code after `typed` others in a row, where `needed` are asked for.
pub fn prompt(typed: usize, needed: usize) -> &'static str {
    match (typed, needed) {
        (0, 0 | 1) => "Verification code or backup code: ",
        (0, 2) => {
            "2 codes in a row are needed: type one now and the next when it changes, \
             or type two consecutive codes in one answer, noted beforehand; or a backup code: "
        }
        (0, _) => {
            "3 codes in a row are needed: type one now and the next ones when they change, \
             or type three consecutive codes in one answer, noted beforehand; or a backup code: "
        }
        _ => "Codes in a row are needed. Type the next code as soon as it changes: ",
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
        Refusal::NoCode
        | Refusal::Password
        | Refusal::NotEnrolled
        | Refusal::UnknownUser
        | Refusal::Missed(_)
        | Refusal::MissedRun(_) => "Wrong code.",
        Refusal::BackupUnrecordable(_) => {
            "The disk cannot be written, so a backup code cannot be used up. Type a verification code."
        }
        Refusal::Suspended => {
            "Too many failed attempts: only a backup code helps now, or the administrator with mfa-admin unlock."
        }
        Refusal::RecordChanged => "Your enrollment was changed just now. Log in again.",
        Refusal::Fault(_) | Refusal::Config(_) | Refusal::Arguments(_) => OUT_OF_ORDER,
        Refusal::NoAnswer | Refusal::NoConversation | Refusal::CalledTooEarly => return None,
    })
}

/// What a user is told who is not enrolled yet: the last day on which he gets in all the same, and
/// how many days are left after today.
pub fn not_enrolled_yet(user: &str, until: Day, days: i64) -> String {
    let left = match days {
        0 => "today is the last day".to_owned(),
        1 => "1 day is left".to_owned(),
        days => format!("{days} days are left"),
    };
    format!(
        "You have no second factor yet. After {until} (UTC) you cannot log in without one: {left}. \
         Get one with: sudo mfa-admin enroll {}",
        shown(user)
    )
}

/// What somebody is told who was let in.
pub fn after_grant(grant: &Grant, user: &str) -> Vec<String> {
    let left = match grant.method {
        Method::Backup { left } => Some(codes_left(left, user)),
        Method::Totp { .. } => None,
    };
    left.into_iter().chain(failures(grant.failures)).collect()
}

fn codes_left(left: usize, user: &str) -> String {
    let count = match left {
        0 => "This was your last backup code.".to_owned(),
        1 => "1 backup code is left.".to_owned(),
        left => format!("{left} backup codes are left."),
    };
    match left {
        0..=FEW => format!(
            "{count} Get new ones with: sudo mfa-admin regenerate {}",
            shown(user)
        ),
        _ => count,
    }
}

fn failures(failures: usize) -> Option<String> {
    let attempts = match failures {
        0 => return None,
        1 => "1 failed attempt".to_owned(),
        failures => format!("{failures} failed attempts"),
    };
    Some(format!(
        "{attempts} since your last login. If that was not you, somebody knows your password."
    ))
}
