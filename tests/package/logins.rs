//! Logins by ssh through the stack that Debian ships.

use mfa_tests::{PASSWORD, sshd::Sshd};

const PASSWORD_PROMPT: &str = "Password: ";
const PROMPT: &str = "Verification code or backup code: ";

/// alice gets in by her password, and nothing else is asked.
#[track_caller]
pub fn by_password(sshd: &Sshd) {
    let mut ssh = sshd.ssh("alice", &[], "id -un");
    ssh.expect(PASSWORD_PROMPT);
    ssh.send_line(PASSWORD);
    let (status, shown) = ssh.finish();
    assert_eq!(status, 0, "{shown} {:#?}", sshd.log());
    assert!(
        shown.ends_with("alice\r\n") && !shown.contains(PROMPT),
        "{shown}"
    );
}

/// alice is asked for a code after her password, and gets in by this one.
#[track_caller]
pub fn by_code(sshd: &Sshd, code: &str) {
    let mut ssh = sshd.ssh("alice", &[], "id -un");
    ssh.expect(PASSWORD_PROMPT);
    ssh.send_line(PASSWORD);
    ssh.expect(PROMPT);
    ssh.send_line(code);
    let (status, shown) = ssh.finish();
    assert_eq!(status, 0, "{shown} {:#?}", sshd.log());
    assert!(shown.ends_with("alice\r\n"), "{shown}");
}

/// alice is asked for a code after her password, and this one, given at every prompt, does not let her in.
#[track_caller]
pub fn refused(sshd: &Sshd, code: &str) {
    let mut ssh = sshd.ssh("alice", &["-oNumberOfPasswordPrompts=1"], "id -un");
    ssh.expect(PASSWORD_PROMPT);
    ssh.send_line(PASSWORD);
    for _ in 0..3 {
        ssh.expect(PROMPT);
        ssh.send_line(code);
    }
    let (status, shown) = ssh.finish();
    assert_eq!(status, 255, "{shown} {:#?}", sshd.log());
}
