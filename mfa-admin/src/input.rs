//! Lines from standard input, until somebody breaks off.

use std::io::{self, IsTerminal, stdin};
use std::os::fd::AsFd;

use mfa_core::answer::LONGEST;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{FlushArg, LocalFlags, SetArg, Termios, tcflush, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// What somebody types to break off. Ctrl-Z, too: it would leave secrets on the screen.
const BREAKS: [Signal; 5] = [
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTSTP,
    Signal::SIGTERM,
    Signal::SIGHUP,
];

/// Standard input. While there is one, signals end a question and not the process, so that the
/// terminal can be put back in order and half-done work be undone.
pub struct Input {
    signals: SignalFd,
}

impl Input {
    /// Begins to hold the signals back.
    pub fn new() -> io::Result<Input> {
        let breaks: SigSet = BREAKS.into_iter().collect();
        breaks.thread_block()?;
        let signals = SignalFd::with_flags(&breaks, SfdFlags::SFD_CLOEXEC)?;
        Ok(Input { signals })
    }

    /// Whether somebody types there.
    pub fn is_terminal(&self) -> bool {
        stdin().is_terminal()
    }

    /// Whether somebody broke off while nothing was asked.
    pub fn is_broken_off(&self) -> bool {
        let mut signals = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        poll(&mut signals, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Forgets what was typed ahead: it is no answer to a question that was not there yet.
    pub fn forget(&self) {
        // Without a terminal there is nothing that was typed.
        let _ = tcflush(stdin(), FlushArg::TCIFLUSH);
    }

    /// The next line; see [`Self::bytes`].
    pub fn line(&mut self) -> io::Result<Option<Zeroizing<String>>> {
        let line = self.bytes()?;
        Ok(line.map(|line| Zeroizing::new(String::from_utf8_lossy(&line).into_owned())))
    }

    /// The next line without its end; `None` if there is none, or somebody broke off. Of a line
    /// that is too long for an answer, enough is kept to see that it is.
    pub fn bytes(&mut self) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let mut line = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
        loop {
            match self.byte()? {
                Some(b'\n') => break,
                Some(byte) if line.len() <= LONGEST => line.push(byte),
                Some(_) => {}
                None if line.is_empty() => return Ok(None),
                None => break,
            }
        }
        Ok(Some(line))
    }

    /// Has the terminal show nothing of what is typed, and forget what was typed before.
    pub fn hide(&self) -> io::Result<Hidden> {
        let before = tcgetattr(stdin())?;
        let mut hiding = before.clone();
        hiding.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(stdin(), SetArg::TCSAFLUSH, &hiding)?;
        Ok(Hidden(before))
    }

    /// Byte by byte, so that no typed code stays behind in a buffer.
    fn byte(&mut self) -> io::Result<Option<u8>> {
        if !self.wait_for(stdin())? {
            return Ok(None);
        }
        let mut byte = Zeroizing::new([0; 1]);
        match nix::unistd::read(stdin(), byte.as_mut_slice()) {
            Ok(0) | Err(Errno::EIO) => Ok(None),
            Ok(_) => Ok(byte.first().copied()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether there is something to read, rather than a signal.
    pub fn wait_for(&self, source: impl AsFd) -> io::Result<bool> {
        let mut both = [
            PollFd::new(source.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        loop {
            match poll(&mut both, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
                Ok(_) => break,
            }
        }
        let [_, signals] = &both;
        Ok(!signals.any().unwrap_or(false))
    }
}

/// While there is one, nothing that is typed is shown.
pub struct Hidden(Termios);

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that takes nothing is not there any more.
        let _ = tcsetattr(stdin(), SetArg::TCSANOW, &self.0);
    }
}
