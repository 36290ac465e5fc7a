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
        "echo '{LINE}' | tee /etc/pam.d/su.dpkg-old /etc/pam.d/su.pam-old >/etc/pam.d/su~"
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
        (
            "mkdir /etc/stacks; echo 'auth required pam_mfa.so' >/etc/stacks/two".to_owned(),
            "/etc/stacks/two:1:",
        ),
    ] {
        machine.sh("cp -a /etc/pam.d /root/pam.d; cp /etc/pam.conf /root");
        machine.sh(&write);
        assert_stopped(&machine, dpkg(&machine, REMOVE), &[named]);
        machine.sh("rm -rf /etc/pam.d /etc/stacks /etc/other /usr/lib/pam.d/vendor");
        machine.sh("mv /root/pam.d /etc/pam.d; mv /root/pam.conf /etc");
    }
    dpkg(&machine, REMOVE).ok();
}

/// Neither removed nor half removed: it asks as before.
#[test]
fn a_removal_that_stops_leaves_the_profile_on() {
    for (write, named) in [
        ("tee -a /etc/pam.d/cron", "/etc/pam.d/cron:"),
        (
            "tee /etc/pam.d/common-auth-vpn",
            "/etc/pam.d/common-auth-vpn:",
        ),
        (
            "tee -a /etc/pam.d/common-session",
            "/etc/pam.d/common-session:",
        ),
        ("tee -a /etc/pam.d/common-auth", "/etc/pam.d/common-auth:"),
    ] {
        let machine = debian::installed();
        let alice = machine.enroll("alice");
        machine.sh("pam-auth-update --enable mfa");
        machine.sh(&format!("echo 'session optional pam_mfa.so' | {write}"));
        let stack = machine.read("/etc/pam.d/common-auth");
        assert_stopped(&machine, dpkg(&machine, REMOVE), &[named]);
        assert_eq!(machine.read("/etc/pam.d/common-auth"), stack, "{named}");
        logins::by_code(&Sshd::start(&machine, ""), &alice.backup_codes[0]);
    }
}

/// dpkg does not run the prerm then.
#[test]
fn a_package_that_was_never_configured_locks_nobody_out() {
    let machine = debian::installed();
    machine.enroll("alice");
    machine.sh("pam-auth-update --enable mfa");
    debian::next_version(&machine, ":");
    dpkg(&machine, "--unpack /root/next-libpam-mfa.deb").ok();
    machine.sh(&format!("echo '{LINE}' >>/etc/pam.d/cron"));
    let removal = dpkg(&machine, REMOVE).ok();
    let warning = "WARNING: pam_mfa.so is gone, and these lines refuse logins now";
    assert!(removal.stderr.contains(warning), "{removal:?}");
    assert!(removal.stderr.contains("/etc/pam.d/cron:"), "{removal:?}");
    logins::by_password(&Sshd::start(&machine, ""));
}

/// The new one is there before the `mfa-admin` that was built with it.
#[test]
fn one_package_may_be_newer_than_the_other() {
    let machine = debian::installed();
    debian::next_version(&machine, ":");
    dpkg(&machine, "--install /root/next-libpam-mfa.deb").ok();
    dpkg(
        &machine,
        "--install /root/libpam-mfa.deb /root/next-mfa-admin.deb",
    )
    .ok();
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
