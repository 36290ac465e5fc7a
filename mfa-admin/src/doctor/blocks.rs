//! `Match` blocks of sshd that hold for some connections only: `sshd -T` is asked about one.

use std::fs;
use std::path::PathBuf;

use mfa_core::paths::Root;

use super::Finding;

/// What a block may name that is known of a user, whatever his connection (sshd_config(5)).
const OF_USERS: [&str; 3] = ["user", "group", "all"];

/// The blocks of the file and its drop-ins for an address, a host, a port.
pub fn not_looked_at(root: &Root) -> Vec<Finding> {
    let mut files: Vec<PathBuf> = vec![root.below("etc/ssh/sshd_config")];
    let folder = fs::read_dir(root.below("etc/ssh/sshd_config.d"));
    let inner = folder.into_iter().flatten().filter_map(Result::ok);
    files.extend(inner.map(|entry| entry.path()));
    files.sort();
    let mut findings = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        for (number, line) in (1..).zip(text.lines()) {
            let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
            let is_match = words
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case("match"));
            let criterion = words.next().unwrap_or_default().to_lowercase();
            if is_match && !(OF_USERS.contains(&&*criterion) && words.count() <= 1) {
                let what = format!(
                    "the Match block at {}:{number} holds for some connections, and was not looked at",
                    file.display()
                );
                let mend = "Ask for one of them: sshd -T -C user=alice,addr=ADDRESS";
                findings.push(Finding::warning("sshd", what, mend));
            }
        }
    }
    findings
}
