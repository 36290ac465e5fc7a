//! A PAM application that is steered line by line; see `mfa_tests::protocol` for the lines.
//!
//! It is a process of its own so that it can run under a faked clock, faked accounts, `strace` or limits,
//! and so that a module that kills its host kills no test.

use std::{
    env,
    ffi::{OsString, c_int, c_uint},
    fs, io,
    io::Write,
    panic,
    path::PathBuf,
    sync::mpsc,
    thread,
};

use mfa_tests::{
    pam::{self, Application, Reply, Start, Transaction},
    process::{self, State},
    protocol::{Event, LOOK, Steer},
};
use nix::{errno::Errno, unistd};
use zeroize::Zeroizing;

#[derive(Default)]
struct Options {
    confdir: PathBuf,
    service: String,
    user: Option<OsString>,
    rhost: Option<OsString>,
    tty: Option<OsString>,
    /// How often to authenticate on one handle.
    calls: u32,
    /// How many whole transactions to run.
    rounds: u32,
    /// The answer to every prompt, in place of those on stdin.
    always: Option<Steer>,
    null_conversation: bool,
    /// Authenticate in a second thread that outlives `pam_end`.
    thread: bool,
    silent: bool,
    /// Begin with `pam_acct_mgmt`, as sudo with a ticket, cron and key-only sshd do.
    skip_authenticate: bool,
    /// Open a session too.
    session: bool,
    /// Let somebody look at the process: tell what it is like, and wait after `pam_end`.
    look: bool,
    /// Panic and catch it: in the conversation, and around every call.
    panic: bool,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = OsString>) -> Self {
        let mut options = Self {
            calls: 1,
            rounds: 1,
            ..Self::default()
        };
        while let Some(name) = arguments.next() {
            let name = name.into_string().expect("an option");
            if !options.set_switch(&name) {
                let value = arguments.next().unwrap_or_else(|| panic!("{name} what?"));
                options.set(&name, value);
            }
        }
        options
    }

    fn set_switch(&mut self, name: &str) -> bool {
        let switch = match name {
            "--null-conv" => &mut self.null_conversation,
            "--thread" => &mut self.thread,
            "--silent" => &mut self.silent,
            "--skip-authenticate" => &mut self.skip_authenticate,
            "--session" => &mut self.session,
            "--look" => &mut self.look,
            "--panic" => &mut self.panic,
            _ => return false,
        };
        *switch = true;
        true
    }

    fn set(&mut self, name: &str, value: OsString) {
        match name {
            "--confdir" => self.confdir = value.into(),
            "--user" => self.user = Some(value),
            "--rhost" => self.rhost = Some(value),
            "--tty" => self.tty = Some(value),
            "--service" => self.service = text(value),
            "--calls" => self.calls = text(value).parse().expect("a number of calls"),
            "--rounds" => self.rounds = text(value).parse().expect("a number of rounds"),
            "--always" => self.always = Some(steer(&text(value))),
            _ => panic!("unknown option {name}"),
        }
    }

    fn flags(&self) -> c_int {
        if self.silent { pam::SILENT } else { 0 }
    }
}

fn text(value: OsString) -> String {
    value.into_string().expect("a value in UTF-8")
}

