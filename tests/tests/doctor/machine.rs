//! A real machine with the lines of the documents, and what spoils it: sshd and its drop-ins, the
//! clock, the journal.

use std::fs;

use mfa_tests::{locate, machine::Machine, need, need_root};

use super::OURS;

const SSHD: &str = "/usr/sbin/sshd";
const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-pam_mfa.conf";

/// Our line below the password of sshd, and the drop-in of the package.
fn well() -> (Machine, String) {
    let (machine, _) = Machine::with_alice();
    let line = OURS.trim();
    machine.sh(&format!(
        "sed -i '/^@include common-auth/a {line}' /etc/pam.d/sshd"
    ));
    let config = locate::workspace().join("config/sshd_config.d/00-pam_mfa.conf");
    let config = fs::read_to_string(config).expect("the drop-in");
    machine.write(DROP_IN, &config, "0644");
    machine.sh("ssh-keygen -A >/dev/null; usermod --lock root");
    (machine, config)
}

#[track_caller]
fn assert_found(machine: &Machine, code: i32, words: &[&str]) {
    let done = machine.run(&["mfa-admin", "doctor", "sshd"]);
    assert_eq!((done.code(), &*done.stderr), (code, ""), "{done:?}");
    for word in words {
        assert!(done.stdout.contains(word), "{word}: {}", done.stdout);
    }
}

#[test]
fn sshd_is_asked_what_holds() {
    need_root!();
    need!(SSHD);
    let (machine, config) = well();
    assert_found(&machine, 0, &["sshd         asks for a code"]);
    // Nor is there anything about the others.
    let all = machine.run(&["mfa-admin", "doctor"]);
    assert_eq!(all.code(), 0, "{all:?}");
    let without = |keyword: &str| -> String {
        let lines = config.lines().filter(|line| !line.starts_with(keyword));
        lines.map(|line| format!("{line}\n")).collect()
    };
    // Debian's own file has UsePAM yes.
    machine.write(DROP_IN, &without("UsePAM"), "0644");
    assert_found(&machine, 0, &[]);
    // A name that would be another question.
    machine.sh("echo 'odd,user=root:x:4000:4000::/:/bin/sh' >>/etc/passwd");
    machine.write(DROP_IN, &without("AuthenticationMethods"), "0644");
    let told = [
        "FAULT: sshd: publickey alone lets in, and no code is asked for: alice.",
        "warning: sshd: publickey alone lets in, and no code is asked for: root.",
        "AuthenticationMethods keyboard-interactive:pam",
    ];
    assert_found(&machine, 2, &told);
    machine.sh("sed -i '/^odd,/d' /etc/passwd");
    // It was written out, so it may be meant.
    let block = format!("{config}Match User alice\n    AuthenticationMethods publickey\n");
    machine.write(DROP_IN, &block, "0644");
    assert_found(
        &machine,
        1,
        &["publickey alone lets in, and no code is asked for: alice."],
    );
    let block = format!("{config}Match Address 10.0.0.0/8\n    AuthenticationMethods publickey\n");
    machine.write(DROP_IN, &block, "0644");
    assert_found(
        &machine,
        1,
        &[
            "00-pam_mfa.conf:",
            "holds for some connections",
            "sshd -T -C",
        ],
    );
    machine.write(DROP_IN, "Nonsense yes\n", "0644");
    assert_found(
        &machine,
        2,
        &["its configuration is not understood", "Run: sshd -t"],
    );
    machine.write(DROP_IN, &config, "0644");
    machine.sh("rmdir /run/sshd");
    assert_found(
        &machine,
        1,
        &[
            "warning: sshd: it cannot be asked, for it was not started",
            "Start it: ",
        ],
    );
}

#[test]
fn who_gets_in_without_pam_is_not_asked() {
    need_root!();
    need!(SSHD);
    let (machine, _) = well();
    let other = "/etc/ssh/sshd_config.d/00-a-cloud.conf";
    for (text, asks) in [
        ("", true),
        // It was written out, so it may be meant.
        ("AuthenticationMethods publickey\n", true),
        ("AuthenticationMethods any\n", false),
        ("UsePAM no\n", false),
    ] {
        machine.write(other, text, "0644");
        let said = machine.run(&["mfa-admin", "doctor", "sshd", "--json"]);
        let said: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
        assert_eq!(said["services"][0]["asks"], asks, "{text} {said}");
    }
    assert_found(&machine, 2, &["sshd         lets in without a code"]);
}

#[test]
fn whom_sshd_was_not_asked_about_is_told() {
    need_root!();
    need!(SSHD);
    let (machine, config) = well();
    // With root and alice there are 52.
    machine.sh(
        "for i in $(seq 50); do echo \"u$i:x:$((3000 + i)):3000::/:/bin/sh\" >>/etc/passwd; done
         printf '[exempt]\\nusers = [%s]\\n' \"$(seq -s, -f '\"u%.0f\"' 50)\" >/etc/pam_mfa/config.toml
         chmod 644 /etc/pam_mfa/config.toml",
    );
    let told = |config: &str| {
        machine.write(DROP_IN, config, "0644");
        machine.run(&["mfa-admin", "doctor", "sshd"]).stdout
    };
    let without = told(&config);
    assert!(!without.contains("sshd was not asked"), "{without}");
    let with = told(&format!("{config}Match User u50\n    X11Forwarding no\n"));
    assert!(with.contains("for 2 of the users: u49, u50."), "{with}");
}

