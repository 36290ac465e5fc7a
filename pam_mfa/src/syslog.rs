//! The system's log: a datagram to its socket, never waited for longer than a tenth of a second a line.
//!
//! Not `syslog(3)`: that one waits for ever if the daemon does not read, and its identity belongs
//! to the application.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use mfa_core::log_line::Level;
use mfa_core::paths::Root;
use syslog::{Facility, Formatter3164, Logger, LoggerBackend};

const PATIENCE: Duration = Duration::from_millis(100);

/// Writes a line with facility `authpriv`. A log that cannot be reached changes no verdict.
pub fn write(root: &Root, level: Level, text: &str) {
    let Some(socket) = connect(root) else { return };
    let formatter = Formatter3164 {
        facility: Facility::LOG_AUTHPRIV,
        hostname: None,
        process: "pam_mfa".to_owned(),
        pid: std::process::id(),
    };
    let mut logger = Logger::new(LoggerBackend::Unix(socket), formatter);
    let _ = match level {
        Level::Info => logger.info(text),
        Level::Notice => logger.notice(text),
        Level::Warning => logger.warning(text),
        Level::Error => logger.err(text),
    };
}

/// The socket below the root directory, if there is one; else that of the machine.
fn connect(root: &Root) -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_write_timeout(Some(PATIENCE)).ok()?;
    let below = socket.connect(root.below("dev/log"));
    below.or_else(|_| socket.connect("/dev/log")).ok()?;
    Some(socket)
}
