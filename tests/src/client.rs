//! A PAM client in a sandbox: who logs in, how, and under what circumstances.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    command::LIMIT,
    locate,
    outcome::Outcome,
    pam::Reply,
    protocol::Steer,
    pty::assignment,
    sandbox::{SERVICE, Sandbox},
    session::Session,
};

/// A client that is being described; [`Self::start`] or [`Self::login`] runs it.
#[derive(Clone, Debug)]
pub struct Client<'a> {
    sandbox: &'a Sandbox,
    service: String,
    arguments: Vec<OsString>,
    program: PathBuf,
    wrapper: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    time: Option<i64>,
    limit: Duration,
}

impl<'a> Client<'a> {
    pub(crate) fn new(sandbox: &'a Sandbox, user: &OsStr) -> Self {
        Self {
            sandbox,
            service: SERVICE.to_owned(),
            arguments: vec!["--user".into(), user.to_owned()],
            program: locate::pam_client(),
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

    /// Panics and catches it, in the conversation and around every call.
    pub fn panicking(self) -> Self {
        self.with(["--panic"])
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
    pub fn at(self, time: u64) -> Self {
        self.at_any(time.cast_signed())
    }

    /// The same for a time that may lie before 1970.
    pub fn at_any(mut self, time: i64) -> Self {
        self.time = Some(time);
        self
    }

    /// Sees the time that stands in this file at every look.
    pub fn following(self, clock: &Path) -> Self {
        self.env("VIRTUAL_CLOCK", clock.to_str().expect("UTF-8"))
    }

    /// Cannot look at the clock: every try fails.
    pub fn without_clock(self) -> Self {
        self.env("VIRTUAL_CLOCK", "broken")
    }

    /// Runs under a command such as `strace -f -o FILE` or `prlimit --fsize=0`.
    pub fn under(mut self, command: &[&str]) -> Self {
        self.wrapper = command.iter().map(Into::into).collect();
        self
    }

    /// Is this copy of `pam-client`.
    pub fn program(mut self, path: &Path) -> Self {
        self.program = path.to_owned();
        self
    }

    /// Has one more environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Sees the accounts of the real system in place of the sandbox's.
    ///
    /// For users who do not exist: libnss-wrapper answers for them with an error, where the C library
    /// says that they were not found.
    pub fn real_accounts(self) -> Self {
        let clock = locate::virtual_clock();
        self.env("LD_PRELOAD", clock.to_str().expect("a path in UTF-8"))
    }

    /// May take this long instead of [`LIMIT`].
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Starts it.
    #[track_caller]
    pub fn start(self) -> Session {
        let confidential = self.sandbox.confidential().clone();
        Session::spawn(self.command(), self.limit, confidential)
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

    /// Starts it, gives this answer to every prompt, and waits for the end.
    #[track_caller]
    pub fn insist(self, reply: &Reply) -> Outcome {
        let mut session = self.start();
        while session.next_prompt().is_some() {
            session.reply(reply.clone());
        }
        session.finish()
    }

    fn command(&self) -> Command {
        let variables = self.variables();
        let mut words = self.wrapper.clone();
        if !words.is_empty() {
            // For the client alone: what accounts the wrapper sees is its own business.
            words.push("env".into());
            words.extend(
                variables
                    .iter()
                    .map(|(name, value)| assignment(name, value)),
            );
        }
        words.push(self.program.clone().into_os_string());
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().expect("the client at least"));
        command
            .args(words)
            .arg("--confdir")
            .arg(self.sandbox.confdir())
            .args(["--service", &self.service])
            .args(&self.arguments);
        if self.wrapper.is_empty() {
            command.envs(variables);
        }
        command
    }

    /// The later of two values counts.
    fn variables(&self) -> Vec<(OsString, OsString)> {
        let usual = self.sandbox.environment(self.time).into_iter();
        let usual = usual.map(|(name, value)| (name.into(), value));
        usual.chain(self.variables.iter().cloned()).collect()
    }
}