/// A file that is read before ours counts more, and is named.
#[test]
fn an_overriding_drop_in_is_named() {
    need_root!();
    need!(SSHD);
    let (machine, _) = well();
    let other = "/etc/ssh/sshd_config.d/00-a-cloud.conf";
    let later = "/etc/ssh/sshd_config.d/99-cloud.conf";
    machine.write(later, "UsePAM no\n", "0644");
    for (text, code, words) in [
        (
            "# x\nkbdinteractiveauthentication=NO\n",
            2,
            &[
                "Disabled method",
                "(/etc/ssh/sshd_config.d/00-a-cloud.conf:2)",
            ][..],
        ),
        (
            "# x\nkbdinteractiveauthentication=NO\nAuthenticationMethods any\n",
            2,
            &[
                "PAM is never asked: KbdInteractiveAuthentication is no (/etc/ssh/sshd_config.d/00-a-cloud.conf:2)",
            ][..],
        ),
        (
            "KbdInteractiveAuthentication no\nPasswordAuthentication yes\nAuthenticationMethods any\n",
            2,
            &["00-a-cloud.conf:1): the method password gives the password at every prompt"],
        ),
        (
            "PermitEmptyPasswords yes\n",
            1,
            &["PermitEmptyPasswords is yes (/etc/ssh/sshd_config.d/00-a-cloud.conf:1)"],
        ),
        (
            "UsePAM no\n",
            2,
            &["UsePAM is no (/etc/ssh/sshd_config.d/00-a-cloud.conf:1)"],
        ),
        (
            "PasswordAuthentication yes\nAuthenticationMethods any\nPubkeyAuthentication no\n",
            1,
            &["PasswordAuthentication is yes (/etc/ssh/sshd_config.d/00-a-cloud.conf:1)"],
        ),
        (
            "PasswordAuthentication yes\nAuthenticationMethods \"publickey,password\"\n",
            2,
            &["names password (/etc/ssh/sshd_config.d/00-a-cloud.conf:2)"],
        ),
        (
            "LoginGraceTime 60\n",
            1,
            &["LoginGraceTime (/etc/ssh/sshd_config.d/00-a-cloud.conf:1) is too short"],
        ),
    ] {
        machine.write(other, text, "0644");
        println!("{text}");
        assert_found(&machine, code, words);
    }
    // One that is read later changes nothing.
    machine.sh(&format!("rm {other}"));
    machine.write(later, "KbdInteractiveAuthentication no\n", "0644");
    assert_found(&machine, 0, &[]);
}

/// A program that says what the test wants it to say.
fn put(machine: &Machine, program: &str, says: &str) {
    machine.sh(&format!("rm -f {program}"));
    machine.write(
        program,
        &format!("#!/bin/sh\ncat <<'END'\n{says}\nEND\n"),
        "0755",
    );
}

#[test]
fn a_clock_that_nothing_keeps_is_told() {
    need_root!();
    need!(SSHD);
    let (machine, _) = well();
    let program = "/usr/bin/timedatectl";
    put(&machine, program, "yes");
    assert_found(&machine, 0, &[]);
    put(&machine, program, "no");
    assert_found(
        &machine,
        1,
        &[
            "the clock: it is not synchronised",
            "timedatectl set-ntp true",
        ],
    );
    // Where nobody is enrolled no code is asked for; and without the program nothing is known.
    machine.sh(&format!("rm {program}"));
    assert_found(&machine, 0, &[]);
}

#[test]
fn what_was_denied_stands_in_the_journal() {
    need_root!();
    need!(SSHD);
    let (machine, _) = well();
    let now = mfa_tests::enrolled::now();
    let line =
        format!("audit: type=1400 audit({now}.1:2): apparmor=\"DENIED\" name=\"/etc/pam_mfa/key\"");
    put(&machine, "/usr/bin/journalctl", &line);
    assert_found(&machine, 1, &["SELinux or AppArmor denied something"]);
    put(&machine, "/usr/bin/journalctl", "nothing");
    assert_found(&machine, 0, &[]);
}

#[test]
fn a_record_without_an_account_is_told() {
    need_root!();
    need!(SSHD);
    let (machine, _) = well();
    machine.sh("userdel alice 2>/dev/null");
    let told = [
        "belongs to alice, and no user of that name",
        "mfa-admin disable --uid",
    ];
    assert_found(&machine, 2, &told);
}

/// As the images of the clouds have it: a user with a key and no password. Below the code alone he
/// has to be enrolled, and a way around that is his is one.
#[test]
fn a_user_with_a_key_and_no_password_counts_at_sshd() {
    need_root!();
    need!(SSHD);
    let (machine, config) = well();
    machine.add_user("cloud");
    machine.sh("usermod --lock cloud; mkdir ~cloud/.ssh; echo key >~cloud/.ssh/authorized_keys");
    assert_found(&machine, 0, &[]);
    machine.sh("sed -i '/^@include common-auth/d' /etc/pam.d/sshd");
    machine.sh("sed -i '/pam_mfa.so/a auth required pam_permit.so' /etc/pam.d/sshd");
    let keys = config.replace("AuthenticationMethods ", "AuthenticationMethods publickey,");
    machine.write(DROP_IN, &keys, "0644");
    assert_found(
        &machine,
        1,
        &["sshd: not enrolled, and refused for it: cloud."],
    );
    let block = format!("{keys}Match User cloud\n    AuthenticationMethods publickey\n");
    machine.write(DROP_IN, &block, "0644");
    let told = "publickey alone lets in, and no code is asked for: cloud.";
    assert_found(&machine, 1, &[told]);
    // PAM would let in with nothing whoever is exempt, had he not to show a key.
    machine.write(DROP_IN, &config, "0644");
    assert_found(&machine, 2, &["comes without a key: alice, cloud."]);
}
