//! What stands in the stacks.

use mfa_tests::{locate, sandbox::Sandbox};

use super::{COMMON, OURS, PERMIT, assert_found, healthy};

#[test]
fn each_stack_is_seen_through() {
    let sandbox = healthy();
    let common = "@include common-auth\n";
    for (stack, code, words) in [
        (
            common.to_owned(),
            2,
            &["pam_mfa.so does not stand in its stack"][..],
        ),
        (
            format!("auth sufficient pam_unix.so\n{OURS}"),
            2,
            &["way around", "/etc/pam.d/su:1", "ends the stack before it"],
        ),
        (
            format!("auth [success=done default=bad] pam_unix.so\n{OURS}"),
            2,
            &["way around", "ends the stack before it"],
        ),
        (
            format!(
                "auth [success=2 default=ignore] pam_unix.so\nauth requisite pam_deny.so\n{OURS}{PERMIT}"
            ),
            2,
            &["way around", "jumps over it"],
        ),
        (
            format!("{common}auth optional pam_mfa.so\n"),
            2,
            &["pam_mfa.so is passed over", "/etc/pam.d/su:2"],
        ),
        (
            format!("{common}auth [success=ok default=ignore] pam_mfa.so\n"),
            2,
            &["pam_mfa.so is passed over"],
        ),
        (
            format!("auth substack one\n{OURS}{PERMIT}"),
            2,
            &["libpam does not understand /etc/pam.d/su:1"],
        ),
        (
            format!("{common}auht required x.so\n{OURS}"),
            2,
            &["libpam does not understand /etc/pam.d/su:2"],
        ),
        (
            format!("{common}auth required pam_deny.so\n{OURS}"),
            2,
            &["nobody gets in"],
        ),
        (
            format!("{common}{OURS}session required pam_mfa.so\n"),
            2,
            &["/etc/pam.d/su:3 names pam_mfa.so, and is no auth line"],
        ),
        (
            format!("{common}{OURS}-account required pam_mfa.so\n"),
            2,
            &["/etc/pam.d/su:3 names pam_mfa.so, and is no auth line"],
        ),
        (
            format!("{common}{OURS}password required pam_mfa.so\n"),
            2,
            &["/etc/pam.d/su:3 names pam_mfa.so, and is no auth line"],
        ),
        (format!("@include gone\n{OURS}"), 2, &["cannot be read"]),
        // Not only a wrong code is passed over: a mistyped argument, a lost key, a missing file.
        (
            format!("{common}auth [success=ok service_err=ignore default=die] pam_mfa.so\n"),
            2,
            &["if it says service_err"],
        ),
        (
            format!("{common}auth [success=ok module_unknown=ignore default=die] pam_mfa.so\n"),
            2,
            &["if it says module_unknown"],
        ),
        (
            format!("auth [perm_denied=2 default=die]\n{common}{OURS}"),
            2,
            &["libpam does not understand"],
        ),
        (
            format!("auth required pam_env.so \\\n# why\n{OURS}{PERMIT}"),
            2,
            &["cannot be read", "line 2 is empty"],
        ),
        (
            format!("auth [success=1 default=ignore] pam_succeed_if.so user ingroup x\n{OURS}{common}"),
            2,
            &["pam_succeed_if.so (/etc/pam.d/su:1) says success, that jumps over it"],
        ),
        (
            "auth [success=ok ignore=1 default=die] pam_mfa.so forward_pass\nauth requisite pam_unix.so\nauth required pam_permit.so\n".to_owned(),
            1,
            &["whoever is not asked for a code gets in with nothing"],
        ),
        (
            format!("auth [success=ok user_unknown=ignore default=die] pam_sss.so\n{OURS}{PERMIT}"),
            1,
            &["gets in with nothing"],
        ),
        (
            format!("auth required pam_krb5.so\n{OURS}"),
            1,
            &["a code alone lets in"],
        ),
        (
            format!("auth requisite pam_sss.so ignore_unknown_user\n{OURS}"),
            1,
            &["a code alone lets in"],
        ),
        (
            format!("auth required pam_google_authenticator.so nullok\n{OURS}"),
            1,
            &["a code alone lets in"],
        ),
        (
            OURS.to_owned(),
            1,
            &[
                "whoever is not asked",
                "pam_permit.so",
                "a code alone lets in",
            ],
        ),
        (format!("{OURS}{PERMIT}"), 1, &["gets in with nothing"]),
        (
            format!("{common}{OURS}{OURS}"),
            1,
            &["more than once", "/etc/pam.d/su:2, /etc/pam.d/su:3"],
        ),
        (
            format!("auth required pam_unix.so\n{OURS}"),
            1,
            &["after a wrong password (/etc/pam.d/su:1)", "Write requisite"],
        ),
        (
            format!("auth substack common-auth\n{OURS}"),
            1,
            &["after a wrong password (/etc/pam.d/common-auth:1)", "by include"],
        ),
        (
            format!("auth [success=ok ignore=ignore default=die] pam_mfa.so tris=2\n{COMMON}"),
            2,
            &["every login is refused", "/etc/pam.d/su:1", "tris=2: unknown argument"],
        ),
        (
            format!("{common}auth requisite pam_mfa.so echo forward_pass\n"),
            2,
            &["echo: would show the password"],
        ),
        (
            format!("{common}auth requisite pam_mfa.so root=/elsewhere\n"),
            1,
            &["from /elsewhere (/etc/pam.d/su:2)", "mfa-admin --root /elsewhere doctor"],
        ),
        (
            format!("{common}auth requisite /opt/pam_mfa.so\n"),
            2,
            &["opt/pam_mfa.so: the module is not there", "no update reaches it"],
        ),
        (
            format!("{common}{OURS}auth required pam_google_authenticator.so\n"),
            1,
            &["another second factor", "/etc/pam.d/su:3"],
        ),
    ] {
        sandbox.write("etc/pam.d/su", &stack);
        println!("{stack}");
        assert_found(&sandbox, "su", code, words);
    }
    // What the documents have, in all its forms.
    for stack in [
        format!("{common}auth required pam_mfa.so\n"),
        format!("{common}auth requisite pam_mfa.so\n"),
        format!("auth required pam_env.so\n{common}{OURS}{PERMIT}"),
        format!("auth requisite pam_unix.so\n{OURS}{PERMIT}"),
        format!("auth include common-auth\n{OURS}"),
        // Nothing was asked for before it.
        format!(
            "auth required pam_env.so\nauth requisite pam_mfa.so forward_pass tries=1\n{COMMON}"
        ),
        // A finger, then a code.
        format!("auth [success=2 default=ignore] pam_fprintd.so\n{common}{OURS}"),
    ] {
        sandbox.write("etc/pam.d/su", &stack);
        assert_found(&sandbox, "su", 0, &["su           asks for a code"]);
    }
}

