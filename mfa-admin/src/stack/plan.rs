//! What would be changed for a service, and what somebody should know before.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use mfa_core::config::{Config, Lists};
use mfa_core::overview;
use mfa_core::paths::Root;
use mfa_core::store::Store;
use pam_stack::Stack;

use super::edit::{Edit, Planned};
use super::group;
use super::place;
use super::sshd::Now;
use crate::doctor::{self, services};
use crate::time;

/// Programs that show one prompt for a whole login, and do not know a second.
const ONE_PROMPT: [&str; 12] = [
    "dovecot",
    "ftp",
    "imap",
    "lightdm",
    "lxdm",
    "proftpd",
    "sddm",
    "smtp",
    "vsftpd",
    "xdm",
    "pop3",
    "xrdp-sesman",
];

/// What would be changed.
pub struct Plan {
    /// In the order in which it is made.
    pub edits: Vec<Planned>,
    /// What somebody should know before.
    pub notes: Vec<String>,
    /// Services by which a login shows that it works.
    pub proofs: Vec<String>,
}

/// For a service, or for the members of a group alone. Changes nothing.
///
/// # Errors
/// It cannot be done, or nobody would get in by it.
pub fn make(root: &Root, service: &str, group: Option<&str>) -> Result<Plan> {
    let path = PathBuf::from("/etc/pam.d").join(service);
    let old = read_service(&path, service)?;
    check_not_there(root, service)?;
    check_ready(root)?;
    let others = others_concerned(root, service, &path)?;
    let sshd = match service {
        "sshd" => Some(Now::ask()?),
        _ => None,
    };
    let keys = sshd.as_ref().is_some_and(Now::takes_keys);
    let placed = place::place(root, service, &others, &path, &old, keys)?;
    let policy = group.map(|group| group::plan(root, group)).transpose()?;
    let drop_in = sshd.as_ref().map(|now| now.drop_in(root)).transpose()?;
    let whom = match group {
        None => who_is_asked(root, service, keys)?,
        Some(_) => Vec::new(),
    };
    let told = [
        same_door(root, service, &others),
        one_prompt(&others, service),
        placed.caution.into_iter().collect(),
        whom,
        sshd.iter().flat_map(Now::notes).collect(),
    ];
    let also = (!others.is_empty())
        .then(|| format!("{} is also read by: {}.", path.display(), others.join(", ")));
    let stack = Planned {
        edit: Edit {
            path,
            put_in: placed.put_in,
            made: false,
        },
        old,
        new: placed.text,
    };
    Ok(Plan {
        notes: also.into_iter().chain(told.into_iter().flatten()).collect(),
        // The policy first, so that nobody else is asked for an instant.
        edits: policy
            .into_iter()
            .flatten()
            .chain([stack])
            .chain(drop_in)
            .collect(),
        proofs: [vec![service.to_owned()], others].concat(),
    })
}

