//! The directory of a user's state: its lock, his block, and the block's twin in `/run`.

use std::os::unix::fs::FileExt;

use data_encoding::HEXLOWER;
use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit};

use crate::block::{self, State};
use crate::fault::{Fault, absent_as_none};
use crate::file::{Dir, Privacy};
use crate::lock::{self, Lock};
use crate::paths::Root;
use crate::record::RecordId;

/// The state of one user.
pub struct StateDir {
    dir: Dir,
    twin: Twin,
}

/// Where the twin of the block would lie.
struct Twin {
    root: Root,
    uid: u32,
}

/// A state as it was read, and where it may be written to.
pub struct Reading {
    /// What counts.
    pub state: State,
    /// The slot that may be overwritten.
    slot: u64,
}

impl StateDir {
    /// `dir` is the user's directory, already opened.
    pub fn new(dir: Dir, root: &Root, uid: u32) -> StateDir {
        let twin = Twin {
            root: root.clone(),
            uid,
        };
        StateDir { dir, twin }
    }

    /// Locks the directory, waiting at most `patience` tenths of a second (see [`lock::lock`]).
    pub fn lock(&self, patience: u32) -> Result<Lock, Fault> {
        lock::lock(&self.dir, patience)
    }

    /// Whether a record was ever active beside this state: its block has its final name.
    pub fn had_record(&self) -> Result<bool, Fault> {
        Ok(self
            .dir
            .names()?
            .iter()
            .any(|name| name.starts_with("block-")))
    }

    /// Block and twin together. `None` if there is no valid slot, or if the twin is junk.
    pub fn read(&self, record: &RecordId) -> Result<Option<Reading>, Fault> {
        let Some((main, offset)) = self.read_block(record)? else {
            return Ok(None);
        };
        let slot = block::other(offset);
        let state = match self.twin.read(record)? {
            TwinBlock::Absent => main,
            TwinBlock::Valid(twin) => main.merge(&twin),
            TwinBlock::Junk => return Ok(None),
        };
        Ok(Some(Reading { state, slot }))
    }

    fn read_block(&self, record: &RecordId) -> Result<Option<(State, u64)>, Fault> {
        for name in [block_name(record), new_name(record)] {
            match self.dir.read(&name, block::SIZE) {
                Ok(bytes) => return Ok(block::newest(&bytes, record)),
                Err(fault) if fault.is_absence() => continue,
                Err(fault) => return Err(fault),
            }
        }
        Ok(None)
    }

    /// Overwrites the older slot and waits until the disk has it.
    pub fn write(&self, _lock: &Lock, reading: &Reading) -> Result<(), Fault> {
        check_file_size_limit()?;
        let name = self.existing_name(&reading.state.record)?;
        let path = self.dir.path().join(&name);
        let file = self.dir.file(&name, OFlag::O_RDWR)?;
        file.write_all_at(&reading.state.encode(), reading.slot)
            .and_then(|()| file.sync_data())
            .map_err(Fault::io("cannot write", &path))
    }

    /// An admin command that was killed between its two renames leaves the block under its first
    /// name.
    fn existing_name(&self, record: &RecordId) -> Result<String, Fault> {
        let names = self.dir.names()?;
        let is_there = |name: &String| names.contains(name);
        Ok(Some(new_name(record))
            .filter(is_there)
            .unwrap_or(block_name(record)))
    }

    /// Writes the twin in `/run`, for a disk that cannot be written.
    pub fn write_twin(&self, _lock: &Lock, state: &State) -> Result<(), Fault> {
        self.twin.write(state)
    }

    /// Removes the twin, once the block knows all that it knew.
    pub fn drop_twin(&self, _lock: &Lock, record: &RecordId) -> Result<(), Fault> {
        match self.twin.dir()? {
            Some(dir) => dir.unlink(&block_name(record)),
            None => Ok(()),
        }
    }

