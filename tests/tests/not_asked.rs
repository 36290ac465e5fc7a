//! Whoever is not asked: let in by something behind the module or not at all, and logged.

use mfa_tests::{
    PASSWORD, machine::Machine, need, need_root, pam, pty::Pty, sandbox::Sandbox, sshd::Sshd,
};

const CONFIG: &str = "etc/pam_mfa/config.toml";
const CONTROL: &str = "auth [success=ok ignore=ignore default=die]";
const PROMPT: &str = "Verification code or backup code: ";

#[test]
fn whoever_is_not_asked_is_let_in_only_by_something_behind() {
    let (sandbox, _) = Sandbox::with_alice();
    let account = "account required pam_permit.so\n";
    for text in [
        "exempt.users = ['bob']",
        "exempt.services = ['test']",
        "require.users = ['alice']",
        "trusted_networks = ['192.0.2.1']",
        "unenrolled = 'skip'",
    ] {
        sandbox.write(CONFIG, text);
        for (control, behind, code) in [
            (CONTROL, "", pam::PERM_DENIED),
            ("auth required", "", pam::PERM_DENIED),
            ("auth sufficient", "", pam::PERM_DENIED),
            (CONTROL, "auth required pam_deny.so\n", pam::AUTH_ERR),
            (
                "auth sufficient",
                "auth required pam_deny.so\n",
                pam::AUTH_ERR,
            ),
            (CONTROL, "auth required pam_permit.so\n", pam::SUCCESS),
        ] {
            sandbox.stack(&format!("{control} {{mfa}}\n{behind}{account}"));
            let outcome = sandbox.client("bob").rhost("192.0.2.1").login(&[]);
            assert_eq!(outcome.code, code, "{text}: {control} {behind}");
            assert_eq!(outcome.granted(), code == pam::SUCCESS, "{outcome:#?}");
            assert_eq!(outcome.shown(), "");
        }
    }
}

/// For daemon, of the real system's accounts, the log says what looks like an accident.
#[track_caller]
fn assert_accident_is_logged(text: &str, granted: bool, words: &str) {
    let (sandbox, _) = Sandbox::with_alice();
    sandbox.stack(&format!(
        "{CONTROL} {{mfa}}\nauth required pam_permit.so\naccount required pam_permit.so\n"
    ));
    sandbox.write(CONFIG, text);
    let client = sandbox.client("daemon").real_accounts();
    let outcome = client.rhost("192.0.2.1").login(&[]);
    assert_eq!(outcome.granted(), granted, "{text}");
    let line = sandbox.log().swap_remove(0);
    // Facility authpriv, level warning.
    assert!(line.starts_with("<84>"), "{text}: {line}");
    assert!(line.contains(" caution user=daemon "), "{text}: {line}");
    assert!(line.contains(words), "{text}: {line}");
}

#[test]
fn a_list_with_a_group_that_is_not_known_asks_everybody_and_is_logged() {
    let words = "require.groups: there is no group 'no-such-name'";
    assert_accident_is_logged("require.groups = ['no-such-name']", false, words);
}

#[test]
fn a_list_of_users_that_names_nobody_is_logged() {
    for name in ["no-such-name", "ALL"] {
        let words = "require.users names nobody there is";
        assert_accident_is_logged(&format!("require.users = ['{name}']"), true, words);
    }
}

#[test]
fn a_network_of_every_address_is_logged() {
    for network in ["0.0.0.0/0", "::ffff:0:0/96"] {
        let text = format!("trusted_networks = ['{network}']");
        assert_accident_is_logged(&text, true, "0.0.0.0/0 is every address");
    }
}

/// A machine where carol is exempt, and alice, who is enrolled, is not; both are admins.
fn machine(stack: &str) -> Machine {
    let (machine, _) = Machine::with_alice();
    machine.add_user("carol");
    machine.sh("groupadd robots && usermod -aG robots carol");
    machine.write(
        "/etc/pam_mfa/config.toml",
        "exempt.groups = ['robots']\n",
        "0644",
    );
    for service in ["sshd", "sudo"] {
        machine.stack(service, stack);
    }
    machine
}

fn before(behind: &str) -> String {
    format!("{CONTROL} pam_mfa.so\n{behind}")
}

