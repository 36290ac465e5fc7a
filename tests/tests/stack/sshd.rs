//! sshd: with its drop-in, in a real one.

use std::{thread, time::Duration};

use mfa_tests::{PASSWORD, machine::Machine, need, need_root, pty::Pty, sshd::Sshd};

use crate::{LONG, enable, files, machine, stack, wait_for_the_keeper};

const SSHD: &str = "/usr/sbin/sshd";

/// sshd with the machine's own configuration; it reads it again when told.
fn start(machine: &Machine) -> Sshd<'_> {
    let lines = "Include /etc/ssh/sshd_config\nPidFile /run/sshd.pid\nPasswordAuthentication yes\nUsePAM no";
    Sshd::start(machine, lines)
}

/// Waits until it listens for the `count`th time.
fn wait_until_it_listens(sshd: &Sshd, count: usize) {
    let listens = || {
        sshd.log()
            .iter()
            .filter(|line| line.contains("Server listening"))
            .count()
    };
    while listens() < count {
        thread::sleep(Duration::from_millis(5));
    }
}

fn ssh(sshd: &Sshd, options: &[&str]) -> Pty {
    sshd.ssh(
        "alice",
        &[&["-oNumberOfPasswordPrompts=1"], options].concat(),
        "echo let in",
    )
}

#[track_caller]
fn give(mut ssh: Pty, answers: &[(&str, &str)]) {
    for (prompt, answer) in answers {
        ssh.expect(prompt);
        ssh.send_line(answer);
    }
    let (status, shown) = ssh.finish();
    assert_eq!((status, shown.trim()), (0, "let in"));
}

#[test]
fn who_comes_by_password_or_by_key_is_asked_for_a_code_and_can_give_it() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine();
    let before = files(&machine);
    let sshd = start(&machine);
    let keyed = ["-i", sshd.authorize_key("alice")];
    give(ssh(&sshd, &keyed), &[]);

    let told = enable(&machine, &["sshd", LONG]).ok().stdout;
    assert!(
        told.contains(
            "+AuthenticationMethods publickey,keyboard-interactive:pam keyboard-interactive:pam"
        ),
        "{told}"
    );
    assert!(told.contains("root cannot log in by SSH then"), "{told}");
    wait_until_it_listens(&sshd, 2);
    give(
        ssh(&sshd, &[]),
        &[
            ("assword: ", PASSWORD),
            ("backup code: ", &alice.backup_codes[0]),
        ],
    );
    give(
        ssh(&sshd, &keyed),
        &[("backup code: ", &alice.backup_codes[1])],
    );
    stack(&machine, &["confirm", "sshd"]).ok();
    let seen = machine.run(&["mfa-admin", "doctor", "sshd"]);
    assert!(seen.stdout.contains("Faults: 0."), "{seen:?}");

    stack(&machine, &["disable", "sshd", "--yes"]).ok();
    wait_until_it_listens(&sshd, 3);
    assert_eq!(files(&machine), before);
    give(ssh(&sshd, &[]), &[("assword: ", PASSWORD)]);
}

#[test]
fn an_sshd_that_nobody_could_log_in_by_is_as_before_in_time() {
    need_root!();
    need!(SSHD);
    let (machine, _) = machine();
    let before = files(&machine);
    let sshd = start(&machine);
    enable(&machine, &["sshd", "--confirm-within=3s"]).ok();
    wait_for_the_keeper(&machine);
    wait_until_it_listens(&sshd, 3);
    assert_eq!(files(&machine), before);
    give(ssh(&sshd, &[]), &[("assword: ", PASSWORD)]);
}

#[test]
fn the_methods_fit_what_sshd_allowed_before() {
    need_root!();
    need!(SSHD);
    for (config, methods) in [
        (
            "PasswordAuthentication no",
            "publickey,keyboard-interactive:pam",
        ),
        ("PubkeyAuthentication no", "keyboard-interactive:pam"),
    ] {
        let (machine, _) = machine();
        machine.write("/etc/ssh/sshd_config.d/mine.conf", config, "0644");
        let told = enable(&machine, &["sshd", LONG]).ok().stdout;
        assert!(
            told.contains(&format!("\n+AuthenticationMethods {methods}\n")),
            "{told}"
        );
    }
}

