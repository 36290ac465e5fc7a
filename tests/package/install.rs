//! What an installation does, and what it leaves alone.

use mfa_tests::sshd::Sshd;

use crate::{
    debian::{self, INSTALL, dpkg, exists},
    logins,
};

#[test]
fn nothing_asks_for_a_code_yet() {
    let machine = debian::clean();
    let sshd = Sshd::start(&machine, "");
    logins::by_password(&sshd);
    dpkg(&machine, INSTALL).ok();
    logins::by_password(&sshd);
    let named = machine.run(&["grep", "-r", "pam_mfa", "/etc/pam.d", "/etc/ssh"]);
    assert_eq!(named.code(), 1, "{named:?}");
    // Machines that are cloned from one image would share it.
    assert!(!exists(&machine, "/etc/pam_mfa/key"));
    assert!(!exists(&machine, "/var/lib/pam_mfa"));
}

#[test]
fn the_profile_is_offered() {
    let machine = debian::installed();
    let words = ["env", "DEBIAN_FRONTEND=teletype", "pam-auth-update"];
    let mut offer = machine.spawn_pty("root", &words);
    offer.expect("Verification code or backup code after the password (pam_mfa)");
}

#[test]
fn the_profile_asks_behind_the_password_everywhere() {
    let machine = debian::installed();
    let alice = machine.enroll("alice");
    machine.sh("pam-auth-update --enable mfa");
    let sshd = Sshd::start(&machine, "");
    logins::by_code(&sshd, &alice.backup_codes[0]);
    logins::refused(&sshd, &alice.backup_codes[0]);
    let mut login = machine.spawn_pty("root", &["login", "alice"]);
    login.expect("Password: ");
    login.send_line(mfa_tests::PASSWORD);
    login.expect("Verification code or backup code: ");
    login.send_line(&alice.backup_codes[1]);
    login.expect("$ ");
    machine.sh("pam-auth-update --disable mfa");
    logins::by_password(&sshd);
}

#[test]
fn the_profile_refuses_when_something_is_out_of_order() {
    let machine = debian::installed();
    let alice = machine.enroll("alice");
    machine.sh("pam-auth-update --enable mfa");
    let sshd = Sshd::start(&machine, "");
    for fault in [
        "mv /etc/pam_mfa/key /root",
        "mv /root/key /etc/pam_mfa; mv /usr/lib/*/security/pam_mfa.so /root",
    ] {
        machine.sh(fault);
        let (status, shown) = logins::behind_password(&sshd, "alice").finish();
        assert_eq!(status, 255, "{shown}");
    }
    machine.sh("mv /root/pam_mfa.so /usr/lib/*-linux-gnu/security");
    logins::by_code(&sshd, &alice.backup_codes[0]);
}

#[test]
fn what_is_installed_is_of_root_and_its_manual_pages_are_found() {
    let machine = debian::installed();
    let files = machine.sh("dpkg -L libpam-mfa mfa-admin | xargs stat -c '%U %G %A %n' | sort -u");
    for file in files.lines() {
        assert!(file.starts_with("root root "), "{file}");
        assert!(!matches!(file.as_bytes().get(15), Some(b'w')), "{file}");
        assert!(!matches!(file.as_bytes().get(18), Some(b'w')), "{file}");
    }
    let version = machine.sh("mfa-admin --version");
    assert_eq!(version, "mfa-admin 0.1.0\n");
    let check = machine.run(&["mfa-admin", "config", "check"]).ok();
    assert!(!check.stdout.contains("warning"), "{check:?}");
}
