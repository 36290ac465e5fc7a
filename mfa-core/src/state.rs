//! The directory of a user's state: his block, the charges, and the twins of both in `/run`.

use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;

use data_encoding::HEXLOWER;
use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit};

use crate::block::{self, State};
use crate::charge::Claimed;
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

/// Where the twin of the block lies, if there is one.
struct Twin {
    root: Root,
    uid: u32,
}

/// A state as it was read, and where it may be written to.
pub struct Reading {
    /// What counts.
    pub state: State,
    /// Whether it is all that there is to know. If not, backup codes may have been used that it
    /// knows nothing of; its set is empty then.
    pub complete: bool,
    /// The file that it was read from.
    name: String,
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

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
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

    /// Block and twin together. `None` if the block has no valid slot.
    pub fn read(&self, record: &RecordId) -> Result<Option<Reading>, Fault> {
        // An admin command that was killed between its two renames leaves the first name. One that
        // is not may give the block its final name between our first look and our second.
        for name in [block_name(record), new_name(record), block_name(record)] {
            if let Some(bytes) = absent_as_none(self.dir.read(&name, block::SIZE))? {
                let newest = block::newest(&bytes, record);
                return newest
                    .map(|(main, offset)| self.with_twin(main, offset, name))
                    .transpose();
            }
        }
        Ok(None)
    }

    /// The same; `None` also if it is not all that there is to know.
    pub fn read_whole(&self, record: &RecordId) -> Result<Option<Reading>, Fault> {
        Ok(self.read(record)?.filter(|reading| reading.complete))
    }

    /// What is known of a user whose block has no valid slot: nothing but what the twin knows.
    pub fn remains(&self, record: &RecordId) -> Result<State, Fault> {
        Ok(match self.twin.read(record)? {
            TwinBlock::Valid(twin) => State { set: None, ..twin },
            TwinBlock::Absent | TwinBlock::Junk => State::new(*record, None),
        })
    }

    fn with_twin(&self, main: State, offset: u64, name: String) -> Result<Reading, Fault> {
        let (state, complete) = match self.twin.read(&main.record)? {
            TwinBlock::Absent => (main, true),
            TwinBlock::Valid(twin) => (main.merge(&twin), true),
            TwinBlock::Junk => (State { set: None, ..main }, false),
        };
        Ok(Reading {
            state,
            complete,
            name,
            slot: block::other(offset),
        })
    }

    /// Overwrites the older slot and waits until the disk has it. Then the block knows all that
    /// its twin knew, and has its final name.
    pub fn write(&self, lock: &Lock, reading: &Reading) -> Result<(), Fault> {
        check_file_size_limit()?;
        let path = self.dir.path().join(&reading.name);
        let file = self.dir.file(&reading.name, OFlag::O_RDWR)?;
        file.write_all_at(&reading.state.encode(), reading.slot)
            .and_then(|()| file.sync_data())
            .map_err(Fault::io("cannot write", &path))?;
        // Without effect on what counts: a twin that stays does no harm, nor does the first name.
        let _ = match reading.name == block_name(&reading.state.record) {
            true => self.twin.drop_block(&reading.state.record),
            false => self.settle(lock, &reading.state.record),
        };
        Ok(())
    }

    /// Writes the twin in `/run`, for a disk that cannot be written.
    pub fn write_twin(&self, _lock: &Lock, state: &State) -> Result<(), Fault> {
        self.twin.write(state)
    }

    /// The names that were claimed, here or in `/run`.
    pub fn claimed(&self) -> Result<Claimed, Fault> {
        let mut names = self.dir.names()?;
        if let Some(run) = self.twin.dir()? {
            names.extend(run.names()?);
        }
        Ok(Claimed::new(names))
    }

    /// Claims a name: `false` if somebody else was first. Not synced: a crash forgets it, and
    /// whoever can crash the machine needs no code.
    pub fn claim(&self, name: &str) -> Result<bool, Fault> {
        claim_in(&self.dir, name)
    }

    /// Claims a name in `/run`, for a disk that cannot be written.
    pub fn claim_in_run(&self, name: &str) -> Result<bool, Fault> {
        claim_in(&self.twin.make_dir()?, name)
    }

    /// Frees a name again, wherever it was claimed.
    pub fn release(&self, name: &str) -> Result<(), Fault> {
        let in_run = self.twin.dir()?.map_or(Ok(()), |run| run.unlink(name));
        self.dir.unlink(name).and(in_run)
    }

