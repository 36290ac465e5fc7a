//! Every decision of `pam_mfa`: who is let in, what is spent, what is refused.
//!
//! Nothing in here knows PAM or a terminal, and nothing reads the wall clock: the time, the
//! randomness and what a person types come in as parameters. Read [`login`] first.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod answer;
pub mod arguments;
mod attempt;
pub mod backup;
pub mod block;
pub mod charge;
pub mod config;
pub mod device;
pub mod enrollment;
pub mod fault;
mod fields;
pub mod file;
pub mod init;
pub mod judge;
pub mod key;
pub mod lock;
pub mod log_line;
pub mod login;
pub mod messages;
pub mod options;
pub mod overview;
pub mod paths;
pub mod policy;
pub mod proof;
pub mod random;
pub mod record;
pub mod spend;
pub mod state;
pub mod store;
pub mod throttle;
pub mod traces;
pub mod uri;
pub mod user;
pub mod verdict;

/// Where the time comes from.
pub trait Clock {
    /// Seconds since 1970-01-01T00:00:00Z; negative before it.
    fn now(&self) -> i64;
}
