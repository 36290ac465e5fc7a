//! Accounts without a password, and stacks that take that for one.

use std::fs;

use mfa_core::paths::Root;
use mfa_core::user::shown;
use pam_stack::{Entry, Stack, What};

use super::accounts::listed;
use super::stack::place;
use super::{Finding, Service};

/// Debian's stacks have `nullok`, which harms nobody as long as every account has a password. sshd takes
/// no empty one whatever the stack says, unless it is told to (`PermitEmptyPasswords`).
pub fn examine(root: &Root, service: &Service) -> Option<Finding> {
    if service.name == "sshd" {
        return None;
    }
    let stack = Stack::read(&root.below(""), &service.name).ok()?;
    let line = stack.entries.iter().find(|entry| takes_none(entry))?;
    let read = |file| fs::read_to_string(root.below(file)).unwrap_or_default();
    let (passwd, shadow) = (read("etc/passwd"), read("etc/shadow"));
    let mut names: Vec<&str> = passwd
        .lines()
        .chain(shadow.lines())
        .filter_map(empty)
        .collect();
    names.sort_unstable();
    names.dedup();
    let first = shown(names.first()?);
    let what = format!(
        "no password, and {} lets in without one (nullok), so that a code alone is asked for: {}",
        place(line),
        listed(&names)
    );
    let mend =
        format!("Run: passwd {first}; or passwd --lock {first}; or take nullok out of that line");
    Some(Finding::fault(&service.name, what, mend))
}

fn takes_none(entry: &Entry) -> bool {
    entry.is("pam_unix.so")
        && matches!(&entry.what, What::Module(_, arguments)
            if arguments.iter().any(|word| word == "nullok" || word == "nullok_secure"))
}

/// Whose second field is empty, in passwd(5) or in shadow(5).
fn empty(line: &str) -> Option<&str> {
    let mut fields = line.split(':');
    let (name, password) = (fields.next()?, fields.next()?);
    (password.is_empty() && !name.starts_with(['+', '-'])).then_some(name)
}
