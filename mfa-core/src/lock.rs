//! The one lock of a directory: taken to spend a code and to write a record, gone with the process.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use crate::fault::Fault;
use crate::file::Dir;

/// How long a login waits for the lock, in tenths of a second.
pub const LOGIN_PATIENCE: u32 = 20;
/// How long an admin command waits for the lock, in tenths of a second.
pub const ADMIN_PATIENCE: u32 = 50;

const POLLS_PER_TENTH: u32 = 10;
const POLL: Duration = Duration::from_millis(10);

/// Held by whoever spends a code or replaces a record; gone with the process.
pub struct Lock {
    handle: Arc<File>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The directory's own handle shares the lock and would keep it.
        let _ = self.handle.unlock();
    }
}

/// Locks a directory (`flock(2)`, which works on a read-only file system too), waiting at most
/// `patience` tenths of a second.
///
/// # Errors
/// `Busy` names the process that holds it; an absence, if the directory was removed meanwhile.
pub fn lock(dir: &Dir, patience: u32) -> Result<Lock, Fault> {
    let handle = dir.handle();
    for _ in 0..patience * POLLS_PER_TENTH {
        match handle.try_lock() {
            Ok(()) => return still_there(dir, Lock { handle }),
            Err(TryLockError::WouldBlock) => std::thread::sleep(POLL),
            Err(TryLockError::Error(error)) => {
                return Err(Fault::io("cannot lock", dir.path())(error));
            }
        }
    }
    Err(Fault::Busy {
        path: dir.path().to_path_buf(),
        pid: holder(&handle),
    })
}

fn still_there(dir: &Dir, lock: Lock) -> Result<Lock, Fault> {
    let gone = || Fault::io("cannot lock", dir.path())(io::Error::from(io::ErrorKind::NotFound));
    dir.is_current().then_some(lock).ok_or_else(gone)
}

/// The process that holds the lock, as `/proc/locks` has it.
fn holder(handle: &File) -> Option<u32> {
    let file = format!("{}:{}", device(handle)?, handle.metadata().ok()?.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let line = locks.lines().find(|line| {
        let mut words = line.split_whitespace();
        words.any(|word| word == "FLOCK") && words.any(|word| word == file)
    })?;
    line.split_whitespace().nth(4)?.parse().ok()
}

/// The device of the file's mount, as `/proc/locks` writes it. stat(2) tells another one on btrfs.
fn device(handle: &File) -> Option<String> {
    let own = fs::read_to_string(format!("/proc/self/fdinfo/{}", handle.as_raw_fd())).ok()?;
    let mount = own
        .lines()
        .find_map(|line| line.strip_prefix("mnt_id:"))?
        .trim();
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mut mounts = mounts.lines().map(|line| line.split(' '));
    let device =
        mounts.find_map(|mut words| (words.next() == Some(mount)).then(|| words.nth(1)))??;
    let (major, minor) = device.split_once(':')?;
    let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    Some(format!("{major:02x}:{minor:02x}"))
}
