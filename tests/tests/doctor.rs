//! `mfa-admin doctor`: each fault in a file of its own making.

use mfa_tests::{command::Finished, locate, machine::Machine, need_root, sandbox::Sandbox};

const OURS: &str = "auth [success=ok ignore=ignore default=die] pam_mfa.so\n";
const PERMIT: &str = "auth required pam_permit.so\n";
const COMMON: &str = "auth [success=1 default=ignore] pam_unix.so nullok\n\
    auth requisite pam_deny.so\nauth required pam_permit.so\nauth optional pam_cap.so\n";

/// A sandbox with alice enrolled, in which nothing is wrong with the service `su`.
fn healthy() -> Sandbox {
    let (sandbox, _) = Sandbox::with_alice();
    let modules = "root/usr/lib/modules/security";
    let modules = sandbox.root().parent().expect("a folder").join(modules);
    std::fs::create_dir_all(&modules).expect("make a folder");
    std::fs::copy(locate::module(), modules.join("pam_mfa.so")).expect("copy the module");
    std::fs::copy(locate::module(), modules.join("pam_unix.so")).expect("copy a module");
    sandbox.write("etc/pam.d/other", "auth requisite pam_deny.so\n");
    sandbox.write("etc/pam.d/common-auth", COMMON);
    sandbox.write(
        "etc/pam.d/su",
        &format!("auth sufficient pam_rootok.so\n@include common-auth\n{OURS}"),
    );
    sandbox
}

fn doctor(sandbox: &Sandbox, service: &str) -> Finished {
    sandbox.admin(&["doctor", service])
}

/// This is found at the service, and the exit code says how grave it is.
#[track_caller]
fn assert_found(sandbox: &Sandbox, service: &str, code: i32, words: &[&str]) {
    let done = doctor(sandbox, service);
    assert_eq!((done.code(), &*done.stderr), (code, ""), "{done:?}");
    for word in words {
        assert!(done.stdout.contains(word), "{word}: {}", done.stdout);
    }
}

