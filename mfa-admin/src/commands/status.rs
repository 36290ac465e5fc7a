//! `mfa-admin status`: one user.

use std::io::{self, Write, stdout};

use anyhow::{Context, Result};
use mfa_core::backup::CODES;
use mfa_core::fault::Fault;
use mfa_core::overview::{DeviceView, Overview};
use mfa_core::paths::Root;
use mfa_core::store::Store;
use mfa_core::user::shown;

use crate::cli::Status;
use crate::json::{self, User};
use crate::time;

/// His devices, backup codes and last login; fails at the end if the configuration cannot be used.
pub fn run(root: &Root, options: &Status) -> Result<()> {
    let (seen, in_order) = super::seen(root, &Store::open(root)?, &options.user)?;
    match options.json {
        true => json::print(&User::new(&seen))?,
        false => show(&seen).context("cannot write to standard output")?,
    }
    in_order.context("every login is refused")
}

fn show(seen: &Overview) -> io::Result<()> {
    let mut out = stdout();
    writeln!(out, "{} (uid {})", shown(&seen.user), seen.uid)?;
    for device in &seen.devices {
        show_device(&mut out, device, &super::last(device.used, seen))?;
    }
    let made = time::local(seen.backup_made);
    let left = match seen.backup_left {
        Some(left) => format!("{left} of {CODES} left, made {made}"),
        None => format!("made {made}, not taken now (see below)"),
    };
    field(&mut out, "Backup codes", &left)?;
    field(&mut out, "Last login", &super::last(seen.granted, seen))?;
    let failed = match seen.state_is_known {
        true => seen.failures.to_string(),
        false => "unknown".to_owned(),
    };
    field(&mut out, "Failed since", &failed)?;
    field(&mut out, "Asked for", &asked_for(seen))?;
    if seen.backup_left.is_none() {
        writeln!(out, "{}", what_to_do(seen))?;
    }
    match &seen.caution {
        // Just told, with the repair.
        None | Some(Fault::NoState { .. }) => {}
        Some(caution) => writeln!(out, "Why: {caution}")?,
    }
    out.flush()
}

/// How many codes in a row, and for how many tries that is enough.
fn asked_for(seen: &Overview) -> String {
    let left = |tries: usize| match tries {
        1 => "1 failed try".to_owned(),
        tries => format!("{tries} failed tries"),
    };
    if seen.suspended {
        let user = shown(&seen.user);
        return format!("a backup code only (suspend_after), until: mfa-admin unlock {user}");
    }
    match seen.free.run() {
        1 => format!(
            "1 code, for {} more; then 2 in a row",
            left(seen.free.guesses)
        ),
        2 => format!(
            "2 codes in a row, for {} more; then 3",
            left(seen.free.pairs)
        ),
        run => format!("{run} codes in a row"),
    }
}

fn show_device(out: &mut impl Write, device: &DeviceView, used: &str) -> io::Result<()> {
    let verified = match device.verified {
        true => "verified",
        false => "unverified",
    };
    let shape = device.shape;
    let codes = format!(
        "{}, {} digits, {} seconds",
        shape.algorithm, shape.digits, shape.period
    );
    field(out, "Device", &format!("{}, {verified}", device.label))?;
    field(out, "  Codes", &codes)?;
    field(out, "  Enrolled", &time::local(device.enrolled))?;
    field(out, "  Last used", used)
}

fn field(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    writeln!(out, "{name:<14}{value}")
}

fn what_to_do(seen: &Overview) -> String {
    let user = shown(&seen.user);
    let trouble = match seen.state_is_known {
        false => {
            "What was used cannot be read: a login takes three verification codes in a row, and \
             no backup code."
        }
        true => "Which backup codes were used is not known: a login takes none.",
    };
    format!("{trouble} Make new backup codes: mfa-admin regenerate {user}")
}
