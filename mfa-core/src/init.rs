//! Making key and store, and opening them.
//!
//! The store carries a mark, signed under the key, so that an empty directory where a file system
//! should be mounted can never look like "nobody is enrolled". The mark is made only in the run
//! that makes the key, and before it: a key without a mark is an error from then on.

use nix::errno::Errno;

use crate::config::open_etc;
use crate::fault::{Fault, Ours, absent_as_none};
use crate::file::{Dir, Privacy};
use crate::key::{self, Key};
use crate::lock::ADMIN_PATIENCE;
use crate::paths::Root;
use crate::random;
use crate::record::{self, Record};
use crate::store::{self, USERS};

/// The name of the mark in the directory of the records.
pub const MARK: &str = ".store";

const MARK_CAP: usize = 512;

/// What `init` found or made.
#[derive(Debug, PartialEq, Eq)]
pub enum Made {
    /// Key and store were there already.
    Nothing,
    /// A new key and an empty store.
    KeyAndStore,
    /// An empty store under the key that was there.
    Store,
}

/// Makes key and store where there are none. Safe to repeat.
///
/// # Errors
/// `NoStore` if there is a key without a store and `new_store` is not set; `KeyLost` if there are
/// records without a key.
pub fn init(root: &Root, new_store: bool) -> Result<Made, Fault> {
    match open_key(root) {
        Ok(key) => init_store(root, &key, new_store),
        Err(Fault::NoKey { .. }) => make_key_and_store(root),
        Err(fault) => Err(fault),
    }
}

fn init_store(root: &Root, key: &Key, new_store: bool) -> Result<Made, Fault> {
    match open_store(root).and_then(|(_, users)| check_mark(&users, key)) {
        Ok(()) => Ok(Made::Nothing),
        Err(Fault::NoStore { .. }) if new_store => {
            check_records(root, key)?;
            write_mark(root, key)?;
            Ok(Made::Store)
        }
        Err(fault) => Err(fault),
    }
}

fn make_key_and_store(root: &Root) -> Result<Made, Fault> {
    refuse_if_records(root)?;
    let users = store::make_dirs(root)?.dir(USERS)?;
    // One `init` at a time: the mark must be signed under the key that stays.
    let _lock = crate::lock::lock(&users, ADMIN_PATIENCE)?;
    match open_key(root) {
        Ok(key) => return init_store(root, &key, false),
        Err(Fault::NoKey { .. }) => {}
        Err(fault) => return Err(fault),
    }
    let key = Key::generate()?;
    write_mark(root, &key)?;
    let etc = Dir::make_path(&root.etc(), Privacy::Readable)?;
    let new = format!(".{}", key::FILE);
    etc.unlink(&new)?;
    etc.write_new(&new, key.encode().as_bytes())?;
    etc.rename(&new, key::FILE, false)?;
    etc.sync()?;
    Ok(Made::KeyAndStore)
}

fn write_mark(root: &Root, key: &Key) -> Result<(), Fault> {
    let users = store::make_dirs(root)?.dir(USERS)?;
    let id = data_encoding::HEXLOWER.encode(&random::bytes::<16>()?);
    let text = key.sign(format!(
        "version = 1\nkey = \"{}\"\nid = \"{id}\"\n",
        key.id()
    ));
    let new = format!("{MARK}.new");
    users.unlink(&new)?;
    users.write_new(&new, text.as_bytes())?;
    users.rename(&new, MARK, true)?;
    users.sync()
}

/// Nothing may be made over records whose key is gone.
fn refuse_if_records(root: &Root) -> Result<(), Fault> {
    match users_with_records(root)? {
        Some((users, _)) => Err(Fault::KeyLost {
            key: root.etc().join(key::FILE),
            records: users.path().to_path_buf(),
        }),
        None => Ok(()),
    }
}

/// Records that are there already must belong to the key.
fn check_records(root: &Root, key: &Key) -> Result<(), Fault> {
    let Some((users, names)) = users_with_records(root)? else {
        return Ok(());
    };
    names.iter().try_for_each(|name| {
        let text = users.read(name, record::CAP)?;
        Record::decode(&text, key, &users.path().join(name)).map(drop)
    })
}

/// The directory of the records and their names, if there are any.
fn users_with_records(root: &Root) -> Result<Option<(Dir, Vec<String>)>, Fault> {
    let Some(data) = absent_as_none(Dir::open(&root.data(), Privacy::Private))? else {
        return Ok(None);
    };
    let Some(users) = absent_as_none(data.dir(USERS))? else {
        return Ok(None);
    };
    let mut names = users.names()?;
    names.retain(|name| name.ends_with(".toml") && !name.starts_with('.'));
    Ok((!names.is_empty()).then_some((users, names)))
}

/// Opens the key of the machine.
pub(crate) fn open_key(root: &Root) -> Result<Key, Fault> {
    open_key_in(root, open_etc(root)?.as_ref())
}

/// The same in the directory of the configuration, already opened, if there is one.
pub(crate) fn open_key_in(root: &Root, etc: Option<&Dir>) -> Result<Key, Fault> {
    match etc {
        Some(etc) => Key::load(root, etc),
        None => Err(Fault::NoKey {
            path: root.etc().join(key::FILE),
        }),
    }
}

