//! Another version, up and down, while people are logged in.

use mfa_tests::{machine::Machine, sshd::Sshd};

use crate::{
    debian::{self, INSTALL, UPGRADE, ask_at, dpkg},
    logins,
};

/// A module of the same code that is another file.
const ANOTHER_FILE: &str = "echo | tee -a $1/usr/lib/*/security/pam_mfa.so";

/// Of the process that keeps alice's session open, what the map of its memory says of the module.
fn mapped(machine: &Machine) -> String {
    machine.sh(r"grep -h -o '[^ ]*pam_mfa.so.*' /proc/$(pgrep -x su)/maps | sort -u")
}

#[test]
fn a_session_keeps_what_it_has_loaded_and_the_next_login_takes_the_new() {
    let machine = debian::installed();
    let alice = machine.enroll("alice");
    machine.add_user("bob");
    ask_at(&machine, "su");
    ask_at(&machine, "sshd");
    let sshd = Sshd::start(&machine, "");

    let mut session = machine.spawn_pty("bob", &["su", "alice"]);
    session.expect("Password: ");
    session.send_line(mfa_tests::PASSWORD);
    session.expect("Verification code or backup code: ");
    session.send_line(&alice.backup_codes[0]);
    session.expect("$ ");
    assert!(mapped(&machine).ends_with("pam_mfa.so\n"));

    debian::next_version(&machine, ANOTHER_FILE);
    dpkg(&machine, UPGRADE).ok();
    assert!(mapped(&machine).ends_with("pam_mfa.so (deleted)\n"));
    logins::by_code(&sshd, &alice.backup_codes[1]);
    logins::refused(&sshd, &alice.backup_codes[0]);

    dpkg(&machine, INSTALL).ok();
    logins::by_code(&sshd, &alice.backup_codes[2]);

    session.send_line("id -un");
    session.expect("alice\r\n");
    session.send_line("exit");
    let (status, shown) = session.finish();
    assert_eq!(status, 0, "{shown}");
}

#[test]
fn what_the_admin_wrote_stays() {
    let machine = debian::installed();
    machine.sh("echo 'tries = 1' >/etc/pam_mfa/config.toml");
    let key = "cat /etc/pam_mfa/key /var/lib/pam_mfa/users/*";
    machine.enroll("alice");
    let secrets = machine.sh(key);
    machine.sh("pam-auth-update --enable mfa");
    let stack = machine.read("/etc/pam.d/common-auth");

    debian::next_version(&machine, ANOTHER_FILE);
    for options in [UPGRADE, INSTALL] {
        dpkg(&machine, options).ok();
        assert_eq!(machine.read("/etc/pam_mfa/config.toml"), "tries = 1\n");
        assert_eq!(machine.sh(key), secrets);
        assert_eq!(machine.read("/etc/pam.d/common-auth"), stack);
    }
}

#[test]
fn a_changed_default_is_not_put_over_what_the_admin_wrote() {
    let machine = debian::installed();
    machine.sh("echo 'tries = 1' >/etc/pam_mfa/config.toml");
    debian::next_version(&machine, "echo '# new' >>$1/etc/pam_mfa/config.toml");
    dpkg(
        &machine,
        &format!("--force-confdef --force-confold {UPGRADE}"),
    )
    .ok();
    assert_eq!(machine.read("/etc/pam_mfa/config.toml"), "tries = 1\n");
    let new = machine.read("/etc/pam_mfa/config.toml.dpkg-dist");
    assert!(new.ends_with("# new\n"));
}
