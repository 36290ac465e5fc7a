//! What `--json` prints. Documented in `docs/json.md`: fields may be added, none may change.

use std::io::{Write, stdout};

use anyhow::{Context, Result};
use mfa_core::backup::{BackupCode, CODES};
use mfa_core::device::Algorithm;
use mfa_core::overview::{DeviceView, Overview};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::time;

/// Prints one object on standard output.
pub fn print(value: &impl Serialize) -> Result<()> {
    // Larger than any object with secrets in it, so that none is left behind by a bigger one.
    let mut text = Zeroizing::new(Vec::with_capacity(8192));
    serde_json::to_writer(&mut *text, value)?;
    text.push(b'\n');
    let mut out = stdout();
    out.write_all(&text)
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

/// `enroll`.
#[derive(Serialize)]
pub struct Enrolled<'e> {
    pub user: &'e str,
    pub uid: u32,
    pub device: &'e str,
    pub algorithm: Algorithm,
    pub digits: u8,
    pub period: u64,
    pub verified: bool,
    pub secret: &'e str,
    pub uri: &'e str,
    #[serde(serialize_with = "shown")]
    pub backup_codes: &'e [BackupCode],
}

/// `regenerate`.
#[derive(Serialize)]
pub struct Regenerated<'r> {
    pub user: &'r str,
    pub uid: u32,
    #[serde(serialize_with = "shown")]
    pub backup_codes: &'r [BackupCode],
}

fn shown<S: serde::Serializer>(codes: &&[BackupCode], serializer: S) -> Result<S::Ok, S::Error> {
    let shown: Vec<Zeroizing<String>> = codes.iter().map(BackupCode::shown).collect();
    serializer.collect_seq(shown.iter().map(|code| code.as_str()))
}

/// `list`.
#[derive(Serialize)]
pub struct List<'l> {
    pub users: Vec<Entry<'l>>,
}

/// Somebody in a list.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Entry<'l> {
    /// A record that can be read.
    User(User<'l>),
    /// One that cannot.
    Fault { uid: u32, fault: String },
}

/// `status`.
#[derive(Serialize)]
pub struct User<'u> {
    user: &'u str,
    uid: u32,
    devices: Vec<Device<'u>>,
    backup_codes: BackupCodes,
    last_login: Option<String>,
    failed_attempts: usize,
    codes_in_a_row: usize,
    suspended: bool,
    state_readable: bool,
}

#[derive(Serialize)]
struct Device<'d> {
    label: &'d str,
    algorithm: Algorithm,
    digits: u8,
    period: u64,
    verified: bool,
    enrolled: Option<String>,
    last_used: Option<String>,
}

#[derive(Serialize)]
struct BackupCodes {
    left: Option<usize>,
    of: usize,
    made: Option<String>,
}

impl<'u> User<'u> {
    /// As it is printed.
    pub fn new(seen: &'u Overview) -> User<'u> {
        User {
            user: &seen.user,
            uid: seen.uid,
            devices: seen.devices.iter().map(Device::new).collect(),
            backup_codes: BackupCodes {
                left: seen.backup_left,
                of: CODES,
                made: time::rfc3339(seen.backup_made),
            },
            last_login: seen.granted.and_then(time::rfc3339),
            failed_attempts: seen.failures,
            codes_in_a_row: seen.free.run(),
            suspended: seen.suspended,
            state_readable: seen.state_is_known,
        }
    }
}

impl<'d> Device<'d> {
    fn new(seen: &'d DeviceView) -> Device<'d> {
        Device {
            label: &seen.label,
            algorithm: seen.shape.algorithm,
            digits: seen.shape.digits,
            period: seen.shape.period,
            verified: seen.verified,
            enrolled: time::rfc3339(seen.enrolled),
            last_used: seen.used.and_then(time::rfc3339),
        }
    }
}
