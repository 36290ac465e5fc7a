//! What is not done, because somebody would be locked out, and what is said then.

use mfa_tests::{machine::Machine, need_root};

use crate::{LONG, enable, files, machine, stack};

/// What a machine is like, the service, and what is said.
const CASES: [(&str, &str, &str); 22] = [
    ("", "nosuch", "there is no PAM service nosuch"),
    ("", "../su", "no name of a PAM service"),
    (
        "rm /etc/pam.d/su; ln -s su-l /etc/pam.d/su",
        "su",
        "is a link or no file",
    ),
    (
        "mkdir -p /usr/lib/pam.d; mv /etc/pam.d/su /usr/lib/pam.d",
        "su",
        "Copy it first: cp /usr/lib/pam.d/su /etc/pam.d/su",
    ),
    ("mfa-admin disable alice --yes", "su", "nobody is enrolled"),
    ("rm -r /var/lib/pam_mfa", "su", "nobody would get in"),
    (
        "echo 'x = 1' >/etc/pam_mfa/config.toml",
        "su",
        "nobody would get in",
    ),
    ("chmod 644 /etc/pam_mfa/key", "su", "nobody would get in"),
    (
        "rm /usr/lib/*/security/pam_mfa.so",
        "su",
        "nobody would get in",
    ),
    (
        "echo 'auth include login' >/etc/pam.d/i3lock",
        "login",
        "echo 'auth include common-auth' > /etc/pam.d/i3lock",
    ),
    (
        "echo '@include common-auth' >/etc/pam.d/swaylock",
        "swaylock",
        "swaylock reads /etc/pam.d/swaylock and runs without root",
    ),
    (
        "echo 'auth required pam_permit.so' >/etc/pam.d/x",
        "x",
        "no line of /etc/pam.d/x asks for a password",
    ),
    (
        "echo 'auth sufficient pam_unix.so' >/etc/pam.d/x",
        "x",
        "there is a way around pam_mfa.so",
    ),
    (
        "printf 'auth required pam_unix.so\\nauth required pam_deny.so\\n' >/etc/pam.d/x",
        "x",
        "nobody gets in, whatever he types",
    ),
    (
        "sed -i '/common-auth/a auth required pam_mfa.so' /etc/pam.d/su",
        "su",
        "in the stack of su already (/etc/pam.d/su:",
    ),
    (
        "sed -i '/common-auth/a auth required pam_mfa.so' /etc/pam.d/su",
        "su-l",
        "in the stack of su-l already (/etc/pam.d/su:",
    ),
    (
        "echo 'auth include login' >/etc/pam.d/hyprlock",
        "login",
        "hyprlock reads /etc/pam.d/login",
    ),
    (
        "ln -s login /etc/pam.d/swaylock",
        "login",
        "swaylock reads /etc/pam.d/login",
    ),
    (
        "echo 'auth required pam_unix.so' >/etc/pam.d/a+b",
        "a+b",
        "no name of a PAM service",
    ),
    (
        "sed -i '/^auth/a auth required pam_mfa.so' /etc/pam.d/su-l",
        "su",
        "in the stack of su-l already",
    ),
    // It jumps over one line, and would jump to ours.
    (
        "cp /etc/pam.d/su /etc/pam.d/base; sed -i '/^@include/!d' /etc/pam.d/base
         printf 'auth [success=2 default=ignore] pam_succeed_if.so user = bob\\n@include one\\n\
         auth [default=1] pam_permit.so\\nauth requisite pam_deny.so\\n' >/etc/pam.d/outer
         echo 'auth requisite pam_unix.so' >/etc/pam.d/one",
        "one",
        "outer would not be safe",
    ),
    (
        "printf 'auth required pam_unix.so # \\351\\n' >/etc/pam.d/x",
        "x",
        "cannot read /etc/pam.d/x",
    ),
];

