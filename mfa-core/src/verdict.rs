//! What comes out of a login.

use std::fmt;

use zeroize::Zeroizing;

use crate::config::{BadConfig, Day};
use crate::fault::Fault;
use crate::judge::Miss;

/// The outcome of a login. It starts as "no"; only [`crate::spend::spend`] makes a [`Grant`].
#[derive(Debug)]
pub enum Verdict {
    /// Let in.
    Granted(Grant),
    /// Policy did not want the question asked; nothing else does.
    NotAsked(NotAsked),
    /// Not let in: why each answer was refused, the last one last. Never empty.
    Refused(Vec<Refusal>),
}

/// Nobody was asked for a second factor.
#[derive(Debug)]
pub struct NotAsked {
    /// The key of the configuration that says so, and what in it.
    pub rule: String,
    /// The last day on which that holds for a user who is not enrolled.
    pub until: Option<Day>,
}

/// Somebody was let in; the code is spent.
pub struct Grant {
    /// With what.
    pub method: Method,
    /// How many tries failed since somebody was last let in.
    pub failures: usize,
    /// The disk could not be written, so that the use is kept in `/run` alone.
    pub only_in_run: Option<Fault>,
    /// The password before the code, for the modules behind us.
    pub password: Option<Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for Grant {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Grant {
            method,
            failures,
            only_in_run,
            ..
        } = self;
        write!(f, "Grant({method:?}, {failures}, {only_in_run:?})")
    }
}

/// What somebody was let in with.
#[derive(Debug, PartialEq, Eq)]
pub enum Method {
    /// A verification code.
    Totp {
        /// The label of the device.
        device: String,
    },
    /// A backup code.
    Backup {
        /// How many are left.
        left: usize,
    },
}

/// Why an answer, or the whole login, was refused.
#[derive(Debug)]
pub enum Refusal {
    /// What was typed cannot be a code.
    NoCode,
    /// What was typed is the password.
    Password,
    /// It was a code, but not one to be let in with.
    Missed(Miss),
    /// They were codes in a row, but none to be let in with.
    MissedRun(Miss),
    /// A right backup code, but the disk cannot be written, so that it would not be used up.
    BackupUnrecordable(Fault),
    /// So many tries failed that only a backup code helps (`suspend_after`).
    Suspended,
    /// The user is not enrolled.
    NotEnrolled,
    /// There is no such user.
    UnknownUser,
    /// The record was replaced or removed while the code was being checked.
    RecordChanged,
    /// The application or the person gave no answer.
    NoAnswer,
    /// The application cannot be talked to.
    NoConversation,
    /// The application asks to be called again later (`PAM_CONV_AGAIN`).
    CalledTooEarly,
    /// Something is wrong with the store or the machine.
    Fault(Fault),
    /// The configuration is wrong.
    Config(BadConfig),
    /// The arguments of the PAM line are wrong.
    Arguments(String),
}

impl Refusal {
    /// Whether asking once more is of no use.
    pub fn is_final(&self) -> bool {
        !matches!(
            self,
            Refusal::NoCode
                | Refusal::Password
                | Refusal::Missed(_)
                | Refusal::MissedRun(_)
                | Refusal::BackupUnrecordable(_)
                | Refusal::NotEnrolled
                | Refusal::UnknownUser
        )
    }

    /// The word for the log.
    pub fn word(&self) -> &'static str {
        match self {
            Refusal::NoCode => "no-code",
            Refusal::Password => "password",
            Refusal::Missed(miss) | Refusal::MissedRun(miss) => miss.word(),
            Refusal::BackupUnrecordable(_) => "backup-code-unrecordable",
            Refusal::Suspended => "suspended",
            Refusal::NotEnrolled => "not-enrolled",
            Refusal::UnknownUser => "unknown-user",
            Refusal::RecordChanged => "record-changed",
            Refusal::NoAnswer => "no-answer",
            Refusal::NoConversation => "no-conversation",
            Refusal::CalledTooEarly => "called-too-early",
            Refusal::Fault(_) => "fault",
            Refusal::Config(_) => "config",
            Refusal::Arguments(_) => "arguments",
        }
    }
}

impl fmt::Display for Refusal {
    /// What is wrong, where there is more to say than the word.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Fault(fault) | Refusal::BackupUnrecordable(fault) => fault.fmt(f),
            Refusal::Config(bad) => bad.fmt(f),
            Refusal::Arguments(text) => f.write_str(text),
            refusal => f.write_str(refusal.word()),
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        Refusal::Fault(fault)
    }
}

impl From<Miss> for Refusal {
    fn from(miss: Miss) -> Refusal {
        Refusal::Missed(miss)
    }
}
