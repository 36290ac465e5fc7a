//! What SELinux or AppArmor kept from us in the last day, as the kernel's log has it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use mfa_core::paths::Root;

use super::{Finding, is_here, program};
use crate::time;

/// Where auditd and syslogd write it.
const LOGS: [&str; 3] = [
    "var/log/audit/audit.log",
    "var/log/kern.log",
    "var/log/syslog",
];

/// So much of the end of a file is read (bytes).
const END: i64 = 1 << 20;

const DAY: i64 = 24 * 60 * 60;

/// Where there is no such file it is in the journal.
const JOURNAL: [&str; 8] = [
    "--boot",
    "--since=-1d",
    "--no-pager",
    "--quiet",
    "--output=cat",
    "_TRANSPORT=kernel",
    "+",
    "_TRANSPORT=audit",
];

/// Looks for paths of ours.
pub fn examine(root: &Root) -> Option<Finding> {
    let mut logs: Vec<String> = LOGS.iter().map(|file| end_of(&root.below(file))).collect();
    if is_here(root) {
        logs.extend(program::said("/usr/bin/journalctl", &JOURNAL));
    }
    let lines: Vec<&str> = logs.iter().flat_map(|log| log.lines()).collect();
    let of = |is: fn(&str) -> bool| -> HashSet<&str> {
        let lines = lines.iter().filter(|line| is(line));
        lines.filter_map(|line| event(line)).collect()
    };
    // SELinux names the path in another line of the same event.
    let (denied, ours) = (of(is_denial), of(|line| line.contains("pam_mfa")));
    let since = time::now().saturating_sub(DAY);
    let seconds = |event: &&str| event.split('.').next()?.parse::<i64>().ok();
    let recent = denied.intersection(&ours);
    let count = recent
        .filter(|event| seconds(event).is_some_and(|at| at >= since))
        .count();
    (count > 0).then(|| {
        let what = format!("SELinux or AppArmor denied something on paths of pam_mfa in the last day ({count} times): whoever met that was refused");
        let mend = "See the lines: ausearch -m avc -ts yesterday, or journalctl --since -1d --grep pam_mfa. For SELinux: restorecon -R /etc/pam_mfa /var/lib/pam_mfa /run/pam_mfa. For AppArmor allow the paths in the profile that the lines name";
        Finding::warning("the kernel's log", what, mend)
    })
}

/// What was only noted is none: `permissive=1`, `ALLOWED`.
fn is_denial(line: &str) -> bool {
    let selinux = line.contains("avc:  denied") && !line.contains("permissive=1");
    selinux || line.contains("apparmor=\"DENIED\"")
}

/// What stands in `audit(…)`: the seconds since 1970, and a number.
fn event(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("audit(")?;
    Some(rest.split_once(')')?.0)
}

fn end_of(path: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(path) {
        // A file that is shorter is read from its beginning.
        let _ = file.seek(SeekFrom::End(-END));
        let _ = file.take(END.unsigned_abs()).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