fn read_service(path: &Path, service: &str) -> Result<String> {
    let seen = fs::symlink_metadata(path);
    if let Ok(seen) = &seen {
        ensure!(
            seen.is_file(),
            "{} is a link or no file: what made it has to change it",
            path.display()
        );
    }
    let vendor = Path::new("/usr/lib/pam.d").join(service);
    if seen.is_err() && vendor.exists() {
        bail!(
            "{} is not for changes. Copy it first: cp {0} {}",
            vendor.display(),
            path.display()
        );
    }
    ensure!(
        seen.is_ok(),
        "there is no PAM service {service} to change: {} is not there",
        path.display()
    );
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// That the service does not ask yet.
pub fn check_not_there(root: &Root, service: &str) -> Result<()> {
    let stack = Stack::read(&root.below(""), service)
        .with_context(|| format!("the PAM stack of {service} cannot be read"))?;
    match stack
        .entries
        .iter()
        .find(|entry| doctor::stack::is_ours(entry))
    {
        None => Ok(()),
        Some(entry) => bail!(
            "pam_mfa.so is in the stack of {service} already ({}:{}). See: mfa-admin doctor {service}",
            entry.file.display(),
            entry.line
        ),
    }
}

/// A module that is missing, or a policy that is not understood, would refuse every login.
fn check_ready(root: &Root) -> Result<()> {
    let module = BTreeSet::from([doctor::stack::OURS.to_owned()]);
    let faults = doctor::foundations(root, &module, Vec::new());
    if let Some(fault) = faults
        .iter()
        .find(|finding| finding.grave == doctor::Grave::Fault)
    {
        bail!(
            "nobody would get in: {}: {}. {}",
            fault.about,
            fault.what,
            fault.mend
        );
    }
    let store =
        Store::open(root).context("nobody is enrolled. Enroll first: mfa-admin enroll USER")?;
    let enrolled = overview::all(&store, 0, time::now())?;
    ensure!(
        !enrolled.is_empty(),
        "nobody is enrolled, so nobody would get in. Enroll first: mfa-admin enroll USER"
    );
    Ok(())
}

/// Other services that take in the file.
fn others_concerned(root: &Root, service: &str, file: &Path) -> Result<Vec<String>> {
    let file = file.canonicalize()?;
    let takes_in = |name: &String| {
        let stack = Stack::read(&root.below(""), name);
        let is_it = |taken: &PathBuf| taken.canonicalize().is_ok_and(|taken| taken == file);
        *name != service && stack.is_ok_and(|stack| stack.files.iter().any(is_it))
    };
    let others: Vec<String> = services::all(root).into_iter().filter(takes_in).collect();
    let concerned = || others.iter().map(String::as_str).chain([service]);
    if let Some(locker) = concerned().find(|name| doctor::lockers::is_locker(name)) {
        let mend = match locker == service {
            true => "Leave it to the password alone".to_owned(),
            false => format!(
                "Give {locker} a file of its own first: echo 'auth include common-auth' > \
                 /etc/pam.d/{locker}; see \"Screen lockers\" in pam.md"
            ),
        };
        bail!(
            "{locker} reads {} and runs without root: it could not check a code, and the screen would \
             stay locked. {mend}",
            file.display()
        );
    }
    others
        .iter()
        .try_for_each(|other| check_not_there(root, other))?;
    Ok(others)
}

/// `sudo -i` is a service of its own, and so is `su -`.
fn same_door(root: &Root, service: &str, others: &[String]) -> Vec<String> {
    let other = doctor::pairs::other(root, service);
    let open = other.filter(|other| {
        !others.iter().any(|name| name == other) && !doctor::service(root, other).asks
    });
    let told = open.map(|other| {
        format!(
            "{other} is the same door under another name, and asks for no code yet.\n\
             Enable it, too: mfa-admin stack enable {other}"
        )
    });
    told.into_iter().collect()
}

fn one_prompt(others: &[String], service: &str) -> Vec<String> {
    let concerned = others.iter().map(String::as_str).chain([service]);
    let one = concerned.filter(|name| ONE_PROMPT.contains(name));
    one.map(|name| {
        format!(
            "{name} shows one prompt, and has no room for a code after the password.\n\
             See forward_pass in pam_mfa(8)."
        )
    })
    .collect()
}

/// Who is refused, for he is not enrolled; and whether the policy leaves somebody out.
fn who_is_asked(root: &Root, service: &str, keys: bool) -> Result<Vec<String>> {
    let config = Config::load(root).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    let mut notes = Vec::new();
    if let Some(refused) = doctor::accounts::refused(root, service, keys) {
        notes.push(format!(
            "not enrolled, and refused from then on: {refused}.\nEnroll them first: mfa-admin enroll USER"
        ));
    }
    if config.require != Lists::default() {
        notes.push(
            "the policy has [require]: only whom it names is asked. See: mfa-admin config check"
                .to_owned(),
        );
    }
    Ok(notes)
}