    /// Lays down the block of a record that is about to be written, and removes what killed
    /// commands left.
    pub fn prepare(
        &self,
        _lock: &Lock,
        present: Option<&RecordId>,
        state: &State,
    ) -> Result<(), Fault> {
        check_file_size_limit()?;
        // The block of a lost record stays: it tells that there was one.
        let kept = present.map(new_name);
        let names = self.dir.names()?;
        let mut left = names
            .iter()
            .filter(|name| name.starts_with("new-") && Some(*name) != kept.as_ref());
        left.try_for_each(|name| self.dir.unlink(name))?;
        self.dir.unlink(&new_name(&state.record))?;
        self.dir
            .write_new(&new_name(&state.record), &block::fresh(state))?;
        self.dir.sync()
    }

    /// Takes the block of [`StateDir::prepare`] away again; one that stays does no harm.
    pub fn abandon(&self, _lock: &Lock, record: &RecordId) {
        let _ = self.dir.unlink(&new_name(record));
    }

    /// Gives the block its final name, and removes those of every other record.
    pub fn settle(&self, _lock: &Lock, record: &RecordId) -> Result<(), Fault> {
        let (new, settled) = (new_name(record), block_name(record));
        match self.dir.rename(&new, &settled, true) {
            Err(fault) if !fault.is_absence() => return Err(fault),
            _ => {}
        }
        remove_blocks_but(&self.dir, record)?;
        self.twin.remove_blocks_but(record)?;
        self.dir.sync()
    }

    /// Takes the final name from the block, so that without its record it is no loss.
    pub fn unsettle(&self, _lock: &Lock) -> Result<(), Fault> {
        for name in self.dir.names()? {
            if let Some(id) = name.strip_prefix("block-") {
                self.dir.rename(&name, &format!("new-{id}"), true)?;
            }
        }
        self.dir.sync()
    }

    /// Removes everything in the directory and the twins.
    pub fn clear(&self, _lock: &Lock) -> Result<(), Fault> {
        self.dir
            .names()?
            .iter()
            .try_for_each(|name| self.dir.unlink(name))?;
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

    fn make_dir(&self) -> Result<Dir, Fault> {
        Dir::make_path(&self.root.run(), Privacy::Private)?.make(&self.name())
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
        let dir = self.make_dir()?;
        let (new, settled) = (new_name(&state.record), block_name(&state.record));
        dir.unlink(&new)?;
        dir.write_new(&new, &block::fresh(state))?;
        dir.rename(&new, &settled, true)
    }

    fn drop_block(&self, record: &RecordId) -> Result<(), Fault> {
        self.dir()?
            .map_or(Ok(()), |dir| dir.unlink(&block_name(record)))
    }

    fn remove_blocks_but(&self, record: &RecordId) -> Result<(), Fault> {
        self.dir()?
            .map_or(Ok(()), |dir| remove_blocks_but(&dir, record))
    }

    fn clear(&self) -> Result<(), Fault> {
        let Some(dir) = self.dir()? else {
            return Ok(());
        };
        dir.names()?.iter().try_for_each(|name| dir.unlink(name))?;
        Dir::open(&self.root.run(), Privacy::Private)?.remove_dir(&self.name())
    }
}

fn remove_blocks_but(dir: &Dir, record: &RecordId) -> Result<(), Fault> {
    let is_block = |name: &String| name.starts_with("block-") || name.starts_with("new-");
    let names = dir.names()?;
    let mut others = names
        .iter()
        .filter(|name| is_block(name) && **name != block_name(record));
    others.try_for_each(|name| dir.unlink(name))
}

fn claim_in(dir: &Dir, name: &str) -> Result<bool, Fault> {
    match dir.create(name) {
        Ok(_) => Ok(true),
        Err(Fault::Io { error, .. }) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(fault) => Err(fault),
    }
}

fn block_name(record: &RecordId) -> String {
    format!("block-{}", HEXLOWER.encode(record))
}

fn new_name(record: &RecordId) -> String {
    format!("new-{}", HEXLOWER.encode(record))
}

/// A write beyond the caller's limit would kill the process with SIGXFSZ, or fail.
fn check_file_size_limit() -> Result<(), Fault> {
    let (soft, _) = getrlimit(Resource::RLIMIT_FSIZE).map_err(|_| Fault::FileSizeLimit)?;
    (soft >= block::SIZE as u64)
        .then_some(())
        .ok_or(Fault::FileSizeLimit)
}
