//! What was changed for a service, kept in `/etc/pam_mfa/stack/SERVICE` beside the old files. In /etc,
//! for it has to be there where `/var` is not, and so that a rename leads back.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result};
use mfa_core::fault::Fault;
use mfa_core::file::{Dir, Privacy};
use mfa_core::lock::{self, ADMIN_PATIENCE, Lock};
use mfa_core::paths::Root;
use mfa_core::proof::{self, is_service};
use serde::{Deserialize, Serialize};

use super::edit::{self, Edit};

const FILE: &str = "record.json";

/// A change of the stack of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Tells it from an earlier one of the same service.
    pub id: u64,
    /// The PAM service.
    pub service: String,
    /// For how long it waits to be confirmed (seconds).
    pub within: u64,
    /// When it is put back unless it is confirmed (seconds since 1970); to be shown only.
    pub until: i64,
    /// Whether it stays.
    pub confirmed: bool,
    /// Services by which a login shows that it works: this one, and those that take in its file.
    pub proofs: Vec<String>,
    /// In the order in which they are made.
    pub edits: Vec<Edit>,
}

/// Taken while files are changed.
///
/// # Errors
/// `Busy` names the process that holds it.
pub fn lock(root: &Root) -> Result<Lock, Fault> {
    lock::lock(&place(root)?, ADMIN_PATIENCE)
}

/// The same, and ends whoever holds it: one of us that was stopped must not hold up the way back.
pub fn lock_by_force(root: &Root) -> Result<Lock, Fault> {
    lock::lock_by_force(&place(root)?, ADMIN_PATIENCE, STUCK)
}

/// After how many tenths of a second one of us is stuck: to wait for who puts it back and to ask sshd about
/// everybody takes less.
const STUCK: u32 = 200;

fn place(root: &Root) -> Result<Dir, Fault> {
    Dir::make_path(&root.etc(), Privacy::Readable)?;
    Dir::make_path(&parent(root), Privacy::Private)
}

fn parent(root: &Root) -> PathBuf {
    root.etc().join("stack")
}

impl Record {
    /// The directory of a service's record and old files.
    pub fn dir(root: &Root, service: &str) -> PathBuf {
        parent(root).join(service)
    }

    /// The one of a service, if there is one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn load(root: &Root, service: &str) -> Result<Option<Record>> {
        let path = Record::dir(root, service).join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let record = serde_json::from_str(&text);
        let mend = || format!("{} is not what was written there", path.display());
        record.map(Some).with_context(mend)
    }

    /// Of every service, by name.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn all(root: &Root) -> Result<Vec<Record>> {
        let names = fs::read_dir(parent(root)).into_iter().flatten();
        let mut names: Vec<String> = names
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| is_service(name))
            .collect();
        names.sort();
        let records = names.iter().map(|name| Record::load(root, name));
        Ok(records
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    /// Writes it, over an older one.
    ///
    /// # Errors
    /// The directory cannot be made, or the file not written.
    pub fn save(&self, root: &Root) -> Result<()> {
        let dir = Dir::make_path(&Record::dir(root, &self.service), Privacy::Private)?;
        let text = serde_json::to_string_pretty(self)?;
        edit::replace(&dir.path().join(FILE), &text)
    }

    /// Puts every file back, the last one first; what another change needs, too, stays.
    ///
    /// # Errors
    /// As for [`Edit::put_back`]; of several the first, and all others are put back.
    pub fn put_back(&self, root: &Root, at_any_price: bool) -> Result<()> {
        let dir = Record::dir(root, &self.service);
        let others = Record::all(root).unwrap_or_default().into_iter();
        let others: Vec<Edit> = others
            .filter(|other| other.service != self.service)
            .flat_map(|other| other.edits)
            .collect();
        let done: Vec<Result<()>> = self
            .edits
            .iter()
            .rev()
            .map(
                |edit| match others.iter().any(|other| other.is_same(edit)) {
                    true => edit.let_go(&dir),
                    false => edit.put_back(&dir, at_any_price),
                },
            )
            .collect();
        done.into_iter().collect()
    }

    /// Nobody waits for a login any more.
    pub fn forget_proofs(&self, root: &Root) {
        let proofs = self.proofs.iter();
        proofs.for_each(|service| proof::forget(root, service));
    }

    /// Forgets the change.
    ///
    /// # Errors
    /// The record cannot be removed.
    pub fn forget(&self, root: &Root) -> Result<()> {
        let dir = Record::dir(root, &self.service);
        edit::remove(&dir.join(FILE))?;
        // What others changed may be kept in it.
        let _ = fs::remove_dir(&dir);
        Ok(())
    }
}