    /// Lays down the block of a record that is about to be written.
    pub fn prepare(&self, _lock: &Lock, state: &State) -> Result<(), Fault> {
        self.dir
            .write_new(&new_name(&state.record), &block::fresh(state))?;
        self.dir.sync()
    }

    /// Takes the block of [`StateDir::prepare`] away again.
    pub fn abandon(&self, _lock: &Lock, record: &RecordId) -> Result<(), Fault> {
        self.dir.unlink(&new_name(record))
    }

    /// Gives the block its final name, and removes those of every other record.
    pub fn settle(&self, _lock: &Lock, record: &RecordId) -> Result<(), Fault> {
        let (new, settled) = (new_name(record), block_name(record));
        let names = self.dir.names()?;
        if names.contains(&new) {
            self.dir.rename(&new, &settled, true)?;
        }
        let mut others = names
            .iter()
            .filter(|name| is_block(name) && **name != settled && **name != new);
        others.try_for_each(|name| self.dir.unlink(name))?;
        self.twin.clear()?;
        self.dir.sync()
    }

    /// Removes everything in the directory and the twins.
    pub fn clear(&self, _lock: &Lock) -> Result<(), Fault> {
        let names = self.dir.names()?;
        names.iter().try_for_each(|name| self.dir.unlink(name))?;
        self.twin.clear()?;
        self.dir.sync()
    }
}

enum TwinBlock {
    Absent,
    Valid(State),
    Junk,
}

impl Twin {
    fn name(&self) -> String {
        self.uid.to_string()
    }

    fn dir(&self) -> Result<Option<Dir>, Fault> {
        let run = absent_as_none(Dir::open(&self.root.run(), Privacy::Private))?;
        match run {
            Some(run) => absent_as_none(run.dir(&self.name())),
            None => Ok(None),
        }
    }

    fn read(&self, record: &RecordId) -> Result<TwinBlock, Fault> {
        let Some(dir) = self.dir()? else {
            return Ok(TwinBlock::Absent);
        };
        let block = absent_as_none(dir.read(&block_name(record), block::SIZE))?;
        Ok(match block.map(|bytes| block::newest(&bytes, record)) {
            None => TwinBlock::Absent,
            Some(Some((state, _))) => TwinBlock::Valid(state),
            Some(None) => TwinBlock::Junk,
        })
    }

    /// A new file beside, then a rename: so the twin is never half written.
    fn write(&self, state: &State) -> Result<(), Fault> {
        check_file_size_limit()?;
        let run = Dir::make_path(&self.root.run(), Privacy::Private)?;
        let dir = run.make(&self.name())?;
        let (new, settled) = (new_name(&state.record), block_name(&state.record));
        dir.unlink(&new)?;
        dir.write_new(&new, &block::fresh(state))?;
        dir.rename(&new, &settled, true)
    }

    fn clear(&self) -> Result<(), Fault> {
        let Some(dir) = self.dir()? else {
            return Ok(());
        };
        let names = dir.names()?;
        names.iter().try_for_each(|name| dir.unlink(name))?;
        Dir::open(&self.root.run(), Privacy::Private)?.remove_dir(&self.name())
    }
}

fn block_name(record: &RecordId) -> String {
    format!("block-{}", HEXLOWER.encode(record))
}

fn new_name(record: &RecordId) -> String {
    format!("new-{}", HEXLOWER.encode(record))
}

fn is_block(name: &str) -> bool {
    name.starts_with("block-") || name.starts_with("new-")
}

/// A write beyond the caller's limit would kill the process with SIGXFSZ, or fail.
fn check_file_size_limit() -> Result<(), Fault> {
    let (soft, _) = getrlimit(Resource::RLIMIT_FSIZE).map_err(|_| Fault::FileSizeLimit)?;
    (soft >= block::SIZE as u64)
        .then_some(())
        .ok_or(Fault::FileSizeLimit)
}
