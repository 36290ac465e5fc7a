//! Files and directories of ours: opened without following links, checked, then used.
//!
//! A file is trusted only if it is of the right type, belongs to root (or to the effective user,
//! so that tests need no root) and is closed to everybody else.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat, renameat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};
use rustix::fs::RawDir;
use zeroize::Zeroize;

use crate::fault::{Fault, Mend};

/// Who besides the owner may look into a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// Nobody (0700).
    Private,
    /// Everybody may read, nobody may write (0755).
    Readable,
}

impl Privacy {
    fn forbidden_bits(self) -> u32 {
        match self {
            Privacy::Private => 0o077,
            Privacy::Readable => 0o022,
        }
    }

    fn mend(self) -> Mend {
        Mend::Command(match self {
            Privacy::Private => "chmod go=",
            Privacy::Readable => "chmod go-w",
        })
    }

    fn mode(self) -> Mode {
        match self {
            Privacy::Private => Mode::from_bits_truncate(0o700),
            Privacy::Readable => Mode::from_bits_truncate(0o755),
        }
    }
}

/// An open, checked directory.
#[derive(Debug)]
pub struct Dir {
    fd: Arc<File>,
    /// Of which file system, and which there.
    number: (u64, u64),
    path: PathBuf,
    /// Whether the handle stands where a listing begins.
    at_start: Cell<bool>,
}

const OWNERS: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

/// How many bytes of a directory are read in one call: some two hundred names.
const LISTED_AT_ONCE: usize = 8 * 1024;

const OPEN: OFlag = OFlag::O_CLOEXEC
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY);

impl Dir {
    /// Opens and checks a directory of ours by its full path. Its parents are not looked at.
    pub fn open(path: &Path, privacy: Privacy) -> Result<Dir, Fault> {
        Dir::open_at(
            nix::fcntl::AT_FDCWD,
            path.as_os_str(),
            path.to_path_buf(),
            privacy,
        )
    }

    /// Opens and checks a private directory inside this one.
    pub fn dir(&self, name: &str) -> Result<Dir, Fault> {
        Dir::open_at(
            self.fd.as_fd(),
            OsStr::new(name),
            self.path.join(name),
            Privacy::Private,
        )
    }

    fn open_at(
        at: BorrowedFd<'_>,
        name: &OsStr,
        path: PathBuf,
        privacy: Privacy,
    ) -> Result<Dir, Fault> {
        let fd = openat(
            at,
            name,
            OPEN | OFlag::O_DIRECTORY | OFlag::O_RDONLY,
            Mode::empty(),
        )
        .map_err(|errno| open_fault(errno, at, name, SFlag::S_IFDIR, &path))?;
        let stat = fstat(&fd).map_err(Fault::io("cannot look at", &path))?;
        check(&stat, SFlag::S_IFDIR, privacy, &path)?;
        Ok(Dir {
            fd: Arc::new(File::from(fd)),
            number: number(&stat),
            path,
            at_start: Cell::new(true),
        })
    }

    /// Makes a private directory inside this one if it is not there, and opens it.
    pub fn make(&self, name: &str) -> Result<Dir, Fault> {
        match mkdirat(&self.fd, name, Privacy::Private.mode()) {
            Err(Errno::EEXIST) => self.dir(name),
            Err(errno) => {
                let path = self.path.join(name);
                Err(Fault::io("cannot make the directory", &path)(errno))
            }
            Ok(()) => self.dir(name)?.with_mode(Privacy::Private),
        }
    }

    /// Whatever the umask of the caller was.
    fn with_mode(self, privacy: Privacy) -> Result<Dir, Fault> {
        fchmod(&self.fd, privacy.mode())
            .map_err(Fault::io("cannot set the mode of", &self.path))?;
        Ok(self)
    }

