//! A local user writes a line that only the journal can tell from ours.

use std::process::Stdio;

use mfa_core::verdict::{Refusal, Verdict};
use mfa_tests::{enrolled::now, locate, need};

use super::{FILTER, GUESSER, VICTIM, module_line, scene::logger, ssh, wait_until};
use crate::debian;

/// A journal in place of rsyslogd, without the kernel's log. It makes the socket itself if nobody hands it one.
const JOURNAL: &str = r#"
rm /dev/log
echo 0123456789abcdef0123456789abcdef >/etc/machine-id
mkdir -p /run/systemd/journal /run/log/journal /etc/systemd/journald.conf.d
cat >/etc/systemd/journald.conf.d/here.conf <<'END'
[Journal]
Storage=volatile
ReadKMsg=no
RateLimitIntervalSec=0
END
ln -s /run/systemd/journal/dev-log /dev/log
"#;

/// It looks for control groups; a namespace of their own keeps the mount from changing those of the real system.
/// So does the lack of a capability for the auditing of the kernel.
const START_JOURNALD: &str = r#"
exec unshare --cgroup --mount sh -ec '
    mount -t tmpfs tmpfs /sys
    mkdir -p /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    exec setpriv --bounding-set=-audit_control,-audit_read /usr/lib/systemd/systemd-journald'
"#;

#[test]
fn in_the_journal_only_root_counts() {
    // Debian 12 has the module for python apart.
    let (_, root) = locate::packages();
    need!(root.join("usr/lib/python3/dist-packages/systemd"));
    let machine = debian::installed();
    machine.sh(JOURNAL);
    let mut journald = machine
        .command(&["sh", "-ec", START_JOURNALD])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start journald");
    wait_until("the journal's socket", || {
        debian::exists(&machine, "/dev/log")
    });
    let alice = machine.enroll("alice");
    let sshd = ssh::start(&machine);
    ssh::refused(&sshd, "alice", &alice.wrong_code_at(now()));

    let line = |rhost| module_line::decision(rhost, &Verdict::Refused(vec![Refusal::NoCode]));
    let as_alice = ["setpriv", "--reuid=alice", "--clear-groups"];
    logger(&machine, &as_alice, "pam_mfa", &line(VICTIM)).ok();
    logger(&machine, &[], "pam_mfa", &line(GUESSER)).ok();

    let counting = |pattern: &[&str]| {
        let words = ["fail2ban-regex", "-o", "ip"];
        let words = [&words[..], pattern, &["systemd-journal", FILTER]].concat();
        machine.run(&words).ok().stdout
    };
    wait_until("the last line", || counting(&[]).contains(GUESSER));
    let of_alice = "127.0.0.1\n".repeat(3);
    assert_eq!(counting(&[]), format!("{of_alice}{GUESSER}\n"));
    // It did arrive.
    let anybody = ["--journalmatch", "SYSLOG_IDENTIFIER=pam_mfa"];
    let all = format!("{of_alice}{VICTIM}\n{GUESSER}\n");
    assert_eq!(counting(&anybody), all);
    let _ = journald.kill();
    let _ = journald.wait();
}
