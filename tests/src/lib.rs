//! What the end-to-end tests stand on: the real libpam, sshd, login, su and sudo, driven from Rust.
//!
//! * [`sandbox::Sandbox`]: a root directory and a PAM configuration of its own, with or without root.
//!   [`client::Client`] and [`session::Session`] log in through the real libpam there.
//! * [`machine::Machine`]: a throw-away machine (root only) in which [`sshd::Sshd`], `login`, `su` and
//!   `sudo` run on a real terminal, [`pty::Pty`].
//! * [`enrolled::Enrolled`]: what `mfa-admin enroll` handed out to a user.
//! * [`cheap`]: users who are enrolled in no time.
//! * [`lock`]: alice's lock in the hand of a test.
//! * [`oath::Oath`]: verification codes from an independent generator.
//! * [`need_root!`] and [`need!`]: skip a test that cannot run here, and say so.

#![deny(unsafe_code)]

pub mod cheap;
pub mod client;
pub mod command;
pub mod confidential;
pub mod enrolled;
pub mod full_disk;
pub mod locate;
pub mod lock;
pub mod log;
pub mod machine;
pub mod manual;
pub mod memory;
pub mod oath;
pub mod outcome;
#[allow(unsafe_code)]
pub mod pam;
pub mod process;
pub mod protocol;
pub mod pty;
pub mod sandbox;
pub mod session;
pub mod skip;
pub mod sshd;
pub mod trace;
pub mod virtual_login;

/// The password of every account made by this harness.
pub const PASSWORD: &str = "correct horse";

/// [`PASSWORD`] as crypt(3) writes it.
pub const PASSWORD_HASH: &str = "$5$harness$LZfZyeF6mWOkQ4ZNidvoqXt9.QXkatpAhp/FxVR17CA";
