//! Killed at every change that it makes: what was begun is put back.

use std::os::unix::process::ExitStatusExt;

use mfa_tests::{
    command::run,
    machine::Machine,
    need, need_root,
    trace::{self, Call, changes_something, inject},
};

use crate::{LONG, SU, machine, stack, su, wait_for_the_keeper};

const WORDS: [&str; 5] = ["mfa-admin", "stack", "enable", "su", "--yes"];

/// Runs it in the machine under strace; the log is read out of the machine.
fn traced(machine: &Machine, strace: &[&str], words: &[&str]) -> mfa_tests::command::Finished {
    run(&mut machine.command(&[strace, words].concat()), "")
}

/// Not who waits, whom it starts.
fn killing(call: &Call) -> Vec<String> {
    let words = inject(call, "signal=KILL").into_iter();
    words.filter(|word| word != "-f").collect()
}

fn changes(machine: &Machine, words: &[&str]) -> Vec<Call> {
    traced(machine, &["strace", "-s", "200", "-o", "/root/log"], words).ok();
    let log = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(log.path(), machine.read("/root/log")).expect("write it");
    trace::calls(log.path(), "exit_group")
        .into_iter()
        .filter(changes_something)
        .collect()
}

#[test]
fn a_change_that_was_killed_is_put_back() {
    need_root!();
    need!("/usr/bin/strace");
    let (machine, _) = machine();
    let before = machine.read(SU);
    let words = [&WORDS[..], &[LONG]].concat();
    // The first one makes a directory, which stays.
    machine.run(&words).ok();
    stack(&machine, &["disable", "su", "--yes"]).ok();
    let calls = changes(&machine, &words);
    assert!(calls.len() > 10, "{calls:?}");
    stack(&machine, &["disable", "su", "--yes"]).ok();
    for call in &calls {
        let strace = killing(call);
        let strace: Vec<&str> = strace.iter().map(String::as_str).collect();
        let ended = traced(
            &machine,
            &strace,
            &[&WORDS[..], &["--confirm-within=1s"]].concat(),
        );
        assert!(
            ended.status.signal() == Some(9) || ended.code() == 137,
            "{} {ended:?}",
            call.line
        );
        wait_for_the_keeper(&machine);
        // One that was killed before somebody waits has changed nothing.
        stack(&machine, &["disable", "su", "--yes"]);
        assert_eq!(machine.read(SU), before, "{}", call.line);
        let litter = machine.sh("ls -A /etc/pam.d | grep pam_mfa || true");
        assert!(litter.lines().count() <= 1, "{} {litter}", call.line);
    }
    let again = [&WORDS[..], &[LONG]].concat();
    machine.run(&again).ok();
    stack(&machine, &["disable", "su", "--yes"]).ok();
    assert_eq!(su(&machine, ""), (false, true));
}

#[test]
fn a_way_back_that_was_killed_can_be_gone_again() {
    need_root!();
    need!("/usr/bin/strace");
    let (machine, _) = machine();
    let before = machine.read(SU);
    let enable = [&WORDS[..], &[LONG]].concat();
    let disable = ["mfa-admin", "stack", "disable", "su", "--yes"];
    machine.run(&enable).ok();
    for call in &changes(&machine, &disable) {
        machine.run(&enable).ok();
        let strace = killing(call);
        let strace: Vec<&str> = strace.iter().map(String::as_str).collect();
        traced(&machine, &strace, &disable);
        stack(&machine, &["disable", "su", "--yes"]);
        assert_eq!(machine.read(SU), before, "{}", call.line);
    }
}
