//! The directory of a user's state: his block, the charges, and the twins of both in `/run`.

use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

use data_encoding::HEXLOWER;
use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit};

use crate::block::{self, State};
use crate::charge::Claimed;
use crate::fault::{Fault, absent_as_none};
use crate::file::{Dir, Kept, Privacy};
use crate::lock::{self, Lock, STUCK};
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
    /// Whether there is something in `/run` that it was merged with.
    has_twin: bool,
    /// The file that it was read from.
    block: Rc<Block>,
    /// The slot that may be overwritten.
    slot: u64,
}

/// The file of a block, kept open.
struct Block {
    name: String,
    file: Kept,
    /// Whether it was opened to be written, too.
    writable: bool,
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

    /// The same, and ends whoever holds it (see [`lock::lock_by_force`]).
    pub fn lock_by_force(&self, patience: u32) -> Result<Lock, Fault> {
        lock::lock_by_force(&self.dir, patience, STUCK)
    }

    /// Whether a record was ever active beside this state: its block has its final name.
    pub fn had_record(&self) -> Result<bool, Fault> {
        Ok(self
            .dir
            .names()?
            .iter()
            .any(|name| name.starts_with("block-")))
    }

    /// Block and twin together. `None` if the block has no valid slot. Of an earlier reading the file is
    /// taken, if it is still the one.
    pub fn read(
        &self,
        record: &RecordId,
        earlier: Option<&Reading>,
    ) -> Result<Option<Reading>, Fault> {
        self.read_with(record, earlier, self.twin.dir()?.as_ref())
    }

    /// The same with the names that were claimed, here or in `/run`.
    pub fn read_with_claimed(
        &self,
        record: &RecordId,
    ) -> Result<(Option<Reading>, Claimed), Fault> {
        let run = self.twin.dir()?;
        let reading = self.read_with(record, None, run.as_ref())?;
        Ok((reading, self.claimed_with(run.as_ref())?))
    }

    /// [`StateDir::read`] without an earlier one; `None` also if it is not all that there is to know.
    pub fn read_whole(&self, record: &RecordId) -> Result<Option<Reading>, Fault> {
        let reading = self.read(record, None)?;
        Ok(reading.filter(|reading| reading.complete))
    }

    fn read_with(
        &self,
        record: &RecordId,
        earlier: Option<&Reading>,
        run: Option<&Dir>,
    ) -> Result<Option<Reading>, Fault> {
        // An admin command that was killed between its two renames leaves the first name. One that
        // is not may give the block its final name between our first look and our second.
        for name in [block_name(record), new_name(record), block_name(record)] {
            let Some(block) = self.block(name, earlier)? else {
                continue;
            };
            let bytes = self.dir.read_kept(&block.name, &block.file, block::SIZE)?;
            let Some((main, offset)) = block::newest(&bytes, record) else {
                return Ok(None);
            };
            let (state, complete, has_twin) = with_twin(main, run)?;
            return Ok(Some(Reading {
                state,
                complete,
                has_twin,
                block,
                slot: block::other(offset),
            }));
        }
        Ok(None)
    }

    /// The file of this name, if there is one.
    fn block(&self, name: String, earlier: Option<&Reading>) -> Result<Option<Rc<Block>>, Fault> {
        if let Some(Reading { block, .. }) = earlier
            && block.name == name
            && self.dir.leads_to(&name, &block.file)?
        {
            return Ok(Some(Rc::clone(block)));
        }
        let (file, writable) = match absent_as_none(self.dir.keep(&name, OFlag::O_RDWR)) {
            Ok(None) => return Ok(None),
            Ok(Some(file)) => (file, true),
            // A disk that cannot be written can still be read.
            Err(_) => (self.dir.keep(&name, OFlag::O_RDONLY)?, false),
        };
        Ok(Some(Rc::new(Block {
            name,
            file,
            writable,
        })))
    }

    /// What is known of a user whose block has no valid slot: nothing but what the twin knows.
    pub fn remains(&self, record: &RecordId) -> Result<State, Fault> {
        Ok(match read_twin(self.twin.dir()?.as_ref(), record)? {
            TwinBlock::Valid(twin) => State { set: None, ..twin },
            TwinBlock::Absent | TwinBlock::Junk => State::new(*record, None),
        })
    }

    /// Overwrites the older slot and waits until the disk has it. Then the block knows all that
    /// its twin knew, and has its final name.
    pub fn write(&self, lock: &Lock, reading: &Reading) -> Result<(), Fault> {
        check_file_size_limit()?;
        let block = &reading.block;
        let opened;
        let file = match block.writable {
            true => block.file.file(),
            // It says why it cannot be written.
            false => {
                opened = self.dir.keep(&block.name, OFlag::O_RDWR)?;
                opened.file()
            }
        };
        file.write_all_at(&reading.state.encode(), reading.slot)
            .and_then(|()| file.sync_data())
            .map_err(Fault::io(
                "cannot write",
                &self.dir.path().join(&block.name),
            ))?;
        // Without effect on what counts: a twin that stays does no harm, nor does the first name.
        let _ = match block.name == block_name(&reading.state.record) {
            true if !reading.has_twin => Ok(()),
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
        self.claimed_with(self.twin.dir()?.as_ref())
    }

    fn claimed_with(&self, run: Option<&Dir>) -> Result<Claimed, Fault> {
        let mut names = self.dir.names()?;
        if let Some(run) = run {
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

    /// Frees a name again that was claimed by [`StateDir::claim`].
    pub fn give_back(&self, name: &str) -> Result<(), Fault> {
        self.dir.unlink(name)
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

/// The state with what its twin knows, whether that is all there is to know, and whether there is one.
fn with_twin(main: State, run: Option<&Dir>) -> Result<(State, bool, bool), Fault> {
    Ok(match read_twin(run, &main.record)? {
        TwinBlock::Absent => (main, true, false),
        TwinBlock::Valid(twin) => (main.merge(&twin), true, true),
        TwinBlock::Junk => (State { set: None, ..main }, false, true),
    })
}

/// `run`: the user's directory there, if there is one.
fn read_twin(run: Option<&Dir>, record: &RecordId) -> Result<TwinBlock, Fault> {
    let Some(dir) = run else {
        return Ok(TwinBlock::Absent);
    };
    let block = absent_as_none(dir.read(&block_name(record), block::SIZE))?;
    Ok(match block.map(|bytes| block::newest(&bytes, record)) {
        None => TwinBlock::Absent,
        Some(Some((state, _))) => TwinBlock::Valid(state),
        Some(None) => TwinBlock::Junk,
    })
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
    match dir.claim(name) {
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