/// Opens the directory of the store and that of the records. Whether they are those of the key is told by
/// a record, or by the mark.
pub(crate) fn open_store(root: &Root) -> Result<(Dir, Dir), Fault> {
    let path = root.data().join(USERS).join(MARK);
    let open = || {
        let data = Dir::open(&root.data(), Privacy::Private)?;
        let users = data.dir(USERS)?;
        Ok((data, users))
    };
    // A mount point that nothing is mounted on is often open to everybody.
    let absent =
        |fault: &Fault| fault.is_absence() || nix::sys::stat::lstat(&path) == Err(Errno::ENOENT);
    match open() {
        Err(fault) if absent(&fault) => Err(Fault::NoStore { path }),
        opened => opened,
    }
}

/// Whether the mark in the directory of the records vouches for it.
pub(crate) fn check_mark(users: &Dir, key: &Key) -> Result<(), Fault> {
    let path = users.path().join(MARK);
    let Some(mark) = absent_as_none(users.read(MARK, MARK_CAP))? else {
        return Err(Fault::NoStore { path });
    };
    match key.verify(&mark) {
        Some(_) => Ok(()),
        None => Err(why_unverified(&mark, key, path)),
    }
}

/// Nothing here is believed: it only chooses between words for the log.
fn why_unverified(mark: &[u8], key: &Key, path: std::path::PathBuf) -> Fault {
    let (text, ours) = (String::from_utf8_lossy(mark), Ours::Mark);
    let mut ids = text
        .lines()
        .filter_map(|line| line.strip_prefix("key = \"")?.strip_suffix('"'));
    match ids.any(|id| id != key.id()) {
        true => Fault::OtherKey { path, ours },
        false => Fault::Damaged {
            path,
            what: "is damaged or was altered (its MAC does not fit)",
            ours,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use std::fs;

    fn root() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        for path in ["etc", "var/lib"] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        let root = Root::new(dir.path()).unwrap();
        (dir, root)
    }

    #[test]
    fn init_is_safe_to_repeat_and_never_replaces_the_key() {
        let (dir, root) = root();
        assert_eq!(init(&root, false).unwrap(), Made::KeyAndStore);
        let key = fs::read(dir.path().join("etc/pam_mfa/key")).unwrap();
        assert_eq!(init(&root, false).unwrap(), Made::Nothing);
        assert_eq!(init(&root, true).unwrap(), Made::Nothing);
        assert_eq!(fs::read(dir.path().join("etc/pam_mfa/key")).unwrap(), key);
        assert!(Store::open(&root).is_ok());
    }

    #[test]
    fn an_unmounted_var_never_looks_like_an_empty_store() {
        let (dir, root) = root();
        init(&root, false).unwrap();
        fs::rename(dir.path().join("var/lib/pam_mfa"), dir.path().join("away")).unwrap();
        assert!(matches!(Store::open(&root), Err(Fault::NoStore { .. })));
        assert!(matches!(init(&root, false), Err(Fault::NoStore { .. })));
        assert!(!dir.path().join("var/lib/pam_mfa").exists());
        assert_eq!(init(&root, true).unwrap(), Made::Store);
    }

    #[test]
    fn a_store_whose_mark_is_lost_keeps_its_records() {
        let (dir, root) = root();
        init(&root, false).unwrap();
        let key = open_key(&root).unwrap();
        let users = dir.path().join("var/lib/pam_mfa/users");
        let text = crate::record::tests::record().0.encode(&key).unwrap();
        let users_dir = Dir::open(&users, Privacy::Private).unwrap();
        users_dir.write_new("1000.toml", text.as_bytes()).unwrap();
        fs::remove_file(users.join(MARK)).unwrap();
        assert_eq!(init(&root, true).unwrap(), Made::Store);
        assert!(Store::open(&root).unwrap().record(1000).unwrap().is_some());
        fs::write(users.join("1000.toml"), "junk").unwrap();
        fs::remove_file(users.join(MARK)).unwrap();
        assert!(matches!(init(&root, true), Err(Fault::Damaged { .. })));
    }

    #[test]
    fn without_a_state_directory_the_store_still_opens() {
        let (dir, root) = root();
        init(&root, false).unwrap();
        fs::remove_dir(dir.path().join("var/lib/pam_mfa/state")).unwrap();
        assert!(Store::open(&root).is_ok());
    }

    #[test]
    fn no_key_is_made_over_records() {
        let (dir, root) = root();
        init(&root, false).unwrap();
        fs::write(dir.path().join("var/lib/pam_mfa/users/1000.toml"), "").unwrap();
        fs::remove_file(dir.path().join("etc/pam_mfa/key")).unwrap();
        assert!(matches!(init(&root, false), Err(Fault::KeyLost { .. })));
        assert!(!dir.path().join("etc/pam_mfa/key").exists());
    }

    #[test]
    fn a_store_under_another_key_is_refused() {
        let (dir, root) = root();
        init(&root, false).unwrap();
        let other = Key::generate().unwrap();
        fs::write(
            dir.path().join("etc/pam_mfa/key"),
            other.encode().as_bytes(),
        )
        .unwrap();
        assert!(matches!(Store::open(&root), Err(Fault::OtherKey { .. })));
    }

    #[test]
    fn an_init_that_was_killed_before_the_key_is_finished_by_the_next() {
        let (dir, root) = root();
        init(&root, false).unwrap();
        fs::remove_file(dir.path().join("etc/pam_mfa/key")).unwrap();
        assert_eq!(init(&root, false).unwrap(), Made::KeyAndStore);
        assert!(Store::open(&root).is_ok());
    }
}
