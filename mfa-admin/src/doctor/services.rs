//! Which services there are.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;

use mfa_core::paths::Root;
use pam_stack::Stack;

/// Those that let somebody into the machine or make him root. Looked at even without our line.
const USUAL: [&str; 6] = ["login", "sshd", "su", "su-l", "sudo", "sudo-i"];

/// Where libpam looks for services (`pam.d(5)`).
pub const FOLDERS: [&str; 2] = ["etc/pam.d", "usr/lib/pam.d"];

/// What stands in for a service without a file.
const OTHER: &str = "other";

/// How backups end.
const BACKUPS: [&str; 5] = [".bak", ".orig", ".old", ".rpmsave", ".rpmnew"];

/// Every service there is, by name.
pub fn all(root: &Root) -> BTreeSet<String> {
    let folders = FOLDERS
        .iter()
        .filter_map(|folder| fs::read_dir(root.below(folder)).ok());
    let files = folders.flatten().filter_map(Result::ok);
    let files = files.filter(|file| !file.path().is_dir());
    let names = files.filter_map(|file| file.file_name().into_string().ok());
    // What is not a service is taken in by some, or is a backup.
    let is_service = |name: &String| {
        !name.starts_with("common-")
            && name != OTHER
            && !name.contains('~')
            && !name.contains(".dpkg-")
            && !BACKUPS.iter().any(|end| name.ends_with(end))
    };
    names.filter(is_service).collect()
}

/// Those that somebody logs in by, those that ask for a code, and those that cannot be read.
pub fn that_matter(root: &Root) -> Vec<String> {
    let read = |name: &str| Stack::read(&root.below(""), name);
    // A fault in it is one of every service, and those that somebody logs in by tell it.
    let other_is_read = match read(OTHER) {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::NotFound,
    };
    let matters = |name: &String| match read(name) {
        Ok(stack) => stack.entries.iter().any(super::stack::names_ours),
        Err(_) => other_is_read,
    };
    let mut names = all(root);
    names.retain(|name| USUAL.contains(&name.as_str()) || matters(name));
    names.into_iter().collect()
}
