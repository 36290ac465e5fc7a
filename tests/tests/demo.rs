//! `make demo`: what it says where something is not as it must be, and that nothing of it stays.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use mfa_tests::{
    PASSWORD, command::run, enrolled::now, full_disk::with_own_mounts, locate, lock, need_root,
    oath::Oath, pty::Pty,
};
use nix::{
    mount::{MsFlags, mount},
    sys::signal::Signal,
};
use tempfile::TempDir;

const DEMO: &str = env!("CARGO_BIN_EXE_demo");
const PASSWORD_PROMPT: &str = "Password: ";
const CODE_PROMPT: &str = "Verification code or backup code: ";

/// Where a demo makes its folder.
fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("mfa-").tempdir();
    let folder = folder.expect("make a temporary directory");
    let everybody = fs::Permissions::from_mode(0o777);
    fs::set_permissions(folder.path(), everybody).expect("open the folder for everybody");
    folder
}

fn in_folder(folder: &TempDir, words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env("TMPDIR", folder.path());
    command
}

#[track_caller]
fn assert_clean(folder: &TempDir) {
    let left = fs::read_dir(folder.path()).expect("list the folder");
    let left: Vec<_> = left.map(|entry| entry.expect("an entry").path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// What the demo says that cannot be played.
#[track_caller]
fn refused(folder: &TempDir, words: &[&str]) -> String {
    let ended = run(&mut in_folder(folder, words), "").failed();
    assert_eq!((ended.code(), &*ended.stdout), (1, ""), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert_clean(folder);
    ended.stderr
}

#[test]
fn by_itself_it_fails_at_a_step_that_is_not_as_it_must_be() {
    let folder = folder();
    let played = run(&mut in_folder(&folder, &[DEMO]), "").ok();
    assert!(played.stdout.contains("All steps went"), "{played:?}");
    assert_clean(&folder);
    // A module that lets everybody in.
    let mut demo = in_folder(&folder, &[DEMO]);
    demo.env("MFA_MODULE", locate::pam_modules().join("pam_permit.so"));
    let played = run(&mut demo, "").failed();
    assert_eq!(played.code(), 1);
    let expected = "demo: expected 7 and to be told \"already used\"\n";
    assert!(played.stderr.ends_with(expected), "{played:?}");
    assert!(!played.stdout.contains("All steps went"), "{played:?}");
    assert_clean(&folder);
}

#[test]
fn by_itself_it_leaves_nothing_when_it_is_broken_off() {
    for lines in [1, 3, 10] {
        let folder = folder();
        let mut demo = in_folder(&folder, &[DEMO]);
        demo.stdin(Stdio::null()).stdout(Stdio::piped());
        // What it started ends by itself, and may complain.
        let demo = demo.stderr(Stdio::null()).spawn();
        let mut demo = demo.expect("start the demo");
        let stdout = demo.stdout.take().expect("stdout is a pipe");
        let mut shown = BufReader::new(stdout).lines();
        assert_eq!(shown.by_ref().take(lines).count(), lines);
        lock::signal(demo.id(), Signal::SIGINT);
        shown.for_each(drop);
        let ended = demo.wait().expect("wait for the demo");
        assert_eq!(ended.code(), Some(130));
        assert_clean(&folder);
    }
}

/// A demo whose person has enrolled, and what the terminal is like after it.
fn enrolled(folder: &TempDir) -> Pty {
    let script = "trap : INT; \"$0\"; echo \"ended: $?\"; stty -a";
    let mut command = in_folder(folder, &["sh", "-c", script, DEMO]);
    command.env("TERM", "xterm-256color");
    let mut person = Pty::spawn(command);
    person.expect("or type q to leave: ");
    person.send_line("");
    let secret = secret_on(&person.expect("Code from the device: "));
    person.send_line(&Oath::new(&secret).code_at(now()));
    person.expect("written them down: ");
    person.send_line("");
    person.expect("or type q to leave: ");
    person.send_line("");
    person.expect(PASSWORD_PROMPT);
    person
}

/// The groups of four that stand last in their lines.
fn secret_on(page: &str) -> String {
    let lines = page.lines().skip_while(|line| !line.contains("Secret:"));
    let groups = lines.skip(1).take(2).map(|line| {
        let text = line.rsplit("\x1b[0m").next().expect("the last part");
        text.split_whitespace().collect::<String>()
    });
    groups.collect()
}

#[test]
fn a_person_with_a_wrong_password_is_told_so() {
    let folder = folder();
    let mut person = enrolled(&folder);
    person.send_line("wrong");
    let told = person.expect("or type q to leave: ");
    assert!(told.contains("PAM does not let"), "{told}");
    assert!(told.contains("the password was wrong"), "{told}");
    assert!(!told.contains("The line in the log"), "{told}");
    person.send_line("");
    person.expect(PASSWORD_PROMPT);
    person.send_line(PASSWORD);
    person.expect(CODE_PROMPT);
    person.send_line("000");
    person.expect("Wrong code.");
}

#[test]
fn a_person_ends_it_at_any_prompt() {
    for at_the_code in [false, true] {
        let folder = folder();
        let mut person = enrolled(&folder);
        if at_the_code {
            person.send_line(PASSWORD);
            person.expect(CODE_PROMPT);
        }
        person.send("\x03");
        let (_, shown) = person.finish();
        assert!(shown.contains("ended: 130"), "{shown}");
        assert!(!shown.contains("PAM does not let"), "{shown}");
        for setting in ["echo", "icanon", "isig"] {
            let mut words = shown.split_whitespace();
            assert!(words.any(|word| word == setting), "{setting}: {shown}");
        }
        assert_clean(&folder);
    }
}

#[test]
fn a_folder_from_which_nothing_can_be_run_is_named_with_the_way_out() {
    need_root!();
    let folder = folder();
    let told = with_own_mounts(|| {
        let flags = MsFlags::MS_NOEXEC;
        let mounted = mount(
            Some("demo"),
            folder.path(),
            Some("tmpfs"),
            flags,
            None::<&str>,
        );
        mounted.expect("mount a tmpfs");
        refused(&folder, &[DEMO])
    });
    let place = folder.path().display().to_string();
    for part in [&*place, "mounted noexec", "TMPDIR=/var/tmp make demo"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn a_uid_without_a_name_is_an_error_and_no_panic() {
    need_root!();
    let folder = folder();
    let setpriv = ["setpriv", "--reuid=4711", "--regid=4711", "--clear-groups"];
    let told = refused(&folder, &[&setpriv[..], &[DEMO]].concat());
    assert!(
        told.starts_with("demo: uid 4711 has no name here"),
        "{told}"
    );
}
