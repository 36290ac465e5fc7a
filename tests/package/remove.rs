//! Removing the package locks nobody out.

use mfa_tests::{command::Finished, machine::Machine, sshd::Sshd};

use crate::{
    debian::{self, INSTALL, LINE, ask_at, dpkg, exists},
    logins,
};

const REMOVE: &str = "--remove libpam-mfa mfa-admin";

/// The removal stopped, named this, and left everything as it was.
#[track_caller]
fn assert_stopped(machine: &Machine, removal: Finished, named: &[&str]) {
    let removal = removal.failed();
    for line in named {
        assert!(removal.stderr.contains(line), "{line}: {removal:?}");
    }
    assert!(removal.stderr.contains("Take the"), "{removal:?}");
    let status = machine.sh("dpkg-query -W -f '${db:Status-Status}' libpam-mfa");
    assert_eq!(status, "installed");
    let module = machine.sh("ls /usr/lib/*/security/pam_mfa.so");
    assert_eq!(module.lines().count(), 1);
}

#[test]
fn the_profile_is_taken_out_first() {
    let machine = debian::installed();
    let stack = machine.read("/etc/pam.d/common-auth");
    let alice = machine.enroll("alice");
    machine.sh("pam-auth-update --enable mfa");
    let sshd = Sshd::start(&machine, "");
    logins::by_code(&sshd, &alice.backup_codes[0]);
    dpkg(&machine, REMOVE).ok();
    assert_eq!(machine.read("/etc/pam.d/common-auth"), stack);
    logins::by_password(&sshd);

    // What was there is there again.
    assert!(exists(&machine, "/etc/pam_mfa/config.toml"));
    dpkg(&machine, INSTALL).ok();
    logins::by_password(&sshd);
    machine.sh("pam-auth-update --enable mfa");
    logins::refused(&sshd, &alice.backup_codes[0]);
    logins::by_code(&sshd, &alice.backup_codes[1]);
}

#[test]
fn a_line_in_a_service_stops_it() {
    let machine = debian::installed();
    let alice = machine.enroll("alice");
    ask_at(&machine, "sshd");
    let line = machine.sh("grep -n pam_mfa /etc/pam.d/sshd");
    let sshd = Sshd::start(&machine, "");
    let removal = dpkg(&machine, REMOVE);
    assert_stopped(&machine, removal, &[&format!("/etc/pam.d/sshd:{line}")]);
    logins::by_code(&sshd, &alice.backup_codes[0]);

    machine.sh("sed -i /pam_mfa/d /etc/pam.d/sshd");
    dpkg(&machine, REMOVE).ok();
    logins::by_password(&sshd);
}

#[test]
fn every_way_to_name_it_stops_it_and_nothing_else_does() {
    let machine = debian::installed();
    machine.sh("echo '# auth required pam_mfa.so' >>/etc/pam.d/su");
    machine.sh(&format!(
        "echo '{LINE}' | tee /etc/pam.d/su.dpkg-old >/etc/pam.d/su~"
    ));
    for (write, named) in [
        (
            format!("ln -s /etc/other /etc/pam.d/other-link; echo '{LINE}' >/etc/other"),
            "/etc/pam.d/other-link:1:",
        ),
        (
            "echo 'sshd auth required /usr/lib/x/security/pam_mfa.so' >/etc/pam.conf".to_owned(),
            "/etc/pam.conf:1:",
        ),
        (
            "echo 'auth include /etc/elsewhere' >>/etc/pam.d/cron; echo 'auth required pam_mfa.so' >/etc/elsewhere".to_owned(),
            "/etc/elsewhere:1:",
        ),
        (
            "echo '-session optional pam_mfa.so' >>/etc/pam.d/cron".to_owned(),
            "/etc/pam.d/cron:",
        ),
        (
            "echo 'auth optional pam_mfa.so # why' >>/etc/pam.d/common-auth".to_owned(),
            "/etc/pam.d/common-auth:",
        ),
        (
            "mkdir -p /usr/lib/pam.d; echo 'auth required pam_mfa.so' >/usr/lib/pam.d/vendor"
                .to_owned(),
            "/usr/lib/pam.d/vendor:1:",
        ),
    ] {
        machine.sh("cp -a /etc/pam.d /root/pam.d; cp /etc/pam.conf /root");
        machine.sh(&write);
        assert_stopped(&machine, dpkg(&machine, REMOVE), &[named]);
        machine.sh("rm -r /etc/pam.d /usr/lib/pam.d/vendor 2>/dev/null || true");
        machine.sh("rm -rf /etc/pam.d; mv /root/pam.d /etc/pam.d; mv /root/pam.conf /etc");
    }
    dpkg(&machine, REMOVE).ok();
}

#[test]
fn the_profile_is_still_on_where_a_service_stopped_it() {
    let machine = debian::installed();
    let alice = machine.enroll("alice");
    machine.sh("pam-auth-update --enable mfa");
    machine.sh(&format!("echo '{LINE}' >>/etc/pam.d/cron"));
    assert_stopped(&machine, dpkg(&machine, REMOVE), &["/etc/pam.d/cron:"]);
    let sshd = Sshd::start(&machine, "");
    logins::by_code(&sshd, &alice.backup_codes[0]);
}

#[test]
fn a_stack_that_was_changed_by_hand_is_not_overwritten() {
    let machine = debian::installed();
    machine.enroll("alice");
    machine.sh("pam-auth-update --enable mfa");
    machine.sh("sed -i '/pam_unix.so/i auth required pam_faildelay.so' /etc/pam.d/common-auth");
    let stack = machine.read("/etc/pam.d/common-auth");
    assert_stopped(
        &machine,
        dpkg(&machine, REMOVE),
        &["/etc/pam.d/common-auth:"],
    );
    assert_eq!(machine.read("/etc/pam.d/common-auth"), stack);
}