#[track_caller]
fn ssh(sshd: &Sshd, user: &str) -> Pty {
    sshd.ssh(user, &["-oNumberOfPasswordPrompts=1"], "id -un")
}

#[test]
fn at_sshd_whoever_is_exempt_needs_his_password_and_nothing_else() {
    need_root!();
    need!("/usr/sbin/sshd");
    let machine = machine(&before("auth required pam_unix.so\n"));
    let sshd = Sshd::start(&machine, "AuthenticationMethods keyboard-interactive");
    for (password, status) in [(PASSWORD, 0), ("wrong", 255)] {
        let mut carol = ssh(&sshd, "carol");
        assert_eq!(carol.expect_any(&["Password: ", PROMPT]).0, 0);
        carol.send_line(password);
        let (code, shown) = carol.finish();
        assert_eq!(code, status, "{shown}");
        assert!(!shown.contains(PROMPT), "{shown}");
    }
    assert_eq!(ssh(&sshd, "alice").expect_any(&["Password: ", PROMPT]).0, 1);
    let lines = machine.decisions();
    assert!(
        lines[0].contains("not-asked user=carol rhost=127.0.0.1")
            && lines[0].ends_with("rule=\"exempt.groups: robots\""),
        "{lines:#?}"
    );
}

#[test]
fn at_sshd_nobody_gets_in_where_nothing_stands_behind() {
    need_root!();
    need!("/usr/sbin/sshd");
    let machine = machine(&before(""));
    machine.write(
        "/etc/pam_mfa/config.toml",
        "exempt.groups = ['robots']\ntrusted_networks = ['127.0.0.0/8']\n",
        "0644",
    );
    let sshd = Sshd::start(&machine, "AuthenticationMethods keyboard-interactive");
    for user in ["carol", "alice"] {
        let (status, shown) = ssh(&sshd, user).finish();
        assert!(
            status == 255 && shown.contains("Permission denied"),
            "{shown}"
        );
    }
    assert!(
        machine
            .decisions()
            .iter()
            .all(|line| line.contains("not-asked "))
    );
    assert!(!machine.decisions().is_empty());
}

#[test]
fn at_sudo_whoever_is_exempt_needs_his_password_and_nothing_else() {
    need_root!();
    need!("/usr/bin/sudo");
    let machine = machine(&before("auth required pam_unix.so\n"));
    let sudoers =
        "Defaults passwd_tries=1, timestamp_timeout=0, lecture=never\ncarol ALL=(ALL) ALL\n";
    machine.write("/etc/sudoers.d/carol", sudoers, "0440");
    let sudo = || machine.spawn_pty("carol", &["sudo", "id", "-un"]);
    for (password, shows) in [
        (PASSWORD, "\r\nroot\r\n"),
        ("wrong", "incorrect password attempt"),
    ] {
        let mut carol = sudo();
        assert_eq!(carol.expect_any(&["password for carol: ", PROMPT]).0, 0);
        carol.send_line(password);
        carol.expect(shows);
    }
    machine.stack("sudo", &before(""));
    let (status, shown) = sudo().finish();
    assert!(status == 1 && !shown.contains("root\r\n"), "{shown}");
    let lines = machine.decisions();
    assert!(
        lines.len() == 3
            && lines
                .iter()
                .all(|line| line.contains("(sudo:auth): not-asked user=carol")),
        "{lines:#?}"
    );
}

/// A directory service that is down, with another one named behind it, looks to `getgrnam_r(3)` as if
/// there were no such group.
#[test]
fn a_group_of_a_directory_that_is_down_lets_nobody_in_unasked() {
    need_root!();
    let machine = machine(&before("auth required pam_unix.so\n"));
    machine.stack("su", &before("auth required pam_permit.so\n"));
    // There is no such library: what it would have known is not known.
    machine.sh("sed -i 's/^group:.*/group: down files/' /etc/nsswitch.conf");
    for text in [
        "require.groups = ['directory-admins']\n",
        "unenrolled = 'skip'\ngroup.directory-admins.unenrolled = 'deny'\n",
    ] {
        machine.write("/etc/pam_mfa/config.toml", text, "0644");
        let mut su = machine.spawn_pty("alice", &["su", "carol", "-c", "echo in"]);
        let (which, _) = su.expect_any(&["in\r\n", PROMPT, "su: "]);
        assert_ne!(which, 0, "{text}: {:#?}", machine.decisions());
    }
}
