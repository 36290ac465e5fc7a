//! Which services there are.

use std::collections::BTreeSet;
use std::fs;

use mfa_core::paths::Root;
use pam_stack::Stack;

/// Those that let somebody into the machine or make him root. Looked at even without our line.
const USUAL: [&str; 6] = ["login", "sshd", "su", "su-l", "sudo", "sudo-i"];

/// Where services are.
const FOLDERS: [&str; 2] = ["etc/pam.d", "usr/lib/pam.d"];

/// Every service there is, by name.
pub fn all(root: &Root) -> BTreeSet<String> {
    let folders = FOLDERS
        .iter()
        .filter_map(|folder| fs::read_dir(root.below(folder)).ok());
    let files = folders.flatten().filter_map(Result::ok);
    let names = files.filter_map(|file| file.file_name().into_string().ok());
    // What is not a service is taken in by some, or is a backup.
    let is_service = |name: &String| {
        !name.starts_with("common-")
            && name != "other"
            && !name.contains('~')
            && !name.contains(".dpkg-")
    };
    names.filter(is_service).collect()
}

/// Those that somebody logs in by, and those that ask for a code.
pub fn that_matter(root: &Root) -> Vec<String> {
    let asks = |name: &String| {
        let stack = Stack::read(&root.below(""), name);
        stack.is_ok_and(|stack| stack.entries.iter().any(super::stack::is_ours))
    };
    let mut names = all(root);
    names.retain(|name| USUAL.contains(&name.as_str()) || asks(name));
    names.into_iter().collect()
}
