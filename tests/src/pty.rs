//! A program on a terminal of its own.
//!
//! Every descriptor here is close-on-exec, so that a program started by another test at the same moment
//! does not inherit (and keep open) this one's terminal.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    fcntl::OFlag,
    pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt},
    sys::termios,
};

use crate::{PASSWORD, command::LIMIT, confidential::Confidential};

/// A shell that starts something in the background lets it ignore the interrupt, and so all tests.
pub const INTERRUPTIBLE: [&str; 2] = ["env", "--default-signal=INT"];

/// How long a program takes at most from its prompt to hiding what is typed.
const HIDES_WITHIN: Duration = Duration::from_secs(1);

/// How long to wait before we look again whether something came.
const PAUSE: Duration = Duration::from_millis(5);

/// A running program and what it wrote. It is killed when dropped.
#[derive(Debug)]
pub struct Pty {
    child: Child,
    terminal: File,
    device: String,
    written: Vec<u8>,
    /// Up to where [`Self::expect`] has looked.
    read_to: usize,
    typed: Confidential,
}

impl Pty {
    /// Starts a command as the leader of a session whose terminal this is.
    #[track_caller]
    pub fn spawn(command: Command) -> Self {
        let mut leader = Command::new("setsid");
        leader.args(["--ctty", "--wait"]).args(INTERRUPTIBLE);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => leader.arg(assignment(name, value)),
                None => leader.arg("--unset").arg(name),
            };
        }
        leader.arg(command.get_program()).args(command.get_args());
        Self::spawn_here(leader)
    }

    /// Starts a command on the terminal; it has to call `setsid --ctty` itself.
    #[track_caller]
    pub fn spawn_here(mut command: Command) -> Self {
        let (master, device) = open_master();
        let slave = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NOCTTY.bits())
            .open(&device)
            .expect("open the terminal");
        let end = || Stdio::from(slave.try_clone().expect("clone the terminal"));
        command.stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn();
        Self {
            child: child.unwrap_or_else(|error| panic!("start {command:?}: {error}")),
            terminal: File::from(
                master
                    .as_fd()
                    .try_clone_to_owned()
                    .expect("clone the master"),
            ),
            device,
            written: Vec::new(),
            read_to: 0,
            typed: Confidential::default(),
        }
    }

    /// What is typed here must not stand in the log to which these texts belong.
    pub fn confiding(mut self, typed: &Confidential) -> Self {
        self.typed = typed.clone();
        self
    }

    /// The terminal's device, such as `/dev/pts/3`.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// All that appeared on the terminal so far.
    pub fn transcript(&self) -> String {
        String::from_utf8_lossy(&self.written).into_owned()
    }

    /// Waits until `text` appears, and returns what stood before it since the last call.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let (_, before) = self.expect_any(&[text]);
        before
    }

    /// Waits until one of the texts appears; which one, and what stood before it.
    #[track_caller]
    pub fn expect_any(&mut self, texts: &[&str]) -> (usize, String) {
        let deadline = Instant::now() + LIMIT;
        loop {
            // In this order: what it wrote before it ended is read after we learn of the end.
            let ended = self.status().is_some();
            self.read();
            if let Some(found) = self.find(texts) {
                return found;
            }
            let failed = if ended { "ended" } else { "hangs" };
            let over = ended || Instant::now() > deadline;
            assert!(!over, "{failed} before {texts:?}:\n{}", self.transcript());
            thread::sleep(PAUSE);
        }
    }

    fn find(&mut self, texts: &[&str]) -> Option<(usize, String)> {
        let unread = &self.written[self.read_to..];
        let position = |text: &str| {
            let mut windows = unread.windows(text.len());
            windows.position(|window| window == text.as_bytes())
        };
        let found = texts.iter().enumerate();
        let found = found.filter_map(|(index, text)| Some((position(text)?, index, text.len())));
        let (start, index, length) = found.min()?;
        let before = String::from_utf8_lossy(&unread[..start]).into_owned();
        self.read_to += start + length;
        Some((index, before))
    }

    /// Types a line.
    pub fn send_line(&mut self, text: &str) {
        // Names and commands do stand in logs.
        if text == PASSWORD || text.contains(|c: char| c.is_ascii_digit()) {
            self.typed.keep(text);
        }
        self.send(&format!("{text}\n"));
    }

    /// Types something, for example the interrupt character `\x03`.
    pub fn send(&mut self, text: &str) {
        self.wait_until_hidden();
        let sent = self.terminal.write_all(text.as_bytes());
        sent.expect("type on the terminal");
    }

    /// Programs show a prompt, then hide what is typed, and throw away what was typed before that. A
    /// prompt that shows what is typed never hides it.
    fn wait_until_hidden(&self) {
        let asks = [&b"code: "[..], b"it changes: ", b"assword: "];
        let asks = asks.iter().any(|prompt| self.written.ends_with(prompt));
        let deadline = Instant::now() + HIDES_WITHIN;
        while asks && self.shows_what_is_typed() && Instant::now() < deadline {
            thread::sleep(PAUSE);
        }
    }

    fn shows_what_is_typed(&self) -> bool {
        let seen = termios::tcgetattr(&self.terminal);
        seen.is_ok_and(|seen| seen.local_flags.contains(termios::LocalFlags::ECHO))
    }

    /// Waits for the end: the exit code, and what appeared since the last [`Self::expect`].
    #[track_caller]
    pub fn finish(mut self) -> (i32, String) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let status = self.status();
            self.read();
            if let Some(status) = status {
                let rest = String::from_utf8_lossy(&self.written[self.read_to..]).into_owned();
                return (status.code().expect("it ended by itself"), rest);
            }
            let late = Instant::now() > deadline;
            assert!(!late, "does not end:\n{}", self.transcript());
            thread::sleep(PAUSE);
        }
    }

    fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("look after the child")
    }

    /// Takes what is there. EIO means that nobody has the terminal open at the moment.
    fn read(&mut self) {
        let mut buffer = [0; 4096];
        loop {
            match self.terminal.read(&mut buffer) {
                Ok(length @ 1..) => self.written.extend(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Both are without effect if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `NAME=value`, as env(1) wants it.
pub(crate) fn assignment(name: &OsStr, value: &OsStr) -> OsString {
    let mut text = name.to_owned();
    text.push("=");
    text.push(value);
    text
}

fn open_master() -> (PtyMaster, String) {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let master = posix_openpt(flags).expect("open a terminal's master");
    grantpt(&master).expect("own the terminal");
    unlockpt(&master).expect("unlock the terminal");
    let device = ptsname_r(&master).expect("the terminal's name");
    (master, device)
}
