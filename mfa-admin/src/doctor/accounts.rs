//! Who is asked for a code and has none.

use std::collections::BTreeMap;
use std::fs;

use mfa_core::config::Config;
use mfa_core::login::{Asked, Subject, standing};
use mfa_core::paths::Root;
use mfa_core::policy::Login;
use mfa_core::user::shown;

use super::{Finding, Service, shown_path};
use crate::time;

/// The accounts of this machine (passwd(5)).
const PASSWD: &str = "etc/passwd";

/// So many are named.
const NAMED: usize = 10;

/// A line of passwd(5) that somebody can log in by.
struct Account {
    name: String,
    uid: u32,
    /// Whether no password is right.
    locked: bool,
    /// Whether sshd may take a key.
    key: bool,
}

/// Those of this machine with a shell. Those of a directory (LDAP) are not listed.
fn accounts(root: &Root) -> Vec<Account> {
    let read = |file| fs::read_to_string(root.below(file)).unwrap_or_default();
    let (passwd, shells, shadow) = (read(PASSWD), read("etc/shells"), read("etc/shadow"));
    let locked = |name: &str| {
        let mut lines = shadow.lines().filter_map(|line| line.split_once(':'));
        lines.any(|(user, password)| user == name && password.starts_with(['!', '*']))
    };
    let accounts = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next()?, fields.nth(1)?.parse().ok()?);
        let (home, shell) = (fields.nth(2)?, fields.next()?);
        let keys = shown_path(root, home).join(".ssh/authorized_keys");
        let account = Account {
            name: name.to_owned(),
            uid,
            locked: locked(name),
            key: keys.exists(),
        };
        let known = shells.lines().any(|known| known.trim() == shell);
        known.then_some(account)
    });
    accounts.collect()
}

/// Who has a password and a shell, and the user ids.
fn with_password(root: &Root) -> Vec<(String, u32)> {
    let those = accounts(root).into_iter().filter(|one| !one.locked);
    those.map(|one| (one.name, one.uid)).collect()
}

/// The same for a password or a key.
pub fn by_ssh(root: &Root) -> Vec<(String, u32)> {
    let those = accounts(root)
        .into_iter()
        .filter(|one| !one.locked || one.key);
    those.map(|one| (one.name, one.uid)).collect()
}

/// Who of them is refused at a service, by the policy that holds there, for he is not enrolled.
pub fn refused(root: &Root, policy: &str, key: bool) -> Option<String> {
    let config = Config::load(root).ok()?;
    let mut refused = match key {
        true => by_ssh(root),
        false => with_password(root),
    };
    refused.retain(|(name, uid)| is_refused(root, &config, name, *uid, policy));
    let names: Vec<&str> = refused.iter().map(|(name, _)| name.as_str()).collect();
    (!names.is_empty()).then(|| listed(&names))
}

/// The same, told.
pub fn examine(root: &Root, service: &Service) -> Option<Finding> {
    // Where no password is asked for, sshd asks for a key before.
    let key = service.name == "sshd" && service.unproved.is_some();
    let what = format!(
        "not enrolled, and refused for it: {}",
        refused(root, service.policy(), key)?
    );
    let mend =
        "Run: mfa-admin enroll USER; or see unenrolled, exempt and require in pam_mfa.toml(5)";
    Some(Finding::warning(&service.name, what, mend))
}

/// Names for people, the first of many.
pub fn listed(names: &[&str]) -> String {
    let named: Vec<String> = names.iter().take(NAMED).map(|name| shown(name)).collect();
    let more = match names.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", named.join(", "))
}

/// Names that are one user to the kernel, and to us: with one record.
pub fn sharing(root: &Root) -> Vec<Finding> {
    let about = root.below(PASSWD);
    let text = fs::read_to_string(&about).unwrap_or_default();
    let mut names: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(Ok(uid))) = (fields.next(), fields.nth(1).map(str::parse)) {
            names.entry(uid).or_default().push(name);
        }
    }
    let log_in = accounts(root);
    let shared = names
        .into_iter()
        .filter(|(uid, names)| names.len() > 1 && log_in.iter().any(|one| one.uid == *uid));
    let told = shared.map(|(uid, names)| {
        let what = format!(
            "{} share the user id {uid}, and so one record: the codes of one are good for all",
            listed(&names)
        );
        let last = shown(names.last().copied().unwrap_or_default());
        let mend = format!("If that is not meant: usermod --uid NEW {last}");
        Finding::warning(&about.display().to_string(), what, mend)
    });
    told.collect()
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
