//! A process under strace: which system calls it makes, and what happens if one of them fails or
//! is the last.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::command::LIMIT;

/// The n-th call (from 1) of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The name of the system call.
    pub name: String,
    /// Counted from the start of the process.
    pub number: usize,
    /// As strace prints it.
    pub line: String,
}

/// Whether the call changes a file, or takes or gives a lock: killed anywhere else, a process leaves
/// what it would leave if it were killed at the next of these.
pub fn changes_something(call: &Call) -> bool {
    match call.name.as_str() {
        "openat" => call.line.contains("O_CREAT"),
        "mkdir" | "mkdirat" | "write" | "pwrite64" | "fsync" | "fdatasync" | "renameat2"
        | "renameat" | "rename" | "unlinkat" | "unlink" | "link" | "linkat" | "fchmod"
        | "flock" => true,
        _ => false,
    }
}

/// The calls in a strace log, from the first that names one of our files to the one before `end`
/// stands in a line.
pub fn calls(log: &Path, end: &str) -> Vec<Call> {
    let text = fs::read_to_string(log).expect("the log of strace");
    let mut numbers = HashMap::<String, usize>::new();
    let (mut calls, mut ours) = (Vec::new(), false);
    for line in text.lines() {
        let Some(name) = name_of(line) else { continue };
        let number = numbers.entry(name.to_owned()).or_default();
        *number += 1;
        ours |= line.contains("etc/pam_mfa");
        if ours && line.contains(end) {
            break;
        }
        if ours && is_of_the_module(line) {
            calls.push(Call {
                name: name.to_owned(),
                number: *number,
                line: line.to_owned(),
            });
        }
    }
    assert!(!calls.is_empty(), "no call of ours: {text}");
    calls
}

/// `1234 openat(AT_FDCWD, …` → `openat`; lines about signals and exits have no name.
fn name_of(line: &str) -> Option<&str> {
    let call = line
        .trim_start_matches(|c: char| c.is_ascii_digit())
        .trim_start();
    let name = call.split_once('(')?.0;
    name.chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_')
        .then_some(name)
}

/// Standard input and output belong to the application.
fn is_of_the_module(line: &str) -> bool {
    !["read(0,", "write(1,", "write(2,"]
        .iter()
        .any(|own| line.contains(own))
}

/// The words of strace that let `call` fail, or be the last: `what` is `error=EIO` or `signal=KILL`.
pub fn inject(call: &Call, what: &str) -> Vec<String> {
    let inject = format!("inject={}:{what}:when={}", call.name, call.number);
    ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject]
        .map(str::to_owned)
        .into()
}

/// Waits until the log of strace says that a process was stopped; which one.
#[track_caller]
pub fn stopped(log: &Path) -> u32 {
    let deadline = Instant::now() + LIMIT;
    loop {
        let text = fs::read_to_string(log).unwrap_or_default();
        let line = text
            .lines()
            .find(|line| line.contains("stopped by SIGSTOP"));
        if let Some(line) = line {
            let pid = line.split_whitespace().next();
            let pid = pid.and_then(|pid| pid.parse().ok());
            return pid.expect("a process id");
        }
        assert!(Instant::now() < deadline, "nothing was stopped: {text}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// The same command under other words.
pub fn under(words: &[&str], command: &Command) -> Command {
    let mut wrapped = Command::new(words[0]);
    wrapped
        .args(&words[1..])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        wrapped.env(name, value.expect("no variable is removed"));
    }
    wrapped
}

/// Works on every item, some at a time.
pub fn each<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let turn = || {
        while let Some(item) = items.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            work(item);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(turn)).collect();
        for thread in threads {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
}
