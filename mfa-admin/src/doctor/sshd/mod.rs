//! sshd: whether it asks PAM, in a way in which a code can be given.

pub mod files;
mod judge;

use std::collections::HashSet;
use std::fmt;

use mfa_core::overview;
use mfa_core::paths::Root;
use mfa_core::store::Store;

pub use self::judge::Settings;

use self::judge::Found;
use super::{Finding, Service, accounts, program};
use crate::time;

const ABOUT: &str = "sshd";
/// The program.
pub const SSHD: &str = "/usr/sbin/sshd";

/// What `sshd -T` says, for root and for those who log in here: `Match` blocks may differ. Where one
/// of them gets in without PAM, the service does not ask.
pub fn examine(root: &Root, service: &mut Service) -> Vec<Finding> {
    let files::Read { lines, unread } = files::read(root);
    let mut found: Vec<(Found, Vec<String>)> = Vec::new();
    let mut users = users(root);
    let too_many = users.split_off(users.len().min(USERS));
    for user in users {
        let of_user = match settings(&user) {
            Ok(settings) => judge::judge(&settings, &user, service, &lines),
            Err(Unasked::NotStarted(what)) => vec![Found::unknown(what, START)],
            Err(Unasked::Refused(what)) => {
                // It does not tell where that was disabled.
                let disabled = what.contains("Disabled method \"keyboard-interactive\"");
                let keyword = "kbdinteractiveauthentication";
                let place = disabled.then(|| files::place(&lines, keyword, "no"));
                let what = format!("{what}{}", place.unwrap_or_default());
                vec![Found::of_all(what, TEST)]
            }
        };
        // What is so for several is told once.
        for this in of_user {
            match found.iter_mut().find(|(known, _)| *known == this) {
                Some((_, users)) => users.push(user.clone()),
                None => found.push((this, vec![user.clone()])),
            }
        }
    }
    let mut findings = unread;
    findings.extend(files::not_looked_at(&lines));
    if !too_many.is_empty() && files::has_blocks(&lines) {
        let names: Vec<&str> = too_many.iter().map(String::as_str).collect();
        let what = format!(
            "sshd was not asked what its Match blocks come to for {} of the users: {}",
            names.len(),
            accounts::listed(&names)
        );
        let mend =
            "Ask for those whom a block names: sshd -T -C user=NAME,host=localhost,addr=127.0.0.1";
        findings.push(Finding::warning(ABOUT, what, mend));
    }
    service.asks &= !found.iter().any(|(found, _)| found.around);
    findings.extend(found.into_iter().map(|(found, users)| {
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        found.told(ABOUT, &users)
    }));
    findings
}

/// So many are asked about.
const USERS: usize = 50;

fn users(root: &Root) -> Vec<String> {
    let entries = Store::open(root).and_then(|store| overview::all(&store, 0, time::now()));
    let enrolled = entries
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(_, seen)| Some(seen.ok()?.user));
    let others = accounts::by_ssh(root).into_iter().map(|(name, _)| name);
    let mut users: Vec<String> = vec!["root".to_owned()];
    users.extend(enrolled.chain(others));
    let mut seen = HashSet::new();
    // A comma would end the name where sshd is asked.
    users.retain(|user| !user.contains(',') && seen.insert(user.clone()));
    users
}

const START: &str = "Start it: systemctl start ssh";
const TEST: &str = "Run: sshd -t";

/// Why sshd does not tell what holds.
pub enum Unasked {
    /// It has to be started first.
    NotStarted(String),
    /// It is not there, or does not understand its configuration.
    Refused(String),
}

impl fmt::Display for Unasked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unasked::NotStarted(what) => write!(f, "{what}. {START}"),
            Unasked::Refused(what) => write!(f, "{what}. {TEST}"),
        }
    }
}

/// What holds for a user.
///
/// # Errors
/// Why it is not known.
pub fn settings(user: &str) -> Result<Settings, Unasked> {
    let connection = format!("user={user},host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22");
    let asked = program::run(SSHD, &["-T", "-C", &connection]);
    let asked =
        asked.map_err(|error| Unasked::Refused(format!("{SSHD} cannot be asked ({error})")))?;
    if !asked.status.success() {
        let said = String::from_utf8_lossy(&asked.stderr);
        let said = said.lines().next().unwrap_or_default();
        let said = said.trim_end_matches('.');
        // Made when it is started, and gone with the machine.
        return Err(
            match said.strip_prefix("Missing privilege separation directory: ") {
                Some(dir) => Unasked::NotStarted(format!(
                    "it cannot be asked, for it was not started (there is no {dir})"
                )),
                None => Unasked::Refused(format!("its configuration is not understood: {said}")),
            },
        );
    }
    Ok(judge::parse(&String::from_utf8_lossy(&asked.stdout)))
}
