//! etckeeper keeps every file of /etc for ever, and may push it elsewhere.

use std::fs;
use std::path::Path;

use mfa_core::paths::Root;

use super::{Finding, shown_path};

/// The key, as the list of what is tracked has it.
const KEY: &str = "pam_mfa/key";

/// Where such a list is, what says what is left out, and how it is taken off the list.
const SYSTEMS: [(&str, &str, &str, &str); 3] = [
    (".git", "index", ".gitignore", "git -C /etc rm --cached"),
    (".hg", "dirstate", ".hgignore", "hg --cwd /etc forget"),
    (
        ".bzr",
        "checkout/dirstate",
        ".bzrignore",
        "cd /etc && bzr rm --keep",
    ),
];

/// Whether the key is tracked, or will be at the next occasion.
pub fn examine(root: &Root) -> Option<Finding> {
    let etc = root.below("etc");
    let about = shown_path(root, "/etc/pam_mfa/key").display().to_string();
    let in_use = SYSTEMS
        .iter()
        .filter(|(folder, ..)| etc.join(folder).exists());
    let mut told = in_use.filter_map(|(folder, list, ignored, forget)| {
        let list = fs::read(etc.join(folder).join(list)).unwrap_or_default();
        let tracked = list.windows(KEY.len()).any(|name| name == KEY.as_bytes());
        let ignore = format!("echo {KEY} >>/etc/{ignored}");
        match (tracked, is_ignored(&etc.join(ignored))) {
            (true, _) => {
                let what = "the key is under version control (etckeeper): a copy of it stays in the history, and goes where that goes";
                let mend = format!("Run: {ignore}; {forget} {KEY}; and think about who has the history");
                Some(Finding::fault(&about, what, mend))
            }
            (false, false) => {
                let what = "/etc is under version control (etckeeper), and the next commit takes the key along";
                Some(Finding::fault(&about, what, format!("Run: {ignore}")))
            }
            (false, true) => None,
        }
    });
    told.next()
}

/// By the ways in which people write it.
fn is_ignored(file: &Path) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut lines = text.lines().map(|line| line.trim().trim_start_matches('/'));
    lines.any(|line| [KEY, "pam_mfa", "pam_mfa/", "pam_mfa/*", "pam_mfa/**"].contains(&line))
}
