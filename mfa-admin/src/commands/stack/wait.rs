//! `mfa-admin stack wait`: lives in the background, and puts back what nobody confirms.

use std::io::{Write, stderr};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use mfa_core::paths::Root;
use mfa_core::proof;
use nix::sys::signal::SigSet;
use nix::unistd::setsid;

use crate::cli::StackWait;
use crate::stack::keeper;
use crate::stack::record::{self, Record};

/// How often it looks whether it is still needed.
const PAUSE: Duration = Duration::from_secs(1);

/// After a failure.
const RETRY: Duration = Duration::from_secs(10);

/// Counts from its own start, and not by the clock on the wall, which may be set: whoever restarts the
/// machine has as much time again.
pub fn run(root: &Root, options: &StackWait) -> Result<()> {
    let service = &options.service;
    let Some(record) = waiting(root, service, None)? else {
        return Ok(());
    };
    // The terminal may go; that systemd did this already is no error. Whoever started us may have held
    // signals back, and a machine that is shut down must not wait for us.
    let _ = setsid();
    SigSet::empty().thread_set_mask()?;
    // After a restart. Without proof nobody can confirm, which is no reason not to wait.
    for service in &record.proofs {
        if !proof::is_awaited(root, service) {
            let _ = proof::wait_for(root, service);
        }
    }
    let _ = proof::announce(root, service, record.id);
    let end = Instant::now() + Duration::from_secs(record.within);
    // A record that cannot be read now may be read later.
    while !matches!(waiting(root, service, Some(record.id)), Ok(None)) {
        let left = end.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            sleep(left.min(PAUSE));
        } else if let Err(error) = time_is_over(root, &record) {
            // It may be a disk that is full: nobody else would try again.
            let _ = writeln!(
                stderr(),
                "mfa-admin: {service} is not put back yet: {error:#}"
            );
            sleep(RETRY);
        }
    }
    // A new change may have come meanwhile, and need it.
    let _lock = record::lock(root)?;
    if waiting(root, service, None)?.is_none() {
        keeper::release(service);
    }
    Ok(())
}

fn time_is_over(root: &Root, record: &Record) -> Result<()> {
    let lock = record::lock_by_force(root)?;
    // It may have been confirmed this instant.
    match waiting(root, &record.service, Some(record.id))? {
        Some(record) => super::put_back(root, &lock, &record, true),
        None => Ok(()),
    }
}

/// The change, while it is neither undone nor confirmed.
fn waiting(root: &Root, service: &str, id: Option<u64>) -> Result<Option<Record>> {
    let record = Record::load(root, service)?;
    Ok(record.filter(|record| !record.confirmed && id.is_none_or(|id| id == record.id)))
}