    /// Makes a directory of ours by its full path if it is not there, and opens it. Whatever the
    /// umask, a new one gets the mode that `privacy` stands for.
    pub fn make_path(path: &Path, privacy: Privacy) -> Result<Dir, Fault> {
        match nix::unistd::mkdir(path, privacy.mode()) {
            Err(Errno::EEXIST) => Dir::open(path, privacy),
            Err(errno) => Err(Fault::io("cannot make the directory", path)(errno)),
            Ok(()) => {
                let dir = Dir::open(path, privacy)?.with_mode(privacy)?;
                sync_parent(path)?;
                Ok(dir)
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The handle, to lock the directory with. What came while somebody waited for the lock is listed.
    pub fn handle(&self) -> Arc<File> {
        self.at_start.set(false);
        Arc::clone(&self.fd)
    }

    /// Whether the path still leads to this directory (and not to a newer one of the same name).
    pub fn is_current(&self) -> bool {
        nix::sys::stat::lstat(&self.path).is_ok_and(|there| number(&there) == self.number)
    }

    /// Opens and checks a private file inside this directory, to be kept open.
    pub fn keep(&self, name: &str, access: OFlag) -> Result<Kept, Fault> {
        let (file, stat) = self.open_file(name, access)?;
        check(
            &stat,
            SFlag::S_IFREG,
            Privacy::Private,
            &self.path.join(name),
        )?;
        Ok(Kept { file, stat })
    }

    fn open_file(&self, name: &str, access: OFlag) -> Result<(File, FileStat), Fault> {
        let path = self.path.join(name);
        let fd = openat(&self.fd, name, OPEN | access, Mode::empty()).map_err(|errno| {
            open_fault(
                errno,
                self.fd.as_fd(),
                OsStr::new(name),
                SFlag::S_IFREG,
                &path,
            )
        })?;
        let stat = fstat(&fd).map_err(Fault::io("cannot look at", &path))?;
        Ok((File::from(fd), stat))
    }

    /// Reads a private file of at most `cap` bytes.
    pub fn read(&self, name: &str, cap: usize) -> Result<Vec<u8>, Fault> {
        self.read_kept(name, &self.keep(name, OFlag::O_RDONLY)?, cap)
    }

    /// Reads at most `cap` bytes of a file that was kept open under this name.
    pub fn read_kept(&self, name: &str, kept: &Kept, cap: usize) -> Result<Vec<u8>, Fault> {
        read_capped(&kept.file, &kept.stat, cap, &self.path.join(name))
    }

    /// Whether a name still leads to the very file that is kept open. It is checked again.
    pub fn leads_to(&self, name: &str, kept: &Kept) -> Result<bool, Fault> {
        let path = self.path.join(name);
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(there) if number(&there) == number(&kept.stat) => {
                check(&there, SFlag::S_IFREG, Privacy::Private, &path).map(|()| true)
            }
            Ok(_) | Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(Fault::io("cannot look at", &path)(errno)),
        }
    }

    /// Reads a file of at most `cap` bytes that everybody may read and only its owner may write;
    /// with the time of its last change, in seconds since 1970.
    pub fn read_readable(&self, name: &str, cap: usize) -> Result<(Vec<u8>, i64), Fault> {
        let path = self.path.join(name);
        let (file, stat) = self.open_file(name, OFlag::O_RDONLY)?;
        check(&stat, SFlag::S_IFREG, Privacy::Readable, &path)?;
        Ok((read_capped(&file, &stat, cap, &path)?, stat.st_mtime))
    }

    /// Makes a file that must not exist yet, 0600 whatever the umask.
    pub fn create(&self, name: &str) -> Result<File, Fault> {
        let file = self.claim(name)?;
        if let Err(errno) = fchmod(&file, OWNERS) {
            self.unlink(name)?;
            let path = self.path.join(name);
            return Err(Fault::io("cannot set the mode of", &path)(errno));
        }
        Ok(file)
    }

    /// Makes a file that must not exist yet and of which the name is all that counts: the umask may take rights
    /// away.
    pub fn claim(&self, name: &str) -> Result<File, Fault> {
        let path = self.path.join(name);
        let flags = OPEN | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR;
        let fd = openat(&self.fd, name, flags, OWNERS);
        fd.map(File::from)
            .map_err(Fault::io("cannot create", &path))
    }

    /// Makes a new file with this content and waits until the disk has it. An unfinished one is
    /// removed.
    pub fn write_new(&self, name: &str, content: &[u8]) -> Result<(), Fault> {
        let mut file = self.create(name)?;
        let written = file.write_all(content).and_then(|()| file.sync_all());
        if written.is_err() {
            self.unlink(name)?;
        }
        written.map_err(Fault::io("cannot write", &self.path.join(name)))
    }

    /// Renames a file inside this directory. Without `replace` an existing `to` is an error.
    pub fn rename(&self, from: &str, to: &str, replace: bool) -> Result<(), Fault> {
        let flags = match replace {
            true => RenameFlags::empty(),
            false => RenameFlags::RENAME_NOREPLACE,
        };
        let renamed = match renameat2(&self.fd, from, &self.fd, to, flags) {
            // Some file systems cannot promise not to replace. Whoever does not want to replace
            // holds the lock, so that nobody comes between.
            Err(Errno::EINVAL) if !replace => match self.names()?.iter().any(|name| name == to) {
                true => Err(Errno::EEXIST),
                false => renameat(&self.fd, from, &self.fd, to),
            },
            renamed => renamed,
        };
        renamed.map_err(Fault::io("cannot rename", &self.path.join(to)))
    }

    /// Removes a file; one that is not there is no error.
    pub fn unlink(&self, name: &str) -> Result<(), Fault> {
        self.remove(name, UnlinkatFlags::NoRemoveDir)
    }

    /// Removes an empty directory; one that is not there is no error.
    pub fn remove_dir(&self, name: &str) -> Result<(), Fault> {
        self.remove(name, UnlinkatFlags::RemoveDir)
    }

    fn remove(&self, name: &str, flags: UnlinkatFlags) -> Result<(), Fault> {
        let wrong = |what| {
            Err(Fault::untrusted(
                &self.path.join(name),
                what,
                Mend::MoveAway,
            ))
        };
        match unlinkat(&self.fd, name, flags) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(Errno::EISDIR) => wrong("is a directory"),
            Err(Errno::ENOTEMPTY) => wrong("has something in it that is none of ours"),
            Err(errno) => Err(Fault::io("cannot remove", &self.path.join(name))(errno)),
        }
    }

    /// Makes renames and removals in this directory durable.
    pub fn sync(&self) -> Result<(), Fault> {
        nix::unistd::fsync(&self.fd).map_err(Fault::io("cannot sync", &self.path))
    }

    /// The names in this directory, without `.` and `..`, in no order. Names that are not UTF-8
    /// are none of ours and left out.
    pub fn names(&self) -> Result<Vec<String>, Fault> {
        let fault = || Fault::io("cannot list", &self.path);
        if !self.at_start.replace(false) {
            self.fd.as_ref().rewind().map_err(fault())?;
        }
        let mut room = [MaybeUninit::uninit(); LISTED_AT_ONCE];
        let mut listing = RawDir::new(&self.fd, &mut room);
        let mut names = Vec::new();
        while let Some(entry) = listing.next() {
            let entry = match entry {
                // The directory itself was removed.
                Err(rustix::io::Errno::NOENT) => break,
                entry => entry.map_err(io::Error::from).map_err(fault())?,
            };
            let name = entry.file_name().to_str().ok();
            names.extend(name.filter(|n| *n != "." && *n != "..").map(str::to_owned));
        }
        Ok(names)
    }
}

/// A file that is kept open: as long as it is, no other can have its number.
#[derive(Debug)]
pub struct Kept {
    file: File,
    stat: FileStat,
}

impl Kept {
    /// The file itself.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Whether a path still leads to it, and nothing was changed in it.
    pub fn is_unchanged(&self, path: &Path) -> bool {
        let there = nix::sys::stat::lstat(path);
        there.is_ok_and(|there| identity(&there) == identity(&self.stat))
    }
}

/// What tells files apart, and each change of one from the next: no login writes in the file of a record, and an
/// admin command replaces it.
fn identity(stat: &FileStat) -> [i64; 7] {
    [
        stat.st_dev.cast_signed(),
        stat.st_ino.cast_signed(),
        stat.st_size,
        stat.st_mtime,
        stat.st_mtime_nsec,
        stat.st_ctime,
        stat.st_ctime_nsec,
    ]
}

fn number(stat: &FileStat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// Makes a new directory durable in one that is not ours to check.
fn sync_parent(path: &Path) -> Result<(), Fault> {
    let parent = path.parent().unwrap_or(path);
    let synced = File::open(parent).and_then(|parent| parent.sync_all());
    synced.map_err(Fault::io("cannot sync", parent))
}

/// Links, sockets and devices are often an error on opening already, and each another one.
fn open_fault(errno: Errno, at: BorrowedFd<'_>, name: &OsStr, kind: SFlag, path: &Path) -> Fault {
    let there = match errno {
        Errno::ENOENT => None,
        _ => fstatat(at, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok(),
    };
    match there.and_then(|stat| other_kind(&stat, kind)) {
        Some(what) => Fault::untrusted(path, what, Mend::MoveAway),
        None => Fault::io("cannot open", path)(errno),
    }
}

/// What it is instead of what it should be.
fn other_kind(stat: &FileStat, kind: SFlag) -> Option<&'static str> {
    let is = |kind: SFlag| stat.st_mode & SFlag::S_IFMT.bits() == kind.bits();
    match kind {
        kind if is(kind) => None,
        _ if is(SFlag::S_IFLNK) => Some("is a symbolic link"),
        SFlag::S_IFDIR => Some("is not a directory"),
        _ => Some("is not a regular file"),
    }
}

fn check(stat: &FileStat, kind: SFlag, privacy: Privacy, path: &Path) -> Result<(), Fault> {
    let no = |what, mend| Err(Fault::untrusted(path, what, mend));
    if let Some(what) = other_kind(stat, kind) {
        return no(what, Mend::MoveAway);
    }
    if stat.st_uid != 0 && stat.st_uid != geteuid().as_raw() {
        return no("does not belong to root", Mend::Command("chown root"));
    }
    if stat.st_mode & privacy.forbidden_bits() != 0 {
        return no("is open to others", privacy.mend());
    }
    // A second name is no harm: it leads to the same owner and mode. To refuse it would let anybody who may
    // link a file of root's in a directory that he can list (fs.protected_hardlinks=0) stop every login.
    Ok(())
}

/// In one call, if the file is as large as it was when it was looked at.
fn read_capped(file: &File, stat: &FileStat, cap: usize, path: &Path) -> Result<Vec<u8>, Fault> {
    // One byte more than expected tells a file that grew.
    let expected = usize::try_from(stat.st_size).unwrap_or(cap).min(cap);
    let mut content = vec![0; expected + 1];
    match file.read_at(&mut content, 0) {
        Ok(read) if read == expected => content.truncate(read),
        Err(error) if error.kind() != ErrorKind::Interrupted => {
            return Err(Fault::io("cannot read", path)(error));
        }
        _ => {
            content.zeroize();
            content = read_again(file, cap).map_err(Fault::io("cannot read", path))?;
        }
    }
    match content.len() <= cap {
        true => Ok(content),
        false => Err(Fault::untrusted(
            path,
            "is larger than any of ours",
            Mend::MoveAway,
        )),
    }
}

/// One byte more than allowed tells a file that is too large; the room is taken once, so that no half-read
/// copy of a key is left behind by a growing buffer.
fn read_again(mut file: &File, cap: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::with_capacity(cap + 1);
    file.rewind()?;
    file.take(cap as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_directory_that_was_removed_is_empty_and_one_that_grew_is_listed_anew() {
        let parent = tempfile::tempdir().unwrap();
        fs::set_permissions(
            parent.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o700),
        )
        .unwrap();
        let parent = Dir::open(parent.path(), Privacy::Private).unwrap();
        let dir = parent.make("inner").unwrap();
        for count in 0..500 {
            assert_eq!(dir.names().unwrap().len(), count);
            dir.create(&format!("a name that fills the room of a listing {count}"))
                .unwrap();
        }
        fs::remove_dir_all(dir.path()).unwrap();
        assert_eq!(dir.names().unwrap(), [""; 0]);
        assert!(parent.dir("inner").unwrap_err().is_absence());
    }
}