/// It says yes to root, and sshd and login are root.
#[test]
fn rootok_is_for_those_who_are_called_by_their_user() {
    let sandbox = healthy();
    let stack = format!("auth sufficient pam_rootok.so\n@include common-auth\n{OURS}{PERMIT}");
    sandbox.write("etc/pam.d/login", &stack);
    sandbox.write("etc/login.defs", "LOGIN_TIMEOUT 180\n");
    assert_found(
        &sandbox,
        "login",
        2,
        &["pam_rootok.so (/etc/pam.d/login:1) says success, that ends"],
    );
    assert_found(&sandbox, "su", 0, &[]);
}

#[test]
fn a_locker_stays_locked() {
    let sandbox = healthy();
    for locker in [
        "swaylock",
        "hyprlock",
        "kde-fingerprint",
        "cinnamon-screensaver",
    ] {
        let file = format!("etc/pam.d/{locker}");
        sandbox.write(&file, "auth include su\n");
        assert_found(&sandbox, locker, 2, &["the screen stays locked", &file]);
        // As it should be: the password alone.
        sandbox.write(&file, "auth include common-auth\n");
        assert_found(&sandbox, locker, 0, &["asks for no code"]);
    }
    // Those are root's, and may ask.
    sandbox.write("etc/pam.d/physlock", "auth include su\n");
    sandbox.write("etc/pam.d/su", &format!("@include common-auth\n{OURS}"));
    assert_found(&sandbox, "physlock", 0, &["asks for a code"]);
}

#[test]
fn login_waits_long_enough() {
    let sandbox = healthy();
    sandbox.write("etc/pam.d/login", &format!("@include common-auth\n{OURS}"));
    assert_found(&sandbox, "login", 1, &["after 60 seconds login breaks off"]);
    sandbox.write(
        "etc/login.defs",
        "# LOGIN_TIMEOUT 30\nLOGIN_TIMEOUT\t\t180\n",
    );
    assert_found(&sandbox, "login", 0, &[]);
    sandbox.write("etc/login.defs", "LOGIN_TIMEOUT 119\n");
    assert_found(&sandbox, "login", 1, &["after 119 seconds"]);
}

