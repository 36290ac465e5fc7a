//! `mfa-admin doctor`: each fault in a file of its own making.

mod files;
mod machine;
mod people;
mod stacks;

use mfa_tests::{command::Finished, locate, sandbox::Sandbox};

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

/// The same after a shell script was run below the root.
#[track_caller]
fn assert_found_after(script: &str, code: i32, words: &[&str]) {
    let sandbox = healthy();
    spoil(&sandbox, script);
    assert_found(&sandbox, "su", code, words);
}

/// Runs a shell script below the root.
#[track_caller]
fn spoil(sandbox: &Sandbox, script: &str) {
    println!("{script}");
    let mut shell = std::process::Command::new("sh");
    let done = shell
        .args(["-ec", script])
        .current_dir(sandbox.root())
        .status();
    assert!(done.expect("run sh").success(), "{script}");
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
fn a_service_that_cannot_be_read_is_named() {
    let sandbox = healthy();
    sandbox.write("etc/pam.d/cron", "@include gone\n");
    for not_a_service in ["su.bak", "su~", "su.dpkg-old", "conf.d/x"] {
        sandbox.write(&format!("etc/pam.d/{not_a_service}"), "@include gone\n");
    }
    let done = sandbox.admin(&["doctor"]);
    assert_eq!(done.code(), 2, "{done:?}");
    assert_eq!(done.stdout.matches("FAULT").count(), 1, "{}", done.stdout);
    assert!(
        done.stdout
            .contains("FAULT: cron: its PAM stack cannot be read"),
        "{}",
        done.stdout
    );
    // What is wrong with `other` is wrong with every service, and told for those that matter.
    sandbox.write("etc/pam.d/other", "@include gone\n");
    let done = sandbox.admin(&["doctor"]);
    assert!(!done.stdout.contains("cron"), "{}", done.stdout);
    assert!(
        done.stdout.contains("FAULT: su: its PAM"),
        "{}",
        done.stdout
    );
}
