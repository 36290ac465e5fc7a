//! Standard output or standard error: where a command talks to a person.

use std::io::{self, ErrorKind, IsTerminal, Write, stderr, stdout};
use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{fstat, makedev};

/// One of the two.
#[derive(Debug, Clone, Copy)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error, where standard output is for a program.
    Err,
}

/// What a terminal has that does not tell its size.
const USUAL_SIZE: (usize, usize) = (80, 24);

impl Stream {
    /// Where to talk if standard output is to carry JSON, or is not.
    pub fn beside_json(json: bool) -> Stream {
        if json { Stream::Err } else { Stream::Out }
    }

    /// Whether a person sees it.
    pub fn is_terminal(self) -> bool {
        match self {
            Stream::Out => stdout().is_terminal(),
            Stream::Err => stderr().is_terminal(),
        }
    }

    /// Columns and lines of a terminal that knows colours and can be cleared.
    pub fn canvas(self) -> Option<(usize, usize)> {
        let term = std::env::var_os("TERM").unwrap_or_default();
        if !self.is_terminal() || term.is_empty() || term == "dumb" {
            return None;
        }
        let size = match self {
            Stream::Out => terminal_size::terminal_size_of(stdout()),
            Stream::Err => terminal_size::terminal_size_of(stderr()),
        };
        Some(size.map_or(USUAL_SIZE, |(width, height)| {
            (usize::from(width.0), usize::from(height.0))
        }))
    }
}

/// Fails if standard output takes nothing any more, as far as that can be known before anything is
/// written: nobody reads from a pipe, a device is full. A disk tells only when it is written to.
pub fn check_output() -> io::Result<()> {
    let out = stdout();
    let mut polled = [PollFd::new(out.as_fd(), PollFlags::POLLOUT)];
    poll(&mut polled, PollTimeout::ZERO)?;
    let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
    let [polled] = &polled;
    if polled
        .revents()
        .is_some_and(|events| events.intersects(gone))
    {
        return Err(ErrorKind::BrokenPipe.into());
    }
    // The writes of the standard library take a descriptor that is not open for writing as well.
    nix::unistd::write(&out, &[])?;
    Ok(())
}

/// Whether standard output was closed when we were started: Rust's runtime then opens the null device in its
/// place, to read and to write. Whoever wants nothing of it has a shell open it to write alone.
pub fn is_closed() -> io::Result<bool> {
    let out = stdout();
    let flags = OFlag::from_bits_truncate(fcntl(&out, FcntlArg::F_GETFL)?);
    let is_null = fstat(&out)?.st_rdev == makedev(1, 3);
    Ok(is_null && flags & OFlag::O_ACCMODE == OFlag::O_RDWR)
}

impl Stream {
    /// Says of an error where it happened.
    fn at(self, error: io::Error) -> io::Error {
        let name = match self {
            Stream::Out => "output",
            Stream::Err => "error",
        };
        io::Error::new(
            error.kind(),
            format!("cannot write to standard {name}: {error}"),
        )
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self {
            Stream::Out => stdout().write(bytes),
            Stream::Err => stderr().write(bytes),
        };
        written.map_err(|error| self.at(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = match self {
            Stream::Out => stdout().flush(),
            Stream::Err => stderr().flush(),
        };
        flushed.map_err(|error| self.at(error))
    }
}
