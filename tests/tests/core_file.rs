//! `mfa-admin` leaves no core file behind when it crashes with secrets in memory, for two reasons of
//! which each is enough.

use std::{
    fs,
    io::Read,
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
};

use mfa_tests::{command::run, need, sandbox::Sandbox, trace::under};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const STRACE: &str = "/usr/bin/strace";

const AS_LARGE_AS_ALLOWED: &str = r#"ulimit -S -c "$(ulimit -H -c)"; exec "$0" "$@""#;

/// Whether a core was dumped when `mfa-admin` crashed at a question, where the system calls that these
/// words of strace(1) name did nothing.
fn dumps_core(sandbox: &Sandbox, without: &[String]) -> bool {
    // Beside the process and not above it, so that it is our child.
    let words = [STRACE, "-D", "-qq", "-o", "/dev/null"].map(str::to_owned);
    let skip = without
        .iter()
        .flat_map(|call| ["-e".to_owned(), format!("inject={call}")]);
    let words: Vec<_> = words.into_iter().chain(skip).collect();
    let words: Vec<_> = ["sh", "-c", AS_LARGE_AS_ALLOWED]
        .into_iter()
        .chain(words.iter().map(String::as_str))
        .collect();
    let mut command: Command = under(&words, &sandbox.admin_command(&["disable", "alice"]));
    let command = command.current_dir(sandbox.root()).stderr(Stdio::null());
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.spawn().expect("start mfa-admin");
    let stdout = child.stdout.as_mut().expect("stdout is a pipe");
    stdout.read_exact(&mut [0]).expect("it asks");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGABRT).expect("let it crash");
    let status = child.wait().expect("wait for what crashed");
    assert_eq!(status.signal(), Some(Signal::SIGABRT as i32));
    status.core_dumped()
}

/// Lets the one call that has these words do nothing.
fn skipping(sandbox: &Sandbox, name: &str, words: &str) -> String {
    let log = sandbox.path("calls");
    let path = log.to_str().expect("a path in UTF-8");
    let command = sandbox.admin_command(&["status", "alice"]);
    let trace = [STRACE, "-o", path, "-e", &format!("trace={name}")];
    run(&mut under(&trace, &command), "").ok();
    let calls = fs::read_to_string(log).expect("read the calls");
    let place = calls.lines().position(|line| line.contains(words));
    let number = 1 + place.unwrap_or_else(|| panic!("no {words}: {calls}"));
    format!("{name}:retval=0:when={number}")
}

#[test]
fn a_crash_leaves_no_core_file() {
    need!(STRACE);
    let (sandbox, _) = Sandbox::with_alice();
    let limit = skipping(&sandbox, "prlimit64", "RLIMIT_CORE, {");
    let undumpable = skipping(&sandbox, "prctl", "PR_SET_DUMPABLE");
    if !dumps_core(&sandbox, &[limit.clone(), undumpable.clone()]) {
        println!("no core files are written here at all");
        return;
    }
    assert!(!dumps_core(&sandbox, &[]));
    assert!(!dumps_core(&sandbox, &[limit]));
    // Where core files go to a program, the limit is none.
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").expect("read the pattern");
    if !pattern.starts_with('|') {
        assert!(!dumps_core(&sandbox, &[undumpable]));
    }
}
