//! The one lock of a directory: taken to spend a code and to write a record, gone with the process.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

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

/// The same; whoever does not let go in time is killed (`SIGKILL`): somebody may have stopped his own `su`, and
/// the next one after it.
///
/// # Errors
/// Those of [`lock`], if the process that holds it cannot be found, or there are ever new ones.
pub fn lock_by_force(dir: &Dir, patience: u32) -> Result<Lock, Fault> {
    let mut locked = lock(dir, patience);
    for _ in 0..patience {
        match locked {
            Err(Fault::Busy { pid: Some(pid), .. }) if end(pid, &dir.handle()).is_some() => {
                locked = lock(dir, 1);
            }
            _ => break,
        }
    }
    locked
}

/// Kills a process if it has the directory open: the number may be another's by now. Nothing that it has open
/// is touched, for that may be a file system of its own.
fn end(pid: u32, dir: &File) -> Option<()> {
    let process = pidfd_open(Pid::from_raw(pid.try_into().ok()?)?, PidfdFlags::empty()).ok()?;
    let path = fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd())).ok()?;
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let mut open = open.flatten().map(|entry| fs::read_link(entry.path()));
    open.any(|open| open.is_ok_and(|open| open == path))
        .then_some(())?;
    pidfd_send_signal(process, Signal::KILL).ok()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::Privacy;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::ExitStatusExt;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    fn dir() -> (tempfile::TempDir, Dir) {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let ours = Dir::open(dir.path(), Privacy::Private).unwrap();
        (dir, ours)
    }

    /// Takes the lock as soon as it is free, and keeps it.
    fn holder(path: &Path) -> Child {
        let mut flock = Command::new("flock");
        flock.arg("-F").arg(path).args(["sleep", "1000"]);
        flock.spawn().unwrap()
    }

    #[test]
    fn by_force_it_is_had_from_those_who_wait_for_it_too() {
        let (path, dir) = dir();
        let mut holders = [0; 3].map(|_| holder(path.path()));
        while dir.handle().try_lock().is_ok() {
            dir.handle().unlock().unwrap();
        }
        assert!(matches!(
            lock(&dir, 1),
            Err(Fault::Busy { pid: Some(_), .. })
        ));
        drop(lock_by_force(&dir, 5).unwrap());
        for holder in &mut holders {
            // One that came too late found it free.
            let _ = holder.kill();
            holder.wait().unwrap();
        }
    }

    #[test]
    fn who_does_not_have_the_directory_open_is_not_ended() {
        let (path, dir) = dir();
        let sleep = |stdin: Stdio| {
            Command::new("sleep")
                .arg("1000")
                .stdin(stdin)
                .spawn()
                .unwrap()
        };
        let (mut other, mut holder) = (
            sleep(Stdio::null()),
            sleep(File::open(path.path()).unwrap().into()),
        );
        assert_eq!(end(other.id(), &dir.handle()), None);
        assert_eq!(end(holder.id(), &dir.handle()), Some(()));
        assert_eq!(holder.wait().unwrap().signal(), Some(9));
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
