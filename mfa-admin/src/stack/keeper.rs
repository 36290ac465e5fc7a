//! Who waits, and puts everything back unless it is confirmed: systemd, also after a restart of the
//! machine; without it a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Who waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// Starts anew after a restart of the machine.
    Systemd,
    /// Ends with the machine.
    Process,
}

/// What a process of ours says once it waits.
pub const WAITING: &str = "waiting";

fn unit(service: &str) -> String {
    format!("mfa-admin-stack@{service}.service")
}

/// Whether systemd runs this machine (sd_booted(3)).
pub fn systemd_runs() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn systemctl(arguments: &[&str]) -> bool {
    let mut command = Command::new("systemctl");
    command
        .args(["--quiet", "--no-ask-password"])
        .args(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Starts one that lives longer than the terminal.
///
/// # Errors
/// It does not start: then nothing may be changed.
pub fn start(service: &str) -> Result<Keeper> {
    let unit = unit(service);
    if systemd_runs() && systemctl(&["cat", &unit]) {
        ensure!(
            systemctl(&["enable", &unit]) && systemctl(&["restart", &unit]),
            "{unit} does not start, so nothing would put the change back. See: systemctl status {unit}"
        );
        return Ok(Keeper::Systemd);
    }
    let program = std::env::current_exe().context("where is this program?")?;
    let mut child = Command::new(program)
        .args(["stack", "wait", service])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the process that would put the change back")?;
    let mut said = String::new();
    let stdout = child.stdout.take().map(BufReader::new);
    let read = stdout.map(|mut stdout| stdout.read_line(&mut said));
    ensure!(
        matches!(read, Some(Ok(_))) && said.trim() == WAITING,
        "the process that would put the change back does not start"
    );
    Ok(Keeper::Process)
}

/// It need not start with the machine any more. It ends by itself, for the record is gone or confirmed.
pub fn release(service: &str) {
    if systemd_runs() {
        systemctl(&["disable", &unit(service)]);
    }
}
