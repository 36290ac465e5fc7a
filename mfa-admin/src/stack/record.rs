//! What was changed for a service, kept in `/etc/pam_mfa/stack/SERVICE` beside the old files. In /etc,
//! for it has to be there where `/var` is not, and so that a rename leads back.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result};
use mfa_core::file::{Dir, Privacy};
use mfa_core::paths::Root;
use mfa_core::proof::is_service;
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
    /// In the order in which they are made.
    pub edits: Vec<Edit>,
}

/// Held while files are changed.
pub struct Lock {
    _dir: File,
}

/// Waits until no other `mfa-admin stack` changes anything.
pub fn lock(root: &Root) -> Result<Lock> {
    Dir::make_path(&root.etc(), Privacy::Readable)?;
    let dir = Dir::make_path(&parent(root), Privacy::Private)?.handle()?;
    dir.lock().context("cannot lock the directory of changes")?;
    Ok(Lock { _dir: dir })
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

    /// Puts every file back, the last one first.
    ///
    /// # Errors
    /// As for [`Edit::put_back`].
    pub fn put_back(&self, root: &Root, at_any_price: bool) -> Result<()> {
        let dir = Record::dir(root, &self.service);
        let mut edits = self.edits.iter().rev();
        edits.try_for_each(|edit| edit.put_back(&dir, at_any_price))
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