#[test]
fn what_would_lock_somebody_out_is_not_done() {
    need_root!();
    for (change, service, said) in CASES {
        let (machine, _) = machine();
        machine.sh(change);
        let before = files(&machine);
        let refused = enable(&machine, &[service, LONG]).failed().stderr;
        assert!(refused.contains(said), "{change}: {refused}");
        assert_eq!(files(&machine), before, "{change}");
    }
}

#[test]
fn a_service_with_one_prompt_is_warned_of() {
    need_root!();
    let (machine, _) = machine();
    machine.write("/etc/pam.d/sddm", "@include common-auth\n", "0644");
    let told = enable(&machine, &["sddm", LONG]).ok().stdout;
    assert!(told.contains("sddm shows one prompt"), "{told}");
}

#[test]
fn the_other_name_of_a_door_is_named() {
    need_root!();
    let (machine, _) = machine();
    for service in ["sudo", "sudo-i"] {
        let stack = "@include common-auth\n";
        machine.write(&format!("/etc/pam.d/{service}"), stack, "0644");
    }
    let told = enable(&machine, &["sudo", LONG]).ok().stdout;
    assert!(told.contains("mfa-admin stack enable sudo-i\n"), "{told}");
    let told = enable(&machine, &["sudo-i", LONG]).ok().stdout;
    assert!(!told.contains("same door"), "{told}");
    // su-l reads the file of su.
    let told = enable(&machine, &["su", LONG]).ok().stdout;
    assert!(!told.contains("same door"), "{told}");
}

#[test]
fn a_last_line_without_an_end_is_put_back_as_it_was() {
    need_root!();
    let (machine, _) = machine();
    machine.sh("printf '@include common-auth' >/etc/pam.d/x");
    let before = files(&machine);
    enable(&machine, &["x", LONG]).ok();
    assert!(
        machine
            .read("/etc/pam.d/x")
            .contains("common-auth\n# To undo")
    );
    stack(&machine, &["disable", "x", "--yes"]).ok();
    assert_eq!(files(&machine), before);
}

#[test]
fn it_is_enabled_once_and_disabled_once() {
    need_root!();
    let (machine, _) = machine();
    enable(&machine, &["su", LONG]).ok();
    let again = enable(&machine, &["su", LONG]).failed().stderr;
    assert!(again.contains("mfa-admin stack confirm su"), "{again}");
    stack(&machine, &["disable", "su", "--yes"]).ok();
    let again = stack(&machine, &["disable", "su", "--yes"]).failed().stderr;
    assert!(again.contains("nothing to undo"), "{again}");
    by_hand(&machine);
}

fn by_hand(machine: &Machine) {
    machine.sh("sed -i '/common-auth/a auth required pam_mfa.so' /etc/pam.d/su");
    let hand = stack(machine, &["disable", "su", "--yes"]).failed().stderr;
    assert!(
        hand.contains("was put into /etc/pam.d/su by hand"),
        "{hand}"
    );
}

#[test]
fn it_is_for_root_and_for_the_running_system() {
    need_root!();
    let (machine, _) = machine();
    let elsewhere = machine.run(&["mfa-admin", "--root", "/mnt", "stack", "status"]);
    assert!(elsewhere.failed().stderr.contains("leave --root out"));
    let words = [
        "setpriv",
        "--reuid=1",
        "--clear-groups",
        "/usr/sbin/mfa-admin",
        "stack",
        "status",
    ];
    assert!(
        machine
            .run(&words)
            .failed()
            .stderr
            .contains("must run as root")
    );
    for time in ["0s", "25h", "10", "x", "-5m"] {
        let within = format!("--confirm-within={time}");
        machine
            .run(&["mfa-admin", "stack", "enable", "su", "--yes", &within])
            .failed();
    }
}

#[test]
fn a_prompt_behind_a_wrong_password_is_warned_of() {
    need_root!();
    let (machine, _) = machine();
    machine.write("/etc/pam.d/x", "auth required pam_unix.so\n", "0644");
    let told = enable(&machine, &["x", LONG]).ok().stdout;
    assert!(told.contains("strangers use up the free tries"), "{told}");
}
