//! The store: who is enrolled, and with what.
//!
//! A login reads it; only admin commands write it. Every write makes a new record id with its own
//! state block, complete and synced before the record is renamed into place: at every instant
//! there is one record, and it has its state.

use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::block::State;
use crate::config::open_etc;
use crate::fault::{Fault, absent_as_none};
use crate::file::{Dir, Kept, Privacy};
use crate::init;
use crate::key::Key;
use crate::lock::{ADMIN_PATIENCE, Lock};
use crate::paths::Root;
use crate::record::{self, Record, RecordId};
use crate::state::StateDir;
use crate::traces::without_traces;
use crate::user;

/// The directory of the records.
pub const USERS: &str = "users";
/// The directory of the state.
pub const STATE: &str = "state";

/// The open store.
pub struct Store {
    root: Root,
    key: Key,
    users: Dir,
    states: Dir,
    force: bool,
}

/// What an admin command makes of a record.
pub struct Change {
    /// The record as it is to be.
    pub record: Record,
    /// Its state.
    pub state: State,
}

/// What was removed of a user.
#[derive(Debug)]
pub enum Removed {
    /// There was nothing.
    Nothing,
    /// Record and state.
    All,
    /// The record: he is not enrolled any more, but something after that went wrong.
    Record(Fault),
}

impl Store {
    /// Opens key and store.
    ///
    /// # Errors
    /// `NoKey`, `NoStore` if one of them is not there; anything that is wrong with them.
    pub fn open(root: &Root) -> Result<Store, Fault> {
        let store = Store::open_with(root, open_etc(root)?.as_ref())?;
        store.check_mark()?;
        Ok(store)
    }

    /// The same from the directory of configuration and key, already opened, if there is one; and the
    /// mark of the store is not looked at before it matters.
    pub fn open_with(root: &Root, etc: Option<&Dir>) -> Result<Store, Fault> {
        let key = without_traces(|| init::open_key_in(root, etc))?;
        let (data, users) = init::open_store(root)?;
        let states = match absent_as_none(data.dir(STATE))? {
            Some(states) => states,
            // A backup of ours leaves the state out: what was used is not known then, but it is no
            // reason to lock everybody out.
            None => {
                without_traces(|| init::check_mark(&users, &key))?;
                data.make(STATE)?
            }
        };
        Ok(Store {
            root: root.clone(),
            users,
            states,
            key,
            force: false,
        })
    }

    /// What is written from now on ends the process that holds a user's lock, if `force` is set and it does not
    /// let go within five seconds.
    pub fn by_force(self, force: bool) -> Store {
        Store { force, ..self }
    }

    /// Whether the mark of the store vouches for it.
    ///
    /// # Errors
    /// `NoStore` if there is none; whatever is wrong with it.
    pub fn check_mark(&self) -> Result<(), Fault> {
        without_traces(|| init::check_mark(&self.users, &self.key))
    }

    /// The record of a user. `None` means "not enrolled", and nothing else does.
    ///
    /// # Errors
    /// `LostRecord` if there is state of him, but no record; `NoStore` if there is neither a record nor
    /// the mark of the store; whatever is wrong with the record.
    pub fn record(&self, uid: u32) -> Result<Option<Record>, Fault> {
        Ok(self.kept_record(uid)?.map(|(record, _)| record))
    }

    /// The same, with its file.
    pub fn kept_record(&self, uid: u32) -> Result<Option<(Record, Kept)>, Fault> {
        let Some((text, kept)) = self.text_of(uid)? else {
            return Ok(None);
        };
        let path = self.path_of(uid);
        let record = without_traces(|| Record::decode(&text, &self.key, &path));
        // If the mark does not fit the key either, that is what there is to say.
        let record = record.map_err(|fault| self.check_mark().err().unwrap_or(fault))?;
        match record.uid == uid {
            true => Ok(Some((record, kept))),
            false => Err(Fault::damaged(&path, "is the record of another user id")),
        }
    }

    /// Whether a record is still the one that was read from the file that was kept open since. Its path is
    /// what tells: the directory may have been replaced by another one.
    pub fn is_current(&self, record: &Record, kept: &Kept) -> Result<bool, Fault> {
        let uid = record.uid;
        if kept.is_unchanged(&self.path_of(uid)) {
            return Ok(true);
        }
        let present = match self.users.is_current() {
            true => self.record(uid)?,
            false => None,
        };
        Ok(present.is_some_and(|present| present.id == record.id))
    }

    /// The name in the record must still lead to the uid in it: uids are given away again.
    ///
    /// # Errors
    /// `OtherUser` if it does not; an error of the name service.
    pub fn check_owner(&self, record: &Record) -> Result<(), Fault> {
        match user::uid_of(&record.user)? {
            Some(uid) if uid == record.uid => Ok(()),
            _ => Err(Fault::OtherUser {
                path: self.path_of(record.uid),
                user: record.user.clone(),
                uid: record.uid,
            }),
        }
    }

