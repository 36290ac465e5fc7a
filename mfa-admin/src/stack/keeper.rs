//! Who waits, and puts everything back unless it is confirmed: systemd, also after a restart of the
//! machine; without it a process of its own.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mfa_core::paths::Root;
use mfa_core::proof;
use nix::unistd::syncfs;

/// Who waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// Starts anew after a restart of the machine.
    Systemd,
    /// Ends with the machine, at the latest.
    Process,
}

/// How long one takes at most to say that it waits.
const STARTS_WITHIN: Duration = Duration::from_secs(10);

/// By its full path: what is asked for by root must not depend on a PATH.
const SYSTEMCTL: &str = "/bin/systemctl";

/// Where it notes what is enabled.
const UNITS: &str = "/etc/systemd/system";

fn unit(service: &str) -> String {
    format!("mfa-admin-stack@{service}.service")
}

/// Whether systemd runs this machine (sd_booted(3)).
pub fn systemd_runs() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Whether it says yes, or has done it.
pub fn systemctl(arguments: &[&str]) -> bool {
    let mut command = Command::new(SYSTEMCTL);
    command
        .args(["--quiet", "--no-ask-password"])
        .args(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Starts one that lives longer than the terminal, and waits until it says that it waits.
///
/// # Errors
/// It does not: then nothing may be changed.
pub fn start(root: &Root, service: &str, change: u64) -> Result<Keeper> {
    let unit = unit(service);
    let keeper = match systemd_runs() && systemctl(&["cat", &unit]) {
        true => {
            let started = systemctl(&["enable", &unit]) && systemctl(&["restart", &unit]);
            ensure!(
                started,
                "{unit} does not start. See: systemctl status {unit}"
            );
            sync_units()
                .with_context(|| format!("it is not sure that {unit} outlives a power cut"))?;
            Keeper::Systemd
        }
        false => {
            let program = std::env::current_exe().context("where is this program?")?;
            let mut command = Command::new(program);
            command.args(["stack", "wait", service]).current_dir("/");
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
                .spawn()
                .context("cannot start the process that would put it back")?;
            Keeper::Process
        }
    };
    let end = Instant::now() + STARTS_WITHIN;
    while !proof::is_announced(root, service, change) {
        ensure!(
            Instant::now() < end,
            "nobody waits to put it back. See the log"
        );
        sleep(Duration::from_millis(10));
    }
    Ok(keeper)
}

/// What is to put the change back must be on the disk before the change is; systemctl(1) waits for no disk.
fn sync_units() -> Result<()> {
    let units = File::open(UNITS).with_context(|| format!("cannot open {UNITS}"))?;
    syncfs(units).with_context(|| format!("cannot sync {UNITS}"))
}

/// It need not start with the machine any more. It ends by itself, for the record is gone or confirmed.
pub fn release(service: &str) {
    if systemd_runs() {
        systemctl(&["disable", &unit(service)]);
    }
}
