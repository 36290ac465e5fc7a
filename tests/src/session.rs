//! A login through the real libpam: `pam-client` in a sandbox, steered by a test.

use std::{
    ffi::{OsStr, OsString},
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    command::LIMIT,
    locate,
    outcome::Outcome,
    pam::{PROMPT_ECHO_ON, Reply},
    protocol::{Event, Steer},
    sandbox::{SERVICE, Sandbox},
};

/// A client that is being described; [`Self::start`] or [`Self::login`] runs it.
#[derive(Clone, Debug)]
pub struct Client<'a> {
    sandbox: &'a Sandbox,
    service: String,
    arguments: Vec<OsString>,
    wrapper: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    time: Option<u64>,
    limit: Duration,
}

impl<'a> Client<'a> {
    pub(crate) fn new(sandbox: &'a Sandbox, user: &OsStr) -> Self {
        Self {
            sandbox,
            service: SERVICE.to_owned(),
            arguments: vec!["--user".into(), user.to_owned()],
            wrapper: Vec::new(),
            variables: Vec::new(),
            time: None,
            limit: LIMIT,
        }
    }

    /// Another service than [`SERVICE`].
    pub fn service(mut self, service: &str) -> Self {
        self.service = service.to_owned();
        self
    }

    fn with(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets `PAM_RHOST`.
    pub fn rhost(self, host: &str) -> Self {
        self.with(["--rhost", host])
    }

    /// Sets `PAM_TTY`.
    pub fn tty(self, tty: &str) -> Self {
        self.with(["--tty", tty])
    }

    /// Without a conversation function.
    pub fn null_conversation(self) -> Self {
        self.with(["--null-conv"])
    }

    /// Authenticates that often on one handle.
    pub fn calls(self, count: u32) -> Self {
        self.with(["--calls", &count.to_string()])
    }

    /// Runs that many whole transactions in one process, and reports memory after a tenth and at the end.
    pub fn rounds(self, count: u32) -> Self {
        self.with(["--rounds", &count.to_string()])
    }

    /// Answers every prompt by itself; for [`Self::rounds`].
    pub fn always(self, reply: Reply) -> Self {
        let line = serde_json::to_string(&Steer::from(reply)).expect("a reply as JSON");
        self.with(["--always", &line])
    }

    /// Authenticates in a second thread that outlives `pam_end`.
    pub fn in_thread(self) -> Self {
        self.with(["--thread"])
    }

    /// Passes `PAM_SILENT`.
    pub fn silent(self) -> Self {
        self.with(["--silent"])
    }

    /// Begins with `pam_acct_mgmt`.
    pub fn skip_authenticate(self) -> Self {
        self.with(["--skip-authenticate"])
    }

    /// Opens a session after a login.
    pub fn session(self) -> Self {
        self.with(["--session"])
    }

    /// Sees this time, whatever the sandbox says.
    pub fn at(mut self, time: u64) -> Self {
        self.time = Some(time);
        self
    }

    /// Runs under a command such as `strace -f -o FILE` or `prlimit --fsize=0`.
    pub fn under(mut self, command: &[&str]) -> Self {
        self.wrapper = command.iter().map(Into::into).collect();
        self
    }

    /// Has one more environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// May take this long instead of [`LIMIT`].
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Starts it.
    #[track_caller]
    pub fn start(self) -> Session {
        Session::spawn(self.command(), self.limit)
    }

    /// Starts it, gives these answers and NULL beyond them, and waits for the end.
    #[track_caller]
    pub fn login(self, answers: &[&str]) -> Outcome {
        let mut session = self.start();
        let mut answers = answers.iter();
        while session.next_prompt().is_some() {
            let answer = answers.next().map(|text| text.as_bytes().to_vec());
            session.reply(answer.map_or(Reply::Null, Reply::Text));
        }
        session.finish()
    }

    fn command(&self) -> Command {
        let client = locate::pam_client().into_os_string();
        let mut words = self.wrapper.iter().chain([&client]);
        let mut command = Command::new(words.next().expect("the client at least"));
        command
            .args(words)
            .arg("--confdir")
            .arg(self.sandbox.confdir())
            .args(["--service", &self.service])
            .args(&self.arguments)
            .envs(self.sandbox.environment(self.time))
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

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
}

impl Session {
    #[track_caller]
    fn spawn(mut command: Command, limit: Duration) -> Self {
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