    /// A record that is missing beside a block of his was lost. It is looked for once more, for record, block
    /// and mark may have come since our first look.
    fn text_of(&self, uid: u32) -> Result<Option<(Vec<u8>, Kept)>, Fault> {
        let name = file_name(uid);
        let read = || {
            let kept = absent_as_none(self.users.keep(&name, OFlag::O_RDONLY))?;
            kept.map(|kept| Ok((self.users.read_kept(&name, &kept, record::CAP)?, kept)))
                .transpose()
        };
        if let Some(text) = read()? {
            return Ok(Some(text));
        }
        self.check_mark()?;
        let was_there = match self.state_dir(uid)? {
            Some(state) => state.had_record()?,
            None => false,
        };
        match read()? {
            None if was_there => Err(Fault::LostRecord {
                path: self.path_of(uid),
                uid,
            }),
            text => Ok(text),
        }
    }

    /// Where the record of a user lies.
    pub fn path_of(&self, uid: u32) -> PathBuf {
        self.users.path().join(file_name(uid))
    }

    /// The state directory of a user, if he has one. By its path, for what lies above it may have been replaced.
    pub fn state_dir(&self, uid: u32) -> Result<Option<StateDir>, Fault> {
        let dir = absent_as_none(Dir::open(&self.state_path(uid), Privacy::Private))?;
        Ok(dir.map(|dir| StateDir::new(dir, &self.root, uid)))
    }

    /// The same, made if it is not there.
    pub fn state_dir_or_new(&self, uid: u32) -> Result<StateDir, Fault> {
        if let Some(dir) = self.state_dir(uid)? {
            return Ok(dir);
        }
        let dir = self.states.make(&uid.to_string())?;
        self.states.sync()?;
        Ok(StateDir::new(dir, &self.root, uid))
    }

    /// What the user's logins did. `None` if no valid state is to be found.
    pub fn state_of(&self, record: &Record) -> Result<Option<State>, Fault> {
        match self.state_dir(record.uid)? {
            Some(dir) => Ok(dir.read_whole(&record.id)?.map(|reading| reading.state)),
            None => Ok(None),
        }
    }

    /// Where the state of a user lies.
    pub fn state_path(&self, uid: u32) -> PathBuf {
        self.states.path().join(uid.to_string())
    }

    /// The user ids that have a record, in order.
    pub fn uids(&self) -> Result<Vec<u32>, Fault> {
        let mut uids: Vec<u32> = self
            .users
            .names()?
            .iter()
            .filter_map(|name| uid_in(name))
            .collect();
        uids.sort_unstable();
        Ok(uids)
    }

