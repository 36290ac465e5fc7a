//! From the packages to a verified login by SSH in three commands, as the README has them.

use std::{fs, thread, time::Duration};

use mfa_tests::{enrolled::STEP, enrolled::now, locate, pty::Pty, sshd::Sshd};

use crate::{
    debian::{self, dpkg},
    logins,
    recovery::enrolling,
};

/// The first three commands of the README's section.
fn commands() -> [Vec<String>; 3] {
    let readme = fs::read_to_string(locate::workspace().join("README.md")).expect("the README");
    let (_, section) = readme
        .split_once("## Install for SSH")
        .expect("its section");
    let commands = section
        .lines()
        .filter_map(|line| line.strip_prefix("    sudo mfa-admin "));
    let commands: Vec<Vec<String>> = commands
        .take(3)
        .map(|line| {
            format!("mfa-admin {line}")
                .split(' ')
                .map(str::to_owned)
                .collect()
        })
        .collect();
    commands.try_into().expect("three commands")
}

#[test]
fn three_commands_lead_to_a_verified_login() {
    let machine = debian::installed();
    let [enroll, enable, confirm] = commands();
    let on_terminal = |words: &[String]| -> Pty {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        machine.spawn_pty("root", &words)
    };
    // The machine's own configuration, with what keeps the tests' sshd apart from others.
    let sshd = Sshd::start(
        &machine,
        "Include /etc/ssh/sshd_config\nPidFile /run/sshd.pid\nPasswordAuthentication yes",
    );

    let alice = enrolling::answer(&machine, on_terminal(&enroll));
    let mut terminal = on_terminal(&enable);
    terminal.expect("Change this? [y/N] ");
    terminal.send_line("y");
    terminal.expect("mfa-admin stack confirm sshd");
    assert_eq!(terminal.finish().0, 0);
    while sshd
        .log()
        .iter()
        .filter(|line| line.contains("Server listening"))
        .count()
        < 2
    {
        thread::sleep(Duration::from_millis(5));
    }

    let waits = dpkg(&machine, "--remove --force-depends mfa-admin")
        .failed()
        .stderr;
    assert!(waits.contains("mfa-admin stack confirm sshd"), "{waits}");
    let (status, early) = on_terminal(&confirm).finish();
    assert!(
        status == 1 && early.contains("nobody has logged in by sshd with a code"),
        "{early}"
    );
    logins::by_code(&sshd, &alice.code_at(now() + STEP));
    let (status, told) = on_terminal(&confirm).finish();
    assert!(
        status == 0 && told.contains("sshd asks for a code from now on"),
        "{told}"
    );
    let doctor = machine.run(&["mfa-admin", "doctor", "sshd"]);
    assert!(doctor.stdout.contains("Faults: 0."), "{doctor:?}");

    // The package stays as long as it is needed, and says how to be rid of it.
    let stopped = dpkg(&machine, "--remove libpam-mfa").failed().stderr;
    assert!(stopped.contains("mfa-admin stack disable"), "{stopped}");
    assert!(!stopped.contains("record.json"), "{stopped}");
    machine
        .run(&["mfa-admin", "stack", "disable", "sshd", "--yes"])
        .ok();
    dpkg(&machine, "--remove libpam-mfa").ok();
    dpkg(&machine, "--purge libpam-mfa mfa-admin").ok();
}