#[test]
fn what_sshd_would_not_do_is_put_back_at_once() {
    need_root!();
    need!(SSHD);
    for (change, said) in [
        (
            "echo 'AuthenticationMethods publickey' >>/etc/ssh/sshd_config",
            "sets AuthenticationMethods publickey",
        ),
        (
            "sed -i '1i PasswordAuthentication yes' /etc/ssh/sshd_config",
            "another line of sshd's configuration counts more",
        ),
        (
            "sed -i '/^Include/d' /etc/ssh/sshd_config",
            "another line of sshd's configuration counts more",
        ),
        (
            "printf 'Match User carol\\nPasswordAuthentication no\\n' >/etc/ssh/sshd_config.d/mine.conf",
            "/etc/ssh/sshd_config.d/mine.conf:2 is in a Match block",
        ),
        (
            "printf 'Match Address 192.0.2.0/24\\nAuthenticationMethods publickey,password\\n' \
             >>/etc/ssh/sshd_config",
            "is in a Match block",
        ),
        (
            "printf 'Match User carol\\nInclude /etc/ssh/carol\\n' >>/etc/ssh/sshd_config
             echo 'AuthenticationMethods publickey,password' >/etc/ssh/carol",
            "/etc/ssh/carol:1 is in a Match block",
        ),
        (
            "printf '# \\351\\nMatch User carol\\nPasswordAuthentication yes\\n' >>/etc/ssh/sshd_config",
            "is in a Match block",
        ),
        (
            "printf 'Match User carol\\nPasswordAuthentication yes\\n' \
             >/etc/ssh/sshd_config.d/$(printf '\\351').conf",
            "is in a Match block",
        ),
        (
            "mkdir /etc/ssh/sshd_config.d/dir.conf",
            "/etc/ssh/sshd_config.d/dir.conf cannot be read",
        ),
        (
            "echo 'Include /etc/ssh/local.d/[a-z].conf' >/etc/ssh/sshd_config.d/mine.conf",
            "the Include at /etc/ssh/sshd_config.d/mine.conf:1 is not understood",
        ),
        (
            "echo 'Include /etc/ssh/local.d/?.conf' >>/etc/ssh/sshd_config",
            "is not understood",
        ),
        (
            "echo 'Include local.d/*.d*' >>/etc/ssh/sshd_config",
            "is not understood",
        ),
        (
            "echo 'Include /etc/ssh/*/x.conf' >>/etc/ssh/sshd_config",
            "is not understood",
        ),
        (
            "echo 'Include \"/etc/ssh/local d/x.conf\"' >>/etc/ssh/sshd_config",
            "is not understood",
        ),
        (
            "echo 'UsePAM no' >/etc/ssh/sshd_config.d/mine.conf",
            "UsePAM is no",
        ),
        ("echo Nonsense >>/etc/ssh/sshd_config", "Run: sshd -t"),
        (
            "touch /etc/ssh/sshd_config.d/00-pam_mfa.conf",
            "is there already",
        ),
    ] {
        let (machine, _) = machine();
        machine.sh(change);
        let before = files(&machine);
        let refused = enable(&machine, &["sshd", LONG]).failed().stderr;
        assert!(refused.contains(said), "{change}: {refused}");
        wait_for_the_keeper(&machine);
        assert_eq!(files(&machine), before, "{change}");
    }
}

#[test]
fn a_way_around_that_came_since_is_not_confirmed() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine();
    let sshd = start(&machine);
    enable(&machine, &["sshd", LONG]).ok();
    wait_until_it_listens(&sshd, 2);
    give(
        ssh(&sshd, &[]),
        &[
            ("assword: ", PASSWORD),
            ("backup code: ", &alice.backup_codes[0]),
        ],
    );
    let other = "/etc/ssh/sshd_config.d/00-a-cloud.conf";
    for (line, said) in [
        (
            "AuthenticationMethods publickey\n",
            "authenticationmethods is publickey",
        ),
        ("UsePAM no\n", "usepam is no"),
    ] {
        machine.write(other, line, "0644");
        let refused = stack(&machine, &["confirm", "sshd"]).failed().stderr;
        assert!(refused.contains(said), "{refused}");
        let told = stack(&machine, &["status"]).ok().stdout;
        assert!(
            told.contains("sshd         may let in without a code, for sshd does not do"),
            "{told}"
        );
    }
    machine.sh(&format!("rm {other}"));
    let told = stack(&machine, &["status"]).ok().stdout;
    assert!(
        told.contains("sshd         asks for a code; waits"),
        "{told}"
    );
    stack(&machine, &["confirm", "sshd"]).ok();
}

#[test]
fn an_account_that_logs_in_unattended_may_be_left_out_before() {
    need_root!();
    need!(SSHD);
    let (machine, _) = machine();
    let sshd = start(&machine);
    let keyed = ["-i", sshd.authorize_key("alice")];
    let exempt = "Match User alice\n    AuthenticationMethods publickey\n";
    machine.write("/etc/ssh/sshd_config.d/backup.conf", exempt, "0644");
    enable(&machine, &["sshd", LONG]).ok();
    wait_until_it_listens(&sshd, 2);
    give(ssh(&sshd, &keyed), &[]);
}
