//! Secrets go only if somebody said so.

use mfa_tests::{machine::Machine, sshd::Sshd};

use crate::{
    debian::{self, INSTALL, dpkg, exists},
    logins,
};

const PURGE: &str = "--purge libpam-mfa mfa-admin";
const SECRETS: [&str; 2] = ["/etc/pam_mfa/key", "/var/lib/pam_mfa"];

fn with_secrets() -> (Machine, String) {
    let machine = debian::installed();
    let alice = machine.enroll("alice");
    machine.sh("mkdir -p /run/pam_mfa; pam-auth-update --enable mfa");
    (machine, alice.backup_codes[0].clone())
}

#[track_caller]
fn assert_kept(machine: &Machine, code: &str) {
    for path in SECRETS {
        assert!(exists(machine, path), "{path}");
    }
    for path in ["/etc/pam_mfa/config.toml", "/run/pam_mfa"] {
        assert!(!exists(machine, path), "{path}");
    }
    dpkg(machine, INSTALL).ok();
    machine.sh("pam-auth-update --enable mfa");
    logins::by_code(&Sshd::start(machine, ""), code);
}

#[track_caller]
fn assert_gone(machine: &Machine) {
    for path in ["/etc/pam_mfa", "/var/lib/pam_mfa", "/run/pam_mfa"] {
        assert!(!exists(machine, path), "{path}");
    }
    let left = machine.sh("find / -xdev -path /root -prune -o -path /proc -prune -o -name '*pam_mfa*' -print -o -name '*pam-mfa*' -print");
    assert_eq!(left, "");
    logins::by_password(&Sshd::start(machine, ""));
}

#[test]
fn where_nobody_can_be_asked_they_are_kept() {
    let (machine, code) = with_secrets();
    let purge = dpkg(&machine, PURGE).ok();
    assert!(purge.stderr.contains("Kept: the key"), "{purge:?}");
    assert_kept(&machine, &code);
}

#[test]
fn somebody_who_says_so_beforehand_is_taken_at_his_word() {
    let (machine, _) = with_secrets();
    machine.sh("echo libpam-mfa libpam-mfa/purge-secrets boolean true | debconf-set-selections");
    dpkg(&machine, PURGE).ok();
    assert_gone(&machine);
}

#[test]
fn whoever_is_there_is_asked() {
    for (answer, gone) in [("yes", true), ("no", false)] {
        let (machine, code) = with_secrets();
        let words = [
            "env",
            "DEBIAN_FRONTEND=teletype",
            "dpkg",
            "--purge",
            "libpam-mfa",
        ];
        let mut purge = machine.spawn_pty("root", &words);
        purge.expect("Delete the key and the records of all enrolled users?");
        purge.expect("[yes/no]");
        purge.send_line(answer);
        let (status, shown) = purge.finish();
        assert_eq!(status, 0, "{shown}");
        match gone {
            true => {
                dpkg(&machine, "--purge mfa-admin").ok();
                assert_gone(&machine);
            }
            false => assert_kept(&machine, &code),
        }
    }
}

#[test]
fn nothing_is_asked_where_nothing_is() {
    let machine = debian::installed();
    let purge = dpkg(&machine, PURGE).ok();
    assert!(!purge.stderr.contains("Kept"), "{purge:?}");
    assert_gone(&machine);
}

/// What was said at one purge is not said at the next, and a store may be a mount point.
#[test]
fn a_yes_is_good_for_one_purge() {
    let machine = debian::installed();
    machine.sh("mkdir -m 700 /var/lib/pam_mfa; mount -t tmpfs -o mode=700 tmpfs /var/lib/pam_mfa");
    machine.enroll("alice");
    machine.sh("echo libpam-mfa libpam-mfa/purge-secrets boolean true | debconf-set-selections");
    dpkg(&machine, PURGE).ok();
    assert!(!exists(&machine, "/etc/pam_mfa"));
    assert_eq!(machine.sh("ls -A /var/lib/pam_mfa"), "");
    machine.sh("umount /var/lib/pam_mfa; rmdir /var/lib/pam_mfa");

    dpkg(&machine, INSTALL).ok();
    let alice = machine.enroll("alice");
    dpkg(&machine, PURGE).ok();
    assert_kept(&machine, &alice.backup_codes[0]);
}

#[test]
fn what_cannot_be_deleted_is_kept_in_the_open() {
    let (machine, _) = with_secrets();
    machine.sh("echo libpam-mfa libpam-mfa/purge-secrets boolean true | debconf-set-selections");
    machine.sh(
        "mount --bind /var/lib/pam_mfa /var/lib/pam_mfa; mount -o remount,bind,ro /var/lib/pam_mfa",
    );
    let purge = dpkg(&machine, PURGE).ok();
    assert!(purge.stderr.contains("Kept: the key"), "{purge:?}");
}