fn steer(line: &str) -> Steer {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

/// Puts the conversation on stdout and stdin.
struct Wire {
    always: Option<Steer>,
    panic: bool,
}

impl Application for Wire {
    fn converse(&mut self, style: c_int, text: &str) -> Reply {
        if self.panic {
            panic_and_catch();
        }
        let text = text.to_owned();
        match style {
            pam::TEXT_INFO => emit(&Event::Info { text }),
            pam::ERROR_MSG => emit(&Event::Error { text }),
            _ => {
                emit(&Event::Prompt { style, text });
                return self.always.clone().map_or_else(read, Reply::from);
            }
        }
        Reply::Null
    }

    fn delay(&mut self, status: c_int, usec: c_uint) {
        emit(&Event::Delay { status, usec });
    }
}

/// The next answer; at the end of stdin the conversation fails, as if the user had gone.
fn read() -> Reply {
    let line = read_line();
    match line.is_empty() {
        true => Reply::Error(pam::CONV_ERR),
        false => steer(&line).into(),
    }
}

/// The longest answer that a test gives.
const LONGEST: usize = 4 << 20;

/// Without the buffer of the standard library, which keeps what was typed. Nothing follows a line
/// before the next prompt.
fn read_line() -> Zeroizing<String> {
    let mut line = Zeroizing::new(Vec::with_capacity(4096));
    let mut part = Zeroizing::new([0; 4096]);
    while !line.ends_with(b"\n") {
        let length = read_part(part.as_mut_slice()).expect("read an answer");
        if length == 0 {
            break;
        }
        if line.len() + length > line.capacity() {
            // A buffer that grows by itself leaves a copy behind.
            let mut longer = Zeroizing::new(Vec::with_capacity(LONGEST));
            longer.extend_from_slice(&line);
            line = longer;
        }
        line.extend_from_slice(&part[..length]);
    }
    let line = std::mem::take(&mut *line);
    Zeroizing::new(String::from_utf8(line).expect("a line in UTF-8"))
}

/// Twice: a test may let a system call fail once, and not always hits the module's.
fn read_part(part: &mut [u8]) -> Result<usize, Errno> {
    let mut read = || unistd::read(io::stdin(), part);
    read().or_else(|_| read())
}

/// With the unwinder of this program, and past whatever hook a module may have left.
fn panic_and_catch() {
    let caught = panic::catch_unwind(|| panic::resume_unwind(Box::new("ours")));
    let caught = caught.expect_err("a panic");
    assert_eq!(caught.downcast_ref(), Some(&"ours"));
}

fn emit(event: &Event) {
    let line = serde_json::to_string(event).expect("an event as JSON");
    let mut out = io::stdout().lock();
    // If nobody reads any more there is nothing to be done about it here.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn result(call: &str, code: c_int) {
    emit(&Event::Result {
        call: call.to_owned(),
        code,
    });
}

fn main() {
    let options = Options::parse(env::args_os().skip(1));
    let before = options.look.then(|| {
        pam::open_log(c"host-app");
        process::state()
    });
    for round in 1..=options.rounds {
        transact(&options);
        if round == options.rounds.div_ceil(10) || round == options.rounds {
            report_memory(round);
        }
    }
    if let Some(before) = before {
        let_look(&before);
    }
}

fn let_look(before: &State) {
    // Nothing may have been printed past us.
    pam::flush();
    let what = process::changes(before, &process::state());
    emit(&Event::Changed { what });
    pam::log(c"still myself");
    emit(&Event::Prompt {
        style: pam::PROMPT_ECHO_OFF,
        text: LOOK.to_owned(),
    });
    read_line();
}

fn transact(options: &Options) {
    let start = Start {
        confdir: &options.confdir,
        service: &options.service,
        user: options.user.as_deref(),
        null_conversation: options.null_conversation,
    };
    let application = Box::new(Wire {
        always: options.always.clone(),
        panic: options.panic,
    });
    match Transaction::start(start, application) {
        Err(code) => result("start", code),
        Ok(transaction) if options.thread => in_thread(transaction, options),
        Ok(mut transaction) => {
            log_in(&mut transaction, options);
            result("end", transaction.end());
        }
    }
}

/// A thread that outlives `pam_end` runs the destructors of its thread-locals after the modules are unloaded.
fn in_thread(mut transaction: Transaction, options: &Options) {
    thread::scope(|scope| {
        let (give_back, given_back) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        scope.spawn(move || {
            log_in(&mut transaction, options);
            let _ = give_back.send(transaction);
            let _ = released.recv();
        });
        let transaction = given_back.recv().expect("the thread gives it back");
        result("end", transaction.end());
        drop(release);
    });
}

fn log_in(transaction: &mut Transaction, options: &Options) {
    if let Some(rhost) = &options.rhost {
        transaction.set_rhost(rhost);
    }
    if let Some(tty) = &options.tty {
        transaction.set_tty(tty);
    }
    if options.skip_authenticate || authenticate(transaction, options) == pam::SUCCESS {
        go_on(transaction, options);
    }
}

fn authenticate(transaction: &mut Transaction, options: &Options) -> c_int {
    let mut code = pam::ABORT;
    for _ in 0..options.calls {
        if options.panic {
            panic_and_catch();
        }
        code = transaction.authenticate(options.flags());
        if options.panic {
            panic_and_catch();
        }
        result("authenticate", code);
    }
    code
}

/// What an application does after a user has authenticated.
fn go_on(transaction: &mut Transaction, options: &Options) {
    result("acct_mgmt", transaction.acct_mgmt(options.flags()));
    let flags = pam::ESTABLISH_CRED | options.flags();
    result("setcred", transaction.setcred(flags));
    if options.session {
        result("open_session", transaction.open_session(options.flags()));
    }
}

fn report_memory(round: u32) {
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return;
    };
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let rss = rss.and_then(|rss| rss.trim().strip_suffix(" kB"));
    let Ok(descriptors) = fs::read_dir("/proc/self/fd") else {
        return;
    };
    emit(&Event::Memory {
        round,
        rss_kib: rss.and_then(|rss| rss.parse().ok()).expect("VmRSS in kB"),
        // One of them is that of the directory.
        descriptors: descriptors.count() - 1,
    });
}
