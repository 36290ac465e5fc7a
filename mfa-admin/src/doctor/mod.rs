//! What stands in the way of a second factor that is really asked for, and lets the right people in.
//!
//! Reads everything, changes nothing. One file a subject; each returns [`Finding`]s.

pub mod accounts;
mod clock;
mod config;
mod denials;
mod disk;
mod line_ends;
pub mod lockers;
mod login_defs;
mod module;
mod our_line;
mod owners;
pub mod pairs;
mod passwords;
mod program;
mod says;
pub mod services;
pub mod sshd;
pub mod stack;
mod store;
mod version_control;

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use mfa_core::paths::Root;
use serde::Serialize;

use our_line::Ours;

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
        // No full stop behind it: it may be a command.
        write!(f, "{grave}: {about}: {what}.\n    {mend}")
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
    /// What its lines of ours say.
    #[serde(skip)]
    ours: Ours,
    /// The files of its stack, if our line stands in one.
    #[serde(skip)]
    files: Vec<PathBuf>,
    /// Who gets in with less than two factors, unless something before PAM asks for one.
    #[serde(skip)]
    unproved: Option<&'static str>,
}

impl Service {
    /// The service whose policy holds.
    fn policy(&self) -> &str {
        self.ours.policy.as_deref().unwrap_or(&self.name)
    }
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
    let mut services: Vec<Service> = names
        .iter()
        .map(|name| stack::examine(root, name, service.is_some(), &mut findings))
        .collect();
    if services.iter().any(|service| service.line.is_some()) {
        let modules: BTreeSet<String> = services
            .iter()
            .flat_map(|service| service.ours.modules.clone())
            .collect();
        let stacks = services.iter().flat_map(|service| &service.files);
        let stacks = stacks.map(|file| shown_path(root, &file.to_string_lossy()));
        findings.extend(foundations(root, &modules, stacks.collect()));
        findings.extend(disk::examine(root));
        findings.extend(version_control::examine(root));
        findings.extend(accounts::sharing(root));
        findings.extend(clock::examine(root));
        findings.extend(denials::examine(root));
    }
    findings.extend(pairs::examine(root, &services));
    for service in services.iter().filter(|service| service.asks) {
        findings.extend(config::leaves_out(root, service));
        findings.extend(accounts::examine(root, service));
        findings.extend(passwords::examine(root, service));
        findings.extend(login_defs::examine(root, &service.name));
    }
    let asks_at_sshd = services
        .iter_mut()
        .find(|service| service.name == "sshd" && service.line.is_some());
    if let Some(service) = asks_at_sshd
        && is_here(root)
    {
        findings.extend(sshd::examine(root, service));
    }
    // A file of several services is told once.
    let mut told = HashSet::new();
    findings.retain(|finding| told.insert((finding.about.clone(), finding.what.clone())));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.grave));
    Report { services, findings }
}

/// Looks at the stack of one service alone, which is quick.
pub fn service(root: &Root, name: &str) -> Service {
    stack::examine(root, name, false, &mut Vec::new())
}

/// What every login stands on, whatever its service: the module as the lines name it, the policy, the
/// key and the records, and who else can write them or the stacks.
pub fn foundations(root: &Root, modules: &BTreeSet<String>, stacks: Vec<PathBuf>) -> Vec<Finding> {
    let mut files = module::files(root, modules);
    files.extend(stacks);
    let parts = [
        owners::examine(root, &files),
        module::examine(root, modules),
        config::examine(root),
        store::examine(root),
    ];
    parts.into_iter().flatten().collect()
}

/// Whether it is this machine that is looked at: its programs can be asked then.
fn is_here(root: &Root) -> bool {
    root.below("") == Path::new("/")
}

/// The path that a message names: below the root, where there is another.
fn shown_path(root: &Root, absolute: &str) -> PathBuf {
    root.below(absolute.trim_start_matches('/'))
}
