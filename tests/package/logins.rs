//! Logins by ssh through the stack that Debian ships.

use mfa_tests::{PASSWORD, pty::Pty, sshd::Sshd};

const PASSWORD_PROMPT: &str = "Password: ";
const PROMPT: &str = "Verification code or backup code: ";

/// An ssh that has given the password once.
#[track_caller]
pub fn behind_password(sshd: &Sshd, user: &str) -> Pty {
    let mut ssh = sshd.ssh(user, &["-oNumberOfPasswordPrompts=1"], "id -un");
    ssh.expect(PASSWORD_PROMPT);
    ssh.send_line(PASSWORD);
    ssh
}

/// alice gets in by her password, and nothing else is asked.
#[track_caller]
pub fn by_password(sshd: &Sshd) {
    let (status, shown) = behind_password(sshd, "alice").finish();
    assert_eq!(status, 0, "{shown} {:#?}", sshd.log());
    assert!(
        shown.ends_with("alice\r\n") && !shown.contains(PROMPT),
        "{shown}"
    );
}

/// alice is asked for a code after her password, and gets in by this one.
#[track_caller]
pub fn by_code(sshd: &Sshd, code: &str) {
    let mut ssh = behind_password(sshd, "alice");
    ssh.expect(PROMPT);
    ssh.send_line(code);
    let (status, shown) = ssh.finish();
    assert_eq!(status, 0, "{shown} {:#?}", sshd.log());
    assert!(shown.ends_with("alice\r\n"), "{shown}");
}

/// alice is asked for a code after her password, and this one, given at every prompt, does not let her in.
#[track_caller]
pub fn refused(sshd: &Sshd, code: &str) {
    let mut ssh = behind_password(sshd, "alice");
    for _ in 0..3 {
        ssh.expect(PROMPT);
        ssh.send_line(code);
    }
    let (status, shown) = ssh.finish();
    assert_eq!(status, 255, "{shown} {:#?}", sshd.log());
}
