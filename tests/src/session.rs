//! A running login through the real libpam: `pam-client`, steered by a test.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    confidential::Confidential,
    outcome::Outcome,
    pam::{PROMPT_ECHO_ON, Reply},
    protocol::{Event, Steer},
};

/// A question of the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Whether the answer would be shown.
    pub echo: bool,
    /// The question.
    pub text: String,
}

/// A running client. It is killed when dropped.
#[derive(Debug)]
pub struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    stderr: Option<JoinHandle<String>>,
    events: Receiver<Event>,
    seen: Vec<Event>,
    deadline: Instant,
    typed: Confidential,
}

impl Session {
    #[track_caller]
    pub(crate) fn spawn(mut command: Command, limit: Duration, typed: Confidential) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let (send, events) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("an event of the client");
                let _ = send.send(event);
            }
        });
        let mut stderr = child.stderr.take().expect("stderr is a pipe");
        let stderr = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Self {
            stdin: child.stdin.take(),
            child,
            stderr: Some(stderr),
            events,
            seen: Vec::new(),
            deadline: Instant::now() + limit,
            typed,
        }
    }

    /// The client's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What happened so far.
    pub fn seen(&self) -> &[Event] {
        &self.seen
    }

    /// Waits for the next prompt; none comes if the client ends before.
    #[track_caller]
    pub fn next_prompt(&mut self) -> Option<Prompt> {
        while let Some(event) = self.next_event() {
            if let Event::Prompt { style, text } = event {
                let echo = style == PROMPT_ECHO_ON;
                return Some(Prompt { echo, text });
            }
        }
        None
    }

    /// Waits for the next prompt, which must come.
    #[track_caller]
    pub fn prompt(&mut self) -> Prompt {
        let prompt = self.next_prompt();
        prompt.unwrap_or_else(|| panic!("no prompt came: {:#?}", self.seen))
    }

    /// Answers the prompt with a text.
    pub fn answer(&mut self, text: &str) {
        self.reply(Reply::Text(text.as_bytes().to_vec()));
    }

    /// Answers the prompt in any way.
    pub fn reply(&mut self, reply: Reply) {
        if let Reply::Text(text) = &reply {
            self.typed.keep(&String::from_utf8_lossy(text));
        }
        let line = serde_json::to_string(&Steer::from(reply)).expect("a reply as JSON");
        let stdin = self.stdin.as_mut().expect("stdin is open until the end");
        // A client that died meanwhile shows in the outcome.
        let _ = writeln!(stdin, "{line}");
    }

    /// Waits for the end; a prompt that still comes is answered with an error.
    #[track_caller]
    pub fn finish(mut self) -> Outcome {
        drop(self.stdin.take());
        while self.next_event().is_some() {}
        let status = self.child.wait().expect("wait for the client");
        let stderr = self.stderr.take().expect("finished only once");
        let stderr = stderr.join().expect("the reader of stderr never panics");
        let signal = status.signal();
        assert!(
            status.success(),
            "died ({signal:?}): {stderr} {:#?}",
            self.seen
        );
        Outcome::new(std::mem::take(&mut self.seen), stderr)
    }

    #[track_caller]
    fn next_event(&mut self) -> Option<Event> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.events.recv_timeout(left) {
            Ok(event) => {
                self.seen.push(event.clone());
                Some(event)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the client hangs: {:#?}", self.seen),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Both are without effect if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
