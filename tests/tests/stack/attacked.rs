//! What went wrong when it was attacked.

use std::process::Stdio;

use mfa_tests::{lock::signal, need, need_root};
use nix::sys::signal::Signal;

use crate::{LONG, SU, enable, files, machine, stack, su, wait_for_the_keeper};

#[test]
fn a_rule_for_a_group_stays_as_long_as_a_service_needs_it() {
    need_root!();
    for made in [true, false] {
        let (machine, _) = machine();
        machine.sh("groupadd staff2");
        if !made {
            machine.write("/etc/pam_mfa/config.toml", "tries = 2\n", "0644");
        }
        let before = files(&machine);
        for service in ["su", "sudo"] {
            enable(&machine, &[service, "--for-group=staff2", LONG]).ok();
        }
        stack(&machine, &["disable", "su", "--yes"]).ok();
        enable(&machine, &["su", LONG]).ok();
        // carol is in no group.
        assert_eq!(su(&machine, ""), (false, true));
        for service in ["su", "sudo"] {
            stack(&machine, &["disable", service, "--yes"]).ok();
        }
        if !made {
            assert_eq!(files(&machine), before);
        }
        let left = machine.sh("cat /etc/pam_mfa/config.toml 2>/dev/null || true");
        assert!(!left.contains("require"), "{left}");
    }
}

#[test]
fn one_of_us_that_was_stopped_does_not_hold_up_the_way_back() {
    need_root!();
    let (machine, _) = machine();
    let before = machine.read(SU);
    enable(&machine, &["su", "--confirm-within=2s"]).ok();
    let words = ["flock", "-o", "/etc/pam_mfa/stack", "sleep", "1000"];
    let mut stopped = machine
        .command(&words)
        .stdout(Stdio::null())
        .spawn()
        .expect("flock");
    machine.sh("pkill -STOP -x flock");
    wait_for_the_keeper(&machine);
    assert_eq!(machine.read(SU), before);
    // Who leads into the machine stops with what it leads to.
    signal(stopped.id(), Signal::SIGCONT);
    stopped.wait().expect("it was ended");
}

#[test]
fn somebody_elses_process_is_left_alone_and_named() {
    need_root!();
    let (machine, _) = machine();
    enable(&machine, &["su", LONG]).ok();
    let words = [
        "flock",
        "-o",
        "/etc/pam_mfa/stack",
        "sh",
        "-c",
        "echo locked; sleep 1000",
    ];
    let mut other = machine
        .command(&words)
        .stdout(Stdio::piped())
        .spawn()
        .expect("flock");
    let mut line = String::new();
    let stdout = other.stdout.take().expect("a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("a line");
    let busy = stack(&machine, &["confirm", "su"]).failed().stderr;
    assert!(busy.contains("process"), "{busy}");
    assert!(other.try_wait().expect("look").is_none());
    other.kill().expect("end it");
    other.wait().expect("it ended");
}

#[test]
fn a_change_that_is_gone_is_not_confirmed() {
    need_root!();
    let (machine, alice) = machine();
    let package = machine.read(SU);
    enable(&machine, &["su", LONG]).ok();
    assert_eq!(su(&machine, &alice.backup_codes[0]), (true, true));
    machine.write(SU, &package, "0644");
    let gone = stack(&machine, &["confirm"]).failed().stderr;
    assert!(
        gone.contains("is not there any more as it was made"),
        "{gone}"
    );
    stack(&machine, &["disable", "su", "--yes"]).ok();
    assert_eq!(machine.read(SU), package);
}

#[test]
fn a_change_that_is_half_gone_is_not_confirmed() {
    need_root!();
    need!("/usr/sbin/sshd");
    let (machine, _) = machine();
    enable(&machine, &["sshd", LONG]).ok();
    machine.sh("rm /etc/ssh/sshd_config.d/00-pam_mfa.conf");
    let gone = stack(&machine, &["confirm"]).failed().stderr;
    assert!(
        gone.contains("is not there any more as it was made"),
        "{gone}"
    );
}

#[test]
fn what_others_wrote_into_a_file_that_was_made_stays() {
    need_root!();
    let (machine, _) = machine();
    machine.sh("groupadd staff2; rm -f /etc/pam_mfa/config.toml");
    enable(&machine, &["su", "--for-group=staff2", LONG]).ok();
    machine.sh("sed -i '1i tries = 2' /etc/pam_mfa/config.toml");
    stack(&machine, &["disable", "su", "--yes"]).ok();
    assert_eq!(machine.read("/etc/pam_mfa/config.toml"), "tries = 2\n");
}

#[test]
fn a_login_by_a_service_that_reads_the_same_file_is_proof() {
    need_root!();
    let (machine, alice) = machine();
    enable(&machine, &["su", LONG]).ok();
    let mut su = machine.spawn_pty("carol", &["su", "-", "alice", "-c", "echo let in"]);
    su.expect("Password: ");
    su.send_line(mfa_tests::PASSWORD);
    su.expect("backup code: ");
    su.send_line(&alice.backup_codes[0]);
    su.expect("let in");
    stack(&machine, &["confirm"]).ok();
}

#[test]
fn whoever_would_be_refused_is_named_before() {
    need_root!();
    let (machine, _) = machine();
    let asked = machine.run_with(&["mfa-admin", "stack", "enable", "su"], "n\n");
    assert!(
        asked
            .stdout
            .contains("not enrolled, and refused from then on: carol"),
        "{asked:?}"
    );
}

#[test]
fn a_full_disk_and_a_changed_file_are_no_obstacle() {
    need_root!();
    let (machine, _) = machine();
    machine
        .sh("cp -a /etc /root/etc; mount -t tmpfs -o size=16m tmpfs /etc; cp -a /root/etc/. /etc");
    let before = machine.read(SU);
    enable(&machine, &["su", "--confirm-within=3s"]).ok();
    machine.sh("echo '# mine' >>/etc/pam.d/su
         cat /dev/zero >/etc/fill 2>/dev/null || true
         while printf x >>/etc/more 2>/dev/null; do :; done");
    wait_for_the_keeper(&machine);
    assert_eq!(machine.read(SU), before);
}

#[test]
fn a_mode_that_was_changed_since_stays() {
    need_root!();
    let (machine, _) = machine();
    enable(&machine, &["su", LONG]).ok();
    machine.sh("chmod 600 /etc/pam.d/su");
    stack(&machine, &["disable", "su", "--yes"]).ok();
    assert_eq!(machine.sh("stat -c %a /etc/pam.d/su"), "600\n");
}

#[test]
fn what_was_changed_while_somebody_was_asked_is_not_undone() {
    need_root!();
    let (machine, _) = machine();
    enable(&machine, &["su", LONG]).ok();
    let mut asked = machine.spawn_pty("root", &["mfa-admin", "stack", "disable", "su"]);
    asked.expect("Change this? ");
    stack(&machine, &["disable", "su", "--yes"]).ok();
    enable(&machine, &["su", LONG]).ok();
    let changed = files(&machine);
    asked.send_line("yes");
    asked.expect("su was changed meanwhile");
    assert_eq!(files(&machine), changed);
}
