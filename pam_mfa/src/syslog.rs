//! The system's log: a datagram to its socket, never waited for longer than a tenth of a second a login.
//!
//! Not `syslog(3)`: that one waits for ever if the daemon does not read, and its identity belongs
//! to the application.

use std::cell::Cell;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use mfa_core::log_line::Level;
use mfa_core::paths::Root;
use syslog::{Facility, LogFormat, Logger, LoggerBackend, Severity};

const PATIENCE: Duration = Duration::from_millis(100);

/// How long is waited where that was in vain before: a socket's time limit cannot be zero.
const NONE: Duration = Duration::from_micros(1);

/// The log during one login. It waits once: after a line that it did not take it is not waited for.
pub struct Log<'r> {
    root: &'r Root,
    patience: Cell<Duration>,
}

impl<'r> Log<'r> {
    /// That of the machine, seen from the root directory.
    pub fn new(root: &'r Root) -> Log<'r> {
        Log {
            root,
            patience: Cell::new(PATIENCE),
        }
    }

    /// Writes a line with facility `authpriv`. A log that cannot be reached changes no verdict.
    pub fn write(&self, level: Level, text: &str) {
        let Some(socket) = connect(self.root, self.patience.get()) else {
            return;
        };
        let mut logger = Logger::new(LoggerBackend::Unix(socket), Line);
        let sent = match level {
            Level::Debug => logger.debug(text),
            Level::Info => logger.info(text),
            Level::Notice => logger.notice(text),
            Level::Warning => logger.warning(text),
            Level::Error => logger.err(text),
        };
        if sent.is_err() {
            self.patience.set(NONE);
        }
    }
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
fn connect(root: &Root, patience: Duration) -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_write_timeout(Some(patience)).ok()?;
    let below = socket.connect(root.below("dev/log"));
    below.or_else(|_| socket.connect("/dev/log")).ok()?;
    Some(socket)
}
