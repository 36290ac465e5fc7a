//! Who is asked for a code and has none.

use std::fs;

use mfa_core::config::Config;
use mfa_core::login::{Asked, Subject, standing};
use mfa_core::paths::Root;
use mfa_core::policy::Login;
use mfa_core::user::shown;

use super::Finding;
use crate::time;

/// So many are named.
const NAMED: usize = 10;

/// Accounts of this machine with a password and a shell, and their user ids. Those of a directory
/// (LDAP) are not listed.
pub fn with_shell(root: &Root) -> Vec<(String, u32)> {
    let read = |file| fs::read_to_string(root.below(file)).unwrap_or_default();
    let (passwd, shells, shadow) = (read("etc/passwd"), read("etc/shells"), read("etc/shadow"));
    let locked = |name: &str| {
        let mut lines = shadow.lines().filter_map(|line| line.split_once(':'));
        lines.any(|(user, password)| user == name && password.starts_with(['!', '*']))
    };
    let accounts = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next()?, fields.nth(1)?.parse().ok()?);
        let shell = fields.nth(3)?;
        let logs_in = shells.lines().any(|known| known.trim() == shell) && !locked(name);
        logs_in.then(|| (name.to_owned(), uid))
    });
    accounts.collect()
}

/// Who of them is refused at the service.
pub fn examine(root: &Root, service: &str) -> Option<Finding> {
    let config = Config::load(root).ok()?;
    let mut refused = with_shell(root);
    refused.retain(|(name, uid)| is_refused(root, &config, name, *uid, service));
    if refused.is_empty() {
        return None;
    }
    let named: Vec<String> = refused
        .iter()
        .take(NAMED)
        .map(|(name, _)| shown(name))
        .collect();
    let more = match refused.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let what = format!(
        "not enrolled, and refused for it: {}{more}",
        named.join(", ")
    );
    let mend =
        "Run: mfa-admin enroll USER; or see unenrolled, exempt and require in pam_mfa.toml(5)";
    Some(Finding::warning(service, what, mend))
}

fn is_refused(root: &Root, config: &Config, user: &str, uid: u32, service: &str) -> bool {
    let login = Login {
        user,
        uid: Some(uid),
        service,
        rhost: None,
    };
    let standing = standing(root, config, &login, time::now());
    standing.is_ok_and(|standing| matches!(standing.asked, Asked::As(Subject::Stranger(_))))
}
