//! What stands in the way of a second factor that is really asked for, and lets the right people in.
//!
//! Reads everything, changes nothing. One file a subject; each returns [`Finding`]s.

mod accounts;
mod blocks;
mod config;
mod login_defs;
mod module;
mod owners;
pub mod services;
pub mod sshd;
pub mod stack;
mod store;

use std::fmt;
use std::path::{Path, PathBuf};

use mfa_core::paths::Root;
use serde::Serialize;

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grave {
    /// It may be meant.
    Warning,
    /// Somebody gets in who must not, or somebody is kept out.
    Fault,
}

/// Something to be looked at.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How grave it is.
    pub grave: Grave,
    /// The service or the file that it is about.
    pub about: String,
    /// What is so.
    pub what: String,
    /// What to do about it.
    pub mend: String,
}

impl Finding {
    fn fault(about: &str, what: impl Into<String>, mend: impl Into<String>) -> Finding {
        Finding {
            grave: Grave::Fault,
            about: about.to_owned(),
            what: what.into(),
            mend: mend.into(),
        }
    }

    fn warning(about: &str, what: impl Into<String>, mend: impl Into<String>) -> Finding {
        Finding {
            grave: Grave::Warning,
            ..Finding::fault(about, what, mend)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grave = match self.grave {
            Grave::Fault => "FAULT",
            Grave::Warning => "warning",
        };
        let Finding {
            about, what, mend, ..
        } = self;
        write!(f, "{grave}: {about}: {what}.\n    {mend}.")
    }
}

/// Whether a service asks for the second factor.
#[derive(Debug, Serialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Whether nobody gets in at it without a code, but whom the policy does not want asked.
    pub asks: bool,
    /// Where our line stands, if there is one.
    pub line: Option<String>,
    /// Whether it takes password and code in one answer.
    #[serde(skip)]
    combined: bool,
}

/// Everything that was looked at.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The services, in the order of their names.
    pub services: Vec<Service>,
    /// The faults first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The gravest, if there is anything.
    pub fn worst(&self) -> Option<Grave> {
        self.findings.iter().map(|finding| finding.grave).max()
    }
}

/// Looks at one service, or at all that matter.
pub fn examine(root: &Root, service: Option<&str>) -> Report {
    let mut findings = Vec::new();
    let names = match service {
        Some(name) => vec![name.to_owned()],
        None => services::that_matter(root),
    };
    let services: Vec<Service> = names
        .iter()
        .map(|name| stack::examine(root, name, service.is_some(), &mut findings))
        .collect();
    if services.iter().any(|service| service.line.is_some()) {
        findings.extend(foundations(root));
    }
    let asks_at_sshd = services
        .iter()
        .find(|service| service.name == "sshd" && service.line.is_some());
    // The sshd that runs here is that of this machine.
    if let Some(service) = asks_at_sshd
        && root.below("") == Path::new("/")
    {
        findings.extend(sshd::examine(root, service.combined));
    }
    for service in services.iter().filter(|service| service.asks) {
        findings.extend(config::leaves_out(root, &service.name));
        findings.extend(accounts::examine(root, &service.name));
        findings.extend(login_defs::examine(root, &service.name));
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.grave));
    Report { services, findings }
}

/// What every login stands on, whatever its service.
pub fn foundations(root: &Root) -> Vec<Finding> {
    let parts = [
        owners::examine(root),
        module::examine(root),
        config::examine(root),
        store::examine(root),
    ];
    parts.into_iter().flatten().collect()
}

/// The path that a message names: below the root, where there is another.
fn shown_path(root: &Root, absolute: &str) -> PathBuf {
    root.below(absolute.trim_start_matches('/'))
}
