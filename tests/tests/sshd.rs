//! Debian's sshd with the module behind the password or behind a public key.

use mfa_tests::{
    PASSWORD,
    enrolled::{Enrolled, STEP, now},
    machine::Machine,
    need, need_root,
    pty::Pty,
    sshd::Sshd,
};

const SSHD: &str = "/usr/sbin/sshd";
const AFTER_A_PASSWORD: &str = "auth required pam_unix.so\nauth required pam_mfa.so\n";
const AFTER_A_KEY: &str = "auth required pam_mfa.so\n";

const PASSWORD_PROMPT: &str = "Password: ";
const PROMPT: &str = "Verification code or backup code: ";
const WRONG: &str = "Wrong code.";
const USED: &str = "This code was already used. Wait for the next one.";

fn machine(stack: &str) -> (Machine, Enrolled) {
    let (machine, alice) = Machine::with_alice();
    machine.stack("sshd", stack);
    (machine, alice)
}

/// An ssh that has given the password and has been asked for a code.
#[track_caller]
fn ssh(sshd: &Sshd) -> Pty {
    let mut ssh = sshd.ssh("alice", &["-oNumberOfPasswordPrompts=1"], "id -un");
    ssh.expect(PASSWORD_PROMPT);
    ssh.send_line(PASSWORD);
    ssh.expect(PROMPT);
    ssh
}

/// Logs in with a code; what was shown after it was typed.
#[track_caller]
fn assert_granted(sshd: &Sshd, code: &str) -> String {
    let mut ssh = ssh(sshd);
    ssh.send_line(code);
    let (status, shown) = ssh.finish();
    assert_eq!(status, 0, "{shown} {:#?}", sshd.log());
    assert!(shown.ends_with("alice\r\n"), "{shown}");
    assert!(!shown.contains(code), "{shown}");
    shown
}

/// Answers all three prompts with the code; each of the two that come again tells this.
#[track_caller]
fn assert_refused(sshd: &Sshd, code: &str, told: &str) {
    let mut ssh = ssh(sshd);
    for _ in 0..2 {
        ssh.send_line(code);
        let before = ssh.expect(PROMPT);
        assert!(before.contains(told), "{before}");
    }
    ssh.send_line(code);
    let (status, shown) = ssh.finish();
    assert_eq!(status, 255, "{shown} {:#?}", sshd.log());
    assert!(shown.contains("Permission denied"), "{shown}");
}

#[track_caller]
fn last_line(machine: &Machine) -> String {
    machine.decisions().pop().expect("a line of the module")
}

#[test]
fn password_then_code() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine(AFTER_A_PASSWORD);
    let sshd = Sshd::start(&machine, "AuthenticationMethods keyboard-interactive");
    assert_granted(&sshd, &alice.code_at(now()));
    let granted =
        "pam_mfa(sshd:auth): granted user=alice method=totp device=phone rhost=127.0.0.1 tty=ssh";
    assert_eq!(machine.decisions(), [granted]);
}

#[test]
fn a_wrong_password_is_asked_for_a_code_and_refused_with_a_right_one() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine(AFTER_A_PASSWORD);
    let sshd = Sshd::start(&machine, "AuthenticationMethods keyboard-interactive");
    let mut ssh = sshd.ssh("alice", &["-oNumberOfPasswordPrompts=1"], "id -un");
    ssh.expect(PASSWORD_PROMPT);
    ssh.send_line("wrong");
    ssh.expect(PROMPT);
    ssh.send_line(&alice.code_at(now()));
    let (status, shown) = ssh.finish();
    assert!(
        status == 255 && shown.contains("Permission denied"),
        "{shown}"
    );
}

#[test]
fn a_key_then_a_code() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine(AFTER_A_KEY);
    let methods = "AuthenticationMethods publickey,keyboard-interactive";
    let sshd = Sshd::start(&machine, methods);
    let key = sshd.authorize_key("alice");
    let mut ssh = sshd.ssh("alice", &["-i", key], "id -un");
    let before = ssh.expect_any(&[PROMPT, PASSWORD_PROMPT]);
    assert_eq!(before.0, 0, "{}", ssh.transcript());
    ssh.send_line(&alice.code_at(now()));
    let (status, shown) = ssh.finish();
    assert_eq!((status, shown.trim()), (0, "alice"), "{:#?}", sshd.log());
    let line = last_line(&machine);
    assert!(
        line.contains("granted user=alice") && line.contains("rhost=127.0.0.1"),
        "{line}"
    );

    // Neither the key alone nor the code alone is enough.
    let mut keyless = sshd.ssh("alice", &[], "id -un");
    let shown = keyless.expect("Permission denied");
    assert!(!shown.contains(PROMPT), "{shown}");
    let mut codeless = sshd.ssh(
        "alice",
        &["-i", key, "-oNumberOfPasswordPrompts=1"],
        "id -un",
    );
    for _ in 0..3 {
        codeless.expect(PROMPT);
        codeless.send_line("");
    }
    assert_eq!(codeless.finish().0, 255);
}

