//! Running a command to its end, with a limit, so that no test can hang.

use std::{
    io::Write,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How long anything that a test waits for may take.
pub const LIMIT: Duration = Duration::from_secs(20);

/// How a command ended and what it wrote.
#[derive(Debug)]
pub struct Finished {
    /// The exit status.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Finished {
    /// The exit code; a command that died of a signal fails the test.
    pub fn code(&self) -> i32 {
        let died = || panic!("died of signal {:?}: {self:?}", self.status.signal());
        self.status.code().unwrap_or_else(died)
    }

    /// Fails the test unless the command succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.status.success(), "{self:#?}");
        self
    }

    /// Fails the test unless the command exited with an error.
    #[track_caller]
    pub fn failed(self) -> Self {
        assert_ne!(self.code(), 0, "{self:#?}");
        self
    }
}

/// Runs a command with the given standard input; kills it after [`LIMIT`].
#[track_caller]
pub fn run(command: &mut Command, stdin: &str) -> Finished {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("start {command:?}: {error}"));
    let pid = Pid::from_raw(child.id() as i32);
    feed(&mut child, stdin.to_owned());

    let (ended, end) = mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        let late = end.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout);
        late && kill(pid, Signal::SIGKILL).is_ok()
    });
    let output = child.wait_with_output().expect("wait for a command");
    drop(ended);
    let killed = guard.join().expect("the guard never panics");
    assert!(!killed, "took over {LIMIT:?}: {command:?} {output:?}");

    Finished {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// In a thread of its own: a command may write a pipe full before it reads.
fn feed(child: &mut Child, text: String) {
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    // A command that does not read its input is none of our business.
    thread::spawn(move || stdin.write_all(text.as_bytes()));
}
