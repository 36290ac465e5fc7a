//! The program that runs the transaction: it is started, listened to, answered, and ended.

use std::env;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use pam_witness::Event;

use crate::terminal::Terminal;

/// Where it lies, seen from the folder of this program.
const PROGRAM: &str = "../libexec/mfa-admin/pam-witness";

/// A running one. It is ended when dropped; to a module that looks like a lost connection.
pub struct Witness {
    child: Child,
    answers: ChildStdin,
    events: ChildStdout,
    /// What was read of events that were not taken yet.
    pending: Vec<u8>,
}

impl Witness {
    /// Starts one with these arguments.
    pub fn start(arguments: &[&str]) -> Result<Witness> {
        let here = env::current_exe().context("where is this program?")?;
        let program = here.parent().unwrap_or(&here).join(PROGRAM);
        let started = Command::new(&program)
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let shown = || format!("cannot start {}: install mfa-admin anew", program.display());
        let mut child = started.with_context(shown)?;
        let (Some(answers), Some(events)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("there is no way to the program that was started");
        };
        let pending = Vec::new();
        Ok(Witness {
            child,
            answers,
            events,
            pending,
        })
    }

    /// What happens next; None if somebody broke off.
    ///
    /// # Errors
    /// It ended, which it does not do by itself before it said so.
    pub fn next(&mut self, terminal: &Terminal) -> Result<Option<Event>> {
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                return serde_json::from_slice(&line)
                    .map(Some)
                    .context("the program that was started is of another version");
            }
            if !terminal.wait_for(&self.events)? {
                return Ok(None);
            }
            let mut part = [0; 4096];
            match self.events.read(&mut part)? {
                0 => bail!("it ended with {}", self.child.wait()?),
                length => self.pending.extend(part.iter().take(length)),
            }
        }
    }

    /// Answers its question.
    pub fn answer(&mut self, answer: &[u8]) -> Result<()> {
        // In two parts: put together they would be a copy that nobody wipes.
        let answered = self.answers.write_all(answer);
        let answered = answered.and_then(|()| self.answers.write_all(b"\n"));
        answered.context("the question is not there any more")
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // Both are without effect if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