#[test]
fn one_of_two_names_of_a_door_does_not_ask() {
    let sandbox = healthy();
    sandbox.write(
        "etc/pam.d/su-l",
        "auth sufficient pam_rootok.so\n@include common-auth\n",
    );
    let told = "su-l: su asks for a code and su-l does not";
    assert_found(
        &sandbox,
        "su",
        1,
        &[told, "/etc/pam.d/su-l, at the same place"],
    );
    assert_found(&sandbox, "su-l", 2, &[told]);
    sandbox.write("etc/pam.d/su-l", "auth include su\n");
    assert_found(&sandbox, "su", 0, &[]);
    sandbox.write("etc/pam.d/sudo", "@include common-auth\n");
    sandbox.write("etc/pam.d/sudo-i", &format!("@include common-auth\n{OURS}"));
    assert_found(
        &sandbox,
        "sudo-i",
        1,
        &["sudo: sudo-i asks for a code and sudo does not"],
    );
    // Of others nothing is said.
    assert_found(&sandbox, "su", 0, &[]);
}

#[test]
fn line_ends_of_windows_are_told_as_such() {
    let sandbox = healthy();
    let told = &[
        "etc/pam.d/su: its lines end as those of Windows",
        "sed -i 's/\\r$//' ",
    ];
    let line = OURS.trim();
    sandbox.write("etc/pam.d/su", &format!("@include common-auth\n{line}\r\n"));
    assert_found(&sandbox, "su", 2, told);
    // Even if nobody named it.
    sandbox.write(
        "etc/pam.d/mine",
        &format!("@include common-auth\n{line}\r\n"),
    );
    let done = sandbox.admin(&["doctor"]);
    assert!(
        done.stdout.contains("etc/pam.d/mine: its lines end"),
        "{}",
        done.stdout
    );
    // What is taken in cannot even be found.
    sandbox.write(
        "etc/pam.d/su",
        &format!("@include common-auth\r\n{line}\r\n"),
    );
    assert_found(&sandbox, "su", 2, told);
    sandbox.write("etc/pam.d/su", &format!("@include common-auth\n{line}\n"));
    sandbox.write("etc/pam.d/common-auth", &COMMON.replace('\n', "\r\n"));
    let told = "etc/pam.d/common-auth: its lines end";
    assert_found(&sandbox, "su", 2, &[told]);
    // Once, however many take it in.
    let done = sandbox.admin(&["doctor"]);
    assert_eq!(done.stdout.matches(told).count(), 1, "{}", done.stdout);
}

/// A path is as good as a name where it leads to the same file.
#[test]
fn the_module_is_looked_at_where_the_line_says() {
    let sandbox = healthy();
    let with = |sandbox: &Sandbox, path: &str| {
        let stack = format!("@include common-auth\nauth requisite {path}\n");
        sandbox.write("etc/pam.d/su", &stack);
    };
    with(&sandbox, "/usr/lib/modules/security/pam_mfa.so");
    assert_found(&sandbox, "su", 0, &["asks for a code"]);
    sandbox.write("opt/pam_mfa.so", "");
    std::fs::copy(locate::module(), sandbox.path("opt/pam_mfa.so")).expect("copy the module");
    with(&sandbox, "/opt/pam_mfa.so");
    assert_found(
        &sandbox,
        "su",
        1,
        &[
            "opt/pam_mfa.so: a PAM line names this file",
            "without a path",
        ],
    );
    sandbox.write("opt/pam_mfa.so", "no ELF file, but long enough");
    assert_found(
        &sandbox,
        "su",
        2,
        &["opt/pam_mfa.so: the module was made for another"],
    );
    with(&sandbox, "mine/pam_mfa.so");
    assert_found(
        &sandbox,
        "su",
        2,
        &["usr/lib/modules/security/mine/pam_mfa.so: the module is not there"],
    );
}

/// `service=` leads to the policy of another one.
#[test]
fn the_policy_is_that_of_the_service_that_the_line_names() {
    let sandbox = healthy();
    sandbox.write(
        "etc/pam_mfa/config.toml",
        "[exempt]\nservices = [\"sshd\"]\n",
    );
    assert_found(&sandbox, "su", 0, &[]);
    let line = OURS.trim();
    sandbox.write(
        "etc/pam.d/su",
        &format!("@include common-auth\n{line} service=sshd\n{PERMIT}"),
    );
    assert_found(&sandbox, "su", 1, &["su: the policy asks nobody at it"]);
}

/// Of another root only the files can be read: what its sshd asks for before is not known.
#[test]
fn a_key_in_place_of_the_password_is_not_seen_in_files() {
    let sandbox = healthy();
    sandbox.write("etc/pam.d/sshd", &format!("{OURS}{PERMIT}"));
    let told = [
        "gets in with nothing: its stack asks for no password",
        "sshd -T",
    ];
    assert_found(&sandbox, "sshd", 1, &told);
}