    /// The user ids that have state, in no order. A record that was lost leaves its state behind.
    pub fn uids_with_state(&self) -> Result<Vec<u32>, Fault> {
        let names = self.states.names()?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Replaces the record of a user under his lock by what `change` makes of the present one and
    /// of its state (`None` where no state can be read). Counting failures begins anew.
    ///
    /// What it returns is a warning: the new record counts, but something after it went wrong.
    ///
    /// # Errors
    /// Those of `change`; `Busy` if the lock was not to be had for five seconds. Everything is as it
    /// was then.
    pub fn write<E: From<Fault>>(
        &self,
        uid: u32,
        change: impl FnOnce(Option<Record>, Option<State>) -> Result<Change, E>,
    ) -> Result<Option<Fault>, E> {
        let (state, lock) = self.lock_for_write(uid)?;
        let present = self.present(uid)?;
        let id = present.as_ref().map(|record| record.id);
        let readable = match &id {
            Some(id) => state.read_whole(id)?.map(|reading| reading.state),
            None => None,
        };
        let done = change(present, readable)
            .and_then(|change| Ok(self.put(&state, &lock, change, id.as_ref())?));
        if done.is_err() && id.is_none() {
            // State is kept for enrolled users only. A block that is in it already stays.
            let _ = self.states.remove_dir(&uid.to_string());
        }
        done
    }

    /// Like [`Store::record`], but a lost record counts as none: a new one is the repair.
    pub(crate) fn present(&self, uid: u32) -> Result<Option<Record>, Fault> {
        match self.record(uid) {
            Err(Fault::LostRecord { .. }) => Ok(None),
            other => other,
        }
    }

    /// `disable` may remove the directory between our opening and our locking it.
    fn lock_for_write(&self, uid: u32) -> Result<(StateDir, Lock), Fault> {
        for _ in 0..ATTEMPTS {
            let state = self.state_dir_or_new(uid)?;
            let locked = match self.force {
                true => state.lock_by_force(ADMIN_PATIENCE),
                false => state.lock(ADMIN_PATIENCE),
            };
            if let Some(lock) = absent_as_none(locked)? {
                self.check_in_place()?;
                return Ok((state, lock));
            }
        }
        Err(Fault::Busy {
            path: self.state_path(uid),
            pid: None,
        })
    }

    /// A command that waited for an answer must not write into one half of a store and one of another.
    fn check_in_place(&self) -> Result<(), Fault> {
        let mut dirs = [&self.users, &self.states].into_iter();
        dirs.try_for_each(|dir| match dir.is_current() {
            true => Ok(()),
            false => {
                let doing = "the store was replaced meanwhile, try again: cannot use";
                Err(Fault::io(doing, dir.path())(Errno::ESTALE))
            }
        })
    }

    fn put(
        &self,
        state: &StateDir,
        lock: &Lock,
        mut change: Change,
        present: Option<&RecordId>,
    ) -> Result<Option<Fault>, Fault> {
        let uid = change.record.uid;
        let text = change.record.encode(&self.key)?;
        change.state.names = state.claimed()?.count_u32();
        state.prepare(lock, present, &change.state)?;
        let placed = self.place(&file_name(uid), &text, present.is_some());
        if placed.is_err() {
            state.abandon(lock, &change.state.record);
        }
        placed?;
        let settled = self
            .users
            .sync()
            .and_then(|()| state.settle(lock, &change.state.record));
        Ok(settled.err())
    }

    fn place(&self, name: &str, text: &str, replace: bool) -> Result<(), Fault> {
        let new = format!(".{name}");
        self.users.unlink(&new)?;
        self.users.write_new(&new, text.as_bytes())?;
        let renamed = self.users.rename(&new, name, replace);
        if renamed.is_err() {
            self.users.unlink(&new)?;
        }
        renamed
    }

    /// Removes the record and all state of a user.
    ///
    /// # Errors
    /// `Busy` if the lock was not to be had for five seconds. The record is still there then.
    pub fn remove(&self, uid: u32) -> Result<Removed, Fault> {
        let there = self.uids()?.contains(&uid);
        if self.state_dir(uid)?.is_none() && !there {
            return Ok(Removed::Nothing);
        }
        let (state, lock) = self.lock_for_write(uid)?;
        // Killed after this, the record still has its state; killed after the record is gone, what
        // is left is no lost record.
        state.unsettle(&lock)?;
        self.users.unlink(&file_name(uid))?;
        let rest = self
            .users
            .unlink(&format!(".{}", file_name(uid)))
            .and_then(|()| self.users.sync())
            .and_then(|()| self.remove_state(&state, &lock, uid))
            .and_then(|()| self.states.sync());
        Ok(rest.map_or_else(Removed::Record, |()| Removed::All))
    }

    /// A login that is being refused may claim a name while we clear the directory.
    fn remove_state(&self, state: &StateDir, lock: &Lock, uid: u32) -> Result<(), Fault> {
        let mut removed = Ok(());
        for _ in 0..ATTEMPTS {
            state.clear(lock)?;
            removed = self.states.remove_dir(&uid.to_string());
            if removed.is_ok() {
                break;
            }
        }
        removed
    }

    /// Frees all that was charged to a user, and counts failures anew.
    ///
    /// # Errors
    /// `Busy` if the lock was not to be had for five seconds.
    pub fn unlock(&self, record: &Record) -> Result<(), Fault> {
        let (state, lock) = self.lock_for_write(record.uid)?;
        state
            .claimed()?
            .all()
            .try_for_each(|name| state.release(name))?;
        match state.read_whole(&record.id)? {
            Some(mut reading) => {
                reading.state.names = 0;
                reading.state.sequence = reading.state.sequence.saturating_add(1);
                state.write(&lock, &reading)
            }
            None => Ok(()),
        }
    }

    /// Removes the empty state directory of a user who turned out to have no record.
    pub fn drop_empty_state(&self, uid: u32) {
        let _ = self.states.remove_dir(&uid.to_string());
    }
}

/// How often something is tried that a login at the same time can thwart.
const ATTEMPTS: u32 = 10;

fn file_name(uid: u32) -> String {
    format!("{uid}.toml")
}

fn uid_in(name: &str) -> Option<u32> {
    name.strip_suffix(".toml")?
        .parse()
        .ok()
        .filter(|uid| file_name(*uid) == name)
}

/// The directories of the store, made if they are not there.
pub(crate) fn make_dirs(root: &Root) -> Result<Dir, Fault> {
    let data = Dir::make_path(&root.data(), Privacy::Private)?;
    data.make(USERS)?;
    data.make(STATE)?;
    data.sync()?;
    Ok(data)
}
