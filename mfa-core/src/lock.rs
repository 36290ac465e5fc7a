//! The one lock of a directory: taken to spend a code and to write a record, gone with the process.

use std::fs::{self, DirEntry, File, TryLockError};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::fault::Fault;
use crate::file::Dir;

/// How long a login waits for the lock, in tenths of a second.
pub const LOGIN_PATIENCE: u32 = 20;
/// How long an admin command waits for the lock, in tenths of a second.
pub const ADMIN_PATIENCE: u32 = 50;

const POLLS_PER_TENTH: u32 = 10;
const POLL: Duration = Duration::from_millis(10);
/// For how long force is used, in tenths of a second.
const FORCE: u32 = 300;
/// After how long, in tenths of a second, whoever holds a user's lock is stuck: a disk takes less to sync.
pub const STUCK: u32 = 10;

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
    for _ in 0..patience * POLLS_PER_TENTH {
        if let Some(lock) = poll(dir)? {
            return Ok(lock);
        }
    }
    Err(busy(dir))
}

/// The same; after that for half a minute whoever is stopped while he holds it, or holds it for `stuck` tenths of a
/// second, is killed (`SIGKILL`): somebody may have stopped his own `su`, and the next one after it.
///
/// # Errors
/// Those of [`lock`], if the process that holds it cannot be found, or there are ever new ones.
pub fn lock_by_force(dir: &Dir, patience: u32, stuck: u32) -> Result<Lock, Fault> {
    match lock(dir, patience) {
        Err(Fault::Busy { .. }) => {}
        locked => return locked,
    }
    let (mut holder, mut polls) = (None, 0);
    for _ in 0..FORCE * POLLS_PER_TENTH {
        if let Some(lock) = poll(dir)? {
            return Ok(lock);
        }
        let before = std::mem::replace(&mut holder, holder_of(&dir.handle()));
        polls = if holder == before { polls + 1 } else { 0 };
        match holder {
            Some(pid) if polls >= stuck * POLLS_PER_TENTH || is_stopped(pid) => end(pid),
            _ => {}
        }
    }
    Err(busy(dir))
}

fn poll(dir: &Dir) -> Result<Option<Lock>, Fault> {
    let handle = dir.handle();
    match handle.try_lock() {
        Ok(()) => return still_there(dir, Lock { handle }).map(Some),
        Err(TryLockError::WouldBlock) => std::thread::sleep(POLL),
        Err(TryLockError::Error(error)) => {
            return Err(Fault::io("cannot lock", dir.path())(error));
        }
    }
    Ok(None)
}

fn busy(dir: &Dir) -> Fault {
    Fault::Busy {
        path: dir.path().to_path_buf(),
        pid: holder_of(&dir.handle()),
    }
}

fn still_there(dir: &Dir, lock: Lock) -> Result<Lock, Fault> {
    let gone = || Fault::io("cannot lock", dir.path())(io::Error::from(io::ErrorKind::NotFound));
    dir.is_current().then_some(lock).ok_or_else(gone)
}

/// The process that holds the lock. `/proc/locks` alone does not tell: whoever took it may have ended, and on btrfs
/// others can have a file of that number.
fn holder_of(handle: &File) -> Option<u32> {
    let path = fs::read_link(format!("/proc/self/fd/{}", handle.as_raw_fd())).ok()?;
    let file = number(handle)?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let mut asked = Vec::new();
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(4);
        let (pid, locked) = (words.next()?.parse().ok()?, words.next()?);
        let is_new = locked == file && !asked.contains(&pid);
        asked.extend(is_new.then_some(pid));
        (is_new && holds(pid, &path, &file)).then_some(pid)
    })
}

/// The file as `/proc/locks` writes it. stat(2) tells another device on btrfs.
fn number(handle: &File) -> Option<String> {
    let own = fs::read_to_string(format!("/proc/self/fdinfo/{}", handle.as_raw_fd())).ok()?;
    let field = |name: &str| {
        own.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    let (mount, inode) = (field("mnt_id:")?, field("ino:")?);
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mut mounts = mounts.lines().map(|line| line.split(' '));
    let device =
        mounts.find_map(|mut words| (words.next() == Some(mount)).then(|| words.nth(1)))??;
    let (major, minor) = device.split_once(':')?;
    let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    Some(format!("{major:02x}:{minor:02x}:{inode}"))
}

/// Nothing that a process has open is touched, for that may be a file system of its own.
fn holds(pid: u32, path: &Path, file: &str) -> bool {
    let locks = |fd: &DirEntry| {
        let name = fd.file_name();
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", name.display()));
        let mut lines = info.iter().flat_map(|info| info.lines());
        lines.any(|line| {
            line.starts_with("lock:") && line.split_whitespace().any(|word| word == file)
        })
    };
    let open = fs::read_dir(format!("/proc/{pid}/fd"));
    let mut open = open.into_iter().flatten().flatten();
    open.any(|fd| fs::read_link(fd.path()).is_ok_and(|open| open == *path) && locks(&fd))
}

/// See proc_pid_stat(5).
fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    let state = |stat: String| Some(stat.rsplit_once(") ")?.1.starts_with(['T', 't']));
    stat.ok().and_then(state).unwrap_or_default()
}

fn end(pid: u32) {
    // It may have ended by itself.
    let pid = pid.try_into().ok().and_then(Pid::from_raw);
    let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::Privacy;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command};

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

    fn wait_until_it_is_held(dir: &Dir) {
        while dir.handle().try_lock().is_ok() {
            dir.handle().unlock().unwrap();
        }
    }

    #[test]
    fn by_force_it_is_had_from_those_who_wait_for_it_too() {
        let (path, dir) = dir();
        let mut holders = [0; 3].map(|_| holder(path.path()));
        wait_until_it_is_held(&dir);
        let held = lock(&dir, 1).map(drop);
        assert!(matches!(held, Err(Fault::Busy { pid: Some(_), .. })));
        drop(lock_by_force(&dir, 1, STUCK).unwrap());
        for holder in &mut holders {
            // One that came too late found it free.
            let _ = holder.kill();
            holder.wait().unwrap();
        }
    }

    #[test]
    fn who_lets_go_is_not_ended_and_nor_is_who_merely_looks() {
        let (path, dir) = dir();
        let mut looks = Command::new("sleep");
        let looks = looks.arg("1000").stdin(File::open(path.path()).unwrap());
        let mut looks = looks.spawn().unwrap();
        // This very process.
        let held = Dir::open(path.path(), Privacy::Private).unwrap();
        let held = lock(&held, 1).unwrap();
        let lets_go = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(500));
            drop(held);
        });
        drop(lock_by_force(&dir, 1, STUCK).unwrap());
        lets_go.join().unwrap();
        assert!(looks.try_wait().unwrap().is_none());
        looks.kill().unwrap();
        looks.wait().unwrap();
    }

    #[test]
    fn who_is_stopped_while_he_holds_it_is_ended_at_once() {
        let (path, dir) = dir();
        let mut stopped = holder(path.path());
        wait_until_it_is_held(&dir);
        let pid = Pid::from_child(&stopped);
        kill_process(pid, Signal::STOP).unwrap();
        while !is_stopped(stopped.id()) {}
        drop(lock_by_force(&dir, 0, STUCK).unwrap());
        assert_eq!(stopped.wait().unwrap().signal(), Some(9));
    }
}