#[test]
fn a_wrong_code_is_refused() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine(AFTER_A_PASSWORD);
    let sshd = Sshd::start(&machine, "AuthenticationMethods keyboard-interactive");
    assert_refused(&sshd, &alice.wrong_code_at(now()), WRONG);
    let refused = "pam_mfa(sshd:auth): refused user=alice reason=wrong-code,wrong-code,wrong-code rhost=127.0.0.1 tty=ssh";
    assert_eq!(machine.decisions(), [refused]);
}

#[test]
fn a_replayed_code_is_refused_and_the_next_one_is_let_in() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine(AFTER_A_PASSWORD);
    let sshd = Sshd::start(&machine, "AuthenticationMethods keyboard-interactive");
    // Both are in the window for another half minute at least.
    let time = now();
    let code = alice.code_at(time);
    assert_granted(&sshd, &code);
    assert_refused(&sshd, &code, USED);
    let line = last_line(&machine);
    assert!(
        line.contains("reason=replayed-code,replayed-code,replayed-code"),
        "{line}"
    );
    assert_granted(&sshd, &alice.code_at(time + STEP));
}

#[test]
fn a_backup_code_is_let_in_once() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine(AFTER_A_PASSWORD);
    let sshd = Sshd::start(&machine, "AuthenticationMethods keyboard-interactive");
    assert_granted(&sshd, &alice.backup_codes[0]);
    assert!(
        last_line(&machine).contains("granted user=alice method=backup left=9 rhost=127.0.0.1")
    );
    assert_refused(
        &sshd,
        &alice.backup_codes[0],
        "This backup code was already used.",
    );
    assert_granted(&sshd, &alice.backup_codes[1]);
}

#[test]
fn a_shell_on_a_terminal_tells_how_many_backup_codes_are_left() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine(AFTER_A_PASSWORD);
    let sshd = Sshd::start(&machine, "AuthenticationMethods keyboard-interactive");
    // Without a command; with one sshd keeps all messages of a login to itself.
    let mut ssh = sshd.ssh("alice", &["-t"], "");
    ssh.expect(PASSWORD_PROMPT);
    ssh.send_line(PASSWORD);
    ssh.expect(PROMPT);
    ssh.send_line(&alice.backup_codes[0]);
    ssh.expect("9 backup codes are left.");
    ssh.expect("$ ");
    ssh.send_line("exit");
    assert_eq!(ssh.finish().0, 0);
}

#[test]
fn the_right_code_is_let_in_at_the_second_try() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine(AFTER_A_PASSWORD);
    let sshd = Sshd::start(&machine, "AuthenticationMethods keyboard-interactive");
    let mut ssh = ssh(&sshd);
    ssh.send_line(&alice.wrong_code_at(now()));
    let before = ssh.expect(PROMPT);
    assert!(before.contains(WRONG), "{before}");
    ssh.send_line(&alice.code_at(now()));
    let (status, shown) = ssh.finish();
    assert_eq!(status, 0, "{shown}");
    assert!(shown.ends_with("alice\r\n"), "{shown}");
    assert_eq!(machine.decisions().len(), 1);
}

#[test]
fn a_stranger_is_asked_like_anybody_and_refused() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine(AFTER_A_PASSWORD);
    machine.add_user("bob");
    let sshd = Sshd::start(&machine, "AuthenticationMethods keyboard-interactive");
    let refused = |user: &str| {
        let mut ssh = sshd.ssh(user, &["-oNumberOfPasswordPrompts=1"], "id -un");
        ssh.expect(PASSWORD_PROMPT);
        ssh.send_line(PASSWORD);
        for _ in 0..3 {
            ssh.expect(PROMPT);
            ssh.send_line(&alice.code_at(now()));
        }
        ssh
    };
    let sessions = ["bob", "nobody-of-this-name"].map(refused);
    for session in sessions {
        let (status, shown) = session.finish();
        assert_eq!(status, 255, "{shown}");
        assert!(shown.contains("Permission denied"), "{shown}");
    }
    let lines = machine.decisions();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    let bob = "refused user=bob reason=not-enrolled,not-enrolled,not-enrolled rhost=127.0.0.1";
    assert!(lines[0].contains(bob), "{lines:#?}");
    // sshd replaces all that somebody types whom it does not know by junk.
    assert!(
        lines[1].contains("refused user=(unknown) reason="),
        "{lines:#?}"
    );
}