#[test]
fn a_healthy_service_has_nothing() {
    let sandbox = healthy();
    let done = doctor(&sandbox, "su");
    assert_eq!(done.code(), 0, "{done:?}");
    assert_eq!(
        done.stdout,
        "su           asks for a code (/etc/pam.d/su:3)\n\nFaults: 0. Warnings: 0.\n"
    );
}

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
        format!("auth substack common-auth\n{OURS}"),
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
fn hostile_files_are_named() {
    let sandbox = healthy();
    sandbox.write(
        "etc/pam.d/twice",
        "auth include twice\nauth include twice\n",
    );
    assert_found(&sandbox, "twice", 2, &[]);
    let fifo = sandbox.path("etc/pam.d/fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    assert_found(&sandbox, "fifo", 2, &["it is no file"]);
    for name in ["", ".", "..", "../passwd", "/etc/pam.d/su"] {
        let done = doctor(&sandbox, name);
        assert_eq!(done.code(), 2, "{name:?} {done:?}");
        assert!(done.stderr.contains("no name of a PAM service"), "{done:?}");
    }
    assert_found(&sandbox, "SU", 0, &["su           asks for a code"]);
}

#[test]
fn a_service_without_a_file_is_other() {
    let sandbox = healthy();
    assert_found(
        &sandbox,
        "nonesuch",
        2,
        &["pam_mfa.so does not stand in its stack"],
    );
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
fn a_locker_stays_locked() {
    let sandbox = healthy();
    sandbox.write("etc/pam.d/swaylock", "auth include su\n");
    assert_found(&sandbox, "swaylock", 2, &["the screen stays locked"]);
}

#[test]
fn without_a_name_it_looks_at_all_that_matter() {
    let sandbox = healthy();
    for (service, stack) in [
        ("login", "@include common-auth\n".to_owned()),
        ("cron", "@include common-auth\n".to_owned()),
        ("xlock", format!("@include common-auth\n{OURS}")),
    ] {
        sandbox.write(&format!("etc/pam.d/{service}"), &stack);
    }
    let done = sandbox.admin(&["doctor"]);
    assert_eq!(done.code(), 2, "{done:?}");
    let names: Vec<&str> = done
        .stdout
        .lines()
        .take(3)
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(names, ["login", "su", "xlock"], "{}", done.stdout);
    assert!(
        done.stdout.starts_with("login        asks for no code\n"),
        "{}",
        done.stdout
    );
    let json = sandbox.admin(&["doctor", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(report["services"][1]["asks"], true);
    assert_eq!(report["findings"][0]["grave"], "fault");
    assert_eq!(report["findings"][0]["about"], "xlock");
}

#[test]
fn module_policy_and_store_are_looked_at() {
    for (fault, code, words) in [
        (
            "rm usr/lib/modules/security/pam_mfa.so",
            2,
            &["the module is not there"][..],
        ),
        (
            "printf 'no ELF file, but long enough' >usr/lib/modules/security/pam_mfa.so",
            2,
            &["another architecture"],
        ),
        (
            "printf 'tris = 3\\n' >etc/pam_mfa/config.toml",
            2,
            &["every login is refused", "tris"],
        ),
        (
            "printf 'unenrolled = \"skip\"\\n' >etc/pam_mfa/config.toml",
            1,
            &["never ends"],
        ),
        (
            "printf 'trusted_networks = [\"0.0.0.0/0\"]\\n' >etc/pam_mfa/config.toml",
            1,
            &["config.toml", "0.0.0.0/0"],
        ),
        (
            "rm etc/pam_mfa/key",
            2,
            &["whoever is asked is refused", "there is no key"],
        ),
        (
            "chmod 644 etc/pam_mfa/key",
            2,
            &["whoever is asked is refused"],
        ),
        (
            "printf junk >var/lib/pam_mfa/users/2001.toml",
            2,
            &["the user with the id 2001 is refused"],
        ),
        (
            "rm -r var/lib/pam_mfa/state/2001",
            1,
            &["is not known", "mfa-admin regenerate alice"],
        ),
        (
            "rm -r var/lib/pam_mfa/users/2001.toml var/lib/pam_mfa/state/2001",
            2,
            &["nobody is enrolled"],
        ),
        ("mkdir etc/.git", 2, &["version control"]),
        ("chmod g+w etc/pam.d/su", 2, &["etc/pam.d/su: others can write it (mode 664)"]),
        ("chmod 777 usr/lib/modules", 2, &["usr/lib/modules: others can write it"]),
        (
            "echo /bin/sh >etc/shells
             printf 'bob:x:2002:2002::/:/bin/sh\\nd:x:2:2::/:/bin/false\\nalice:x:2001:2001::/:/bin/sh\\n' >etc/passwd
             printf 'e:x:2003:2003::/:/bin/sh\\n' >>etc/passwd; echo 'e:!:1::::::' >etc/shadow",
            1,
            &["su: not enrolled, and refused for it: bob."],
        ),
    ] {
        let sandbox = healthy();
        let done = std::process::Command::new("sh")
            .args(["-ec", fault])
            .current_dir(sandbox.root())
            .status();
        assert!(done.expect("run sh").success(), "{fault}");
        println!("{fault}");
        assert_found(&sandbox, "su", code, words);
    }
    let sandbox = healthy();
    sandbox.write("etc/.gitignore", "pam_mfa/key\n");
    std::fs::create_dir(sandbox.path("etc/.git")).expect("make a folder");
    assert_found(&sandbox, "su", 0, &[]);
}

/// On a real machine with the lines of the documents, and then without each of them.
#[test]
fn a_machine_as_the_documents_have_it() {
    need_root!();
    let (machine, _) = Machine::with_alice();
    let line = OURS.trim();
    machine.sh(&format!(
        "sed -i '/^@include common-auth/a {line}' /etc/pam.d/sshd"
    ));
    let config =
        std::fs::read_to_string(locate::workspace().join("config/sshd_config.d/00-pam_mfa.conf"));
    let config = config.expect("the drop-in");
    machine.write("/etc/ssh/sshd_config.d/00-pam_mfa.conf", &config, "0644");
    machine.sh("ssh-keygen -A >/dev/null; usermod --lock root");
    let well = machine.run(&["mfa-admin", "doctor", "sshd"]);
    assert_eq!(well.code(), 0, "{well:?}");
    for (gone, told) in [
        ("UsePAM", ""),
        (
            "AuthenticationMethods",
            "alice is let in by publickey alone",
        ),
    ] {
        let less: String = config
            .lines()
            .filter(|line| !line.starts_with(gone))
            .map(|line| format!("{line}\n"))
            .collect();
        machine.write("/etc/ssh/sshd_config.d/00-pam_mfa.conf", &less, "0644");
        let done = machine.run(&["mfa-admin", "doctor", "sshd"]);
        assert!(done.stdout.contains(told), "{done:?}");
    }
    machine.write(
        "/etc/ssh/sshd_config.d/00-pam_mfa.conf",
        &format!("{config}Match User alice\n    AuthenticationMethods publickey\n"),
        "0644",
    );
    let done = machine.run(&["mfa-admin", "doctor", "sshd"]);
    // It was written out, so it may be meant.
    assert_eq!(done.code(), 1, "{done:?}");
    assert!(
        done.stdout.contains("alice is let in by publickey alone"),
        "{done:?}"
    );
}
