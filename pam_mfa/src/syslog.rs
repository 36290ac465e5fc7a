//! The system's log: a datagram to its socket, never waited for longer than a tenth of a second a line.
//!
//! Not `syslog(3)`: that one waits for ever if the daemon does not read, and its identity belongs
//! to the application.

use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use mfa_core::log_line::Level;
use mfa_core::paths::Root;
use syslog::{Facility, LogFormat, Logger, LoggerBackend, Severity};

const PATIENCE: Duration = Duration::from_millis(100);

/// Writes a line with facility `authpriv`. A log that cannot be reached changes no verdict.
pub fn write(root: &Root, level: Level, text: &str) {
    let Some(socket) = connect(root) else { return };
    let mut logger = Logger::new(LoggerBackend::Unix(socket), Line);
    let _ = match level {
        Level::Debug => logger.debug(text),
        Level::Info => logger.info(text),
        Level::Notice => logger.notice(text),
        Level::Warning => logger.warning(text),
        Level::Error => logger.err(text),
    };
}

/// Priority, name and process id, without a date: the daemon has a clock of its own, and that of
/// the library panics after the year 9999.
struct Line;

impl LogFormat<&str> for Line {
    fn format<W: Write>(&self, out: &mut W, severity: Severity, text: &str) -> syslog::Result<()> {
        let priority = Facility::LOG_AUTHPRIV as u8 | severity as u8;
        write!(out, "<{priority}>pam_mfa[{}]: {text}", std::process::id())?;
        Ok(())
    }
}

/// The socket below the root directory, if there is one; else that of the machine.
fn connect(root: &Root) -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_write_timeout(Some(PATIENCE)).ok()?;
    let below = socket.connect(root.below("dev/log"));
    below.or_else(|_| socket.connect("/dev/log")).ok()?;
    Some(socket)
}
