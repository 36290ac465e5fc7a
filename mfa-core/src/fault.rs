//! What can be wrong with the store, each with what to do about it.

use crate::user::shown;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

/// Something is wrong with the store or the machine. A login that meets one is refused; it never
/// means "not enrolled". No text of a file ever stands in it.
#[derive(Debug)]
pub enum Fault {
    /// A system call failed.
    Io {
        /// What was being done, as in "cannot open".
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        error: io::Error,
    },
    /// A file that cannot be trusted: its type, owner, mode or size.
    Untrusted {
        /// Which file.
        path: PathBuf,
        /// What is wrong, as in "is a symbolic link".
        what: &'static str,
        /// How to mend it.
        mend: Mend,
    },
    /// A file whose content is damaged or was altered.
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it; nothing of its content.
        what: &'static str,
        /// What it should be.
        ours: Ours,
    },
    /// There is no key.
    NoKey {
        /// Where it should be.
        path: PathBuf,
    },
    /// There is a key, but no store.
    NoStore {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file was made under another key.
    OtherKey {
        /// Which file.
        path: PathBuf,
        /// What it is.
        ours: Ours,
    },
    /// Records exist, but the key that they were made under is gone.
    KeyLost {
        /// Where the key should be.
        key: PathBuf,
        /// Where the records are.
        records: PathBuf,
    },
    /// There is state of a user, but no record.
    LostRecord {
        /// Where the record should be.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// The record belongs to a name that the system gives another user id.
    OtherUser {
        /// Which record.
        path: PathBuf,
        /// The name in the record.
        user: String,
        /// The user id in it.
        uid: u32,
    },
    /// Somebody holds the lock.
    Busy {
        /// The directory that is locked.
        path: PathBuf,
        /// The process that holds it, if the kernel tells.
        pid: Option<u32>,
    },
    /// The name service failed: whether the user exists is not known.
    NameService {
        /// Why.
        error: io::Error,
    },
    /// A group whose members do not fit into the memory that a look-up gets.
    GroupTooLarge {
        /// Its name, as a shell takes it.
        group: String,
    },
    /// The caller limits the size of files so far that the use of a code cannot be recorded.
    FileSizeLimit,
    /// The kernel gave no random bytes.
    NoRandom,
    /// There is not enough memory.
    NoMemory,
    /// There is no valid state of an enrolled user: which codes were used is not known.
    NoState {
        /// Where it should be.
        path: PathBuf,
    },
    /// The clock is behind what happened already.
    ClockBehind {
        /// What happened already.
        record: PathBuf,
    },
    /// More charges of other days than are counted.
    Crowded {
        /// Where they are.
        path: PathBuf,
    },
}

/// How to mend a file that cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// It is none of ours. Where it is gone, the next message names what is missing.
    MoveAway,
    /// The command, without the path.
    Command(&'static str),
}

/// Which of the files that we made: it decides what is to be done if there is no backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ours {
    /// The key.
    Key,
    /// The mark of the store.
    Mark,
    /// A user's record.
    Record,
}

impl Fault {
    /// For `map_err`: a failed system call on `path`.
    pub fn io<E: Into<io::Error>>(doing: &'static str, path: &Path) -> impl FnOnce(E) -> Fault {
        move |error| Fault::Io {
            doing,
            path: path.to_path_buf(),
            error: error.into(),
        }
    }

    /// A damaged record.
    pub fn damaged(path: &Path, what: &'static str) -> Fault {
        Fault::Damaged {
            path: path.to_path_buf(),
            what,
            ours: Ours::Record,
        }
    }

    /// A file that must not be trusted.
    pub fn untrusted(path: &Path, what: &'static str, mend: Mend) -> Fault {
        Fault::Untrusted {
            path: path.to_path_buf(),
            what,
            mend,
        }
    }

    /// Whether this says that the file is not there, and nothing else.
    pub fn is_absence(&self) -> bool {
        matches!(self, Fault::Io { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the disk could not take a write, as opposed to anything else that can go wrong:
    /// read-only, full, over quota, or failing.
    pub fn is_disk(&self) -> bool {
        use nix::libc::{EDQUOT, EIO, ENOSPC, EROFS};
        matches!(self, Fault::Io { error, .. }
            if matches!(error.raw_os_error(), Some(EROFS | ENOSPC | EDQUOT | EIO)))
    }

    /// Whether it is only that we are not root.
    pub fn wants_root(&self) -> bool {
        matches!(self, Fault::Io { error, .. } if is_denial(error)) && !geteuid().is_root()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Io { doing, path, error } if is_denial(error) => write!(
                f,
                "{doing} {}: permission denied{}",
                path.display(),
                match self.wants_root() {
                    true => ". This must run as root",
                    false => EVEN_TO_ROOT,
                }
            ),
            Fault::Io { doing, path, error } => {
                write!(f, "{doing} {}: {}", path.display(), text_of(error))
            }
            Fault::Untrusted {
                path,
                what,
                mend: Mend::MoveAway,
            } => write!(
                f,
                "{} {what}. Find out who put it there, move it away, and bring ours back from a \
                 backup. If there is none, the next login tells in the log what is missing",
                path.display()
            ),
            Fault::Untrusted {
                path,
                what,
                mend: Mend::Command(command),
            } => write!(
                f,
                "{path} {what}. Find out who changed it, then: {command} {path}",
                path = path.display()
            ),
            Fault::Damaged { path, what, ours } => write!(
                f,
                "{} {what}. Bring it back from a backup{}",
                path.display(),
                match ours {
                    Ours::Key =>
                        ", or compare it with your copy if it was typed. Without it the records are \
                         worthless: remove them and this file, then run mfa-admin init",
                    Ours::Mark =>
                        ". If the key was put there by hand, compare it with your copy first. If \
                         it is right, remove this file and make it anew with: mfa-admin init \
                         --new-store",
                    Ours::Record => OR_ENROLL,
                }
            ),
            Fault::NoKey { path } => write!(
                f,
                "there is no key ({}). Bring it back from a backup, or, if there never was one, make \
                 it with: mfa-admin init",
                path.display()
            ),
            Fault::NoStore { path } => write!(
                f,
                "there is a key, but no store ({}). Is the file system under {} mounted? If the \
                 store is gone for good, make a new one with: mfa-admin init --new-store",
                path.display(),
                path.parent().unwrap_or(path).display()
            ),
            Fault::OtherKey { path, ours } => write!(
                f,
                "{} was made under another key than the one that is there now. Bring back the key \
                 that belongs to it{}",
                path.display(),
                match ours {
                    Ours::Record => OR_ENROLL,
                    Ours::Key | Ours::Mark =>
                        "; if it is gone, its records are worthless: remove them and this file, \
                         then run mfa-admin init --new-store",
                }
            ),
            Fault::KeyLost { key, records } => write!(
                f,
                "there are records in {}, but their key ({}) is gone. Bring the key back from a \
                 backup; without it the records are worthless: remove them, then run mfa-admin init",
                records.display(),
                key.display()
            ),
            Fault::LostRecord { path, uid } => write!(
                f,
                "{} is missing, but there is state of uid {uid}: the record was lost. Bring it \
                 back from a backup, make a new one with mfa-admin enroll, or remove the user's \
                 state with: mfa-admin disable --uid {uid}",
                path.display()
            ),
            Fault::OtherUser { path, user, uid } => write!(
                f,
                "{} belongs to {}, and no user of that name has the user id {uid}. If the account \
                 is gone for good, remove the record with: mfa-admin disable --uid {uid}",
                path.display(),
                shown(user)
            ),
            Fault::Busy {
                path,
                pid: Some(pid),
            } => write!(
                f,
                "{} is locked by process {pid}. If it does not end by itself: kill -KILL {pid}",
                path.display()
            ),
            Fault::Busy { path, pid: None } => write!(
                f,
                "{} is locked by another process. Wait for it to end",
                path.display()
            ),
            Fault::NameService { error } => write!(
                f,
                "the name service failed ({}): whether the user or group exists is not known",
                text_of(error)
            ),
            Fault::GroupTooLarge { group } => write!(
                f,
                "the group {group} has more members than fit into 1 MiB: who belongs to it is not known. \
                 Name another one in the policy"
            ),
            Fault::FileSizeLimit => write!(
                f,
                "the caller limits the size of files (ulimit -f): the use of a code cannot be \
                 recorded"
            ),
            Fault::NoRandom => write!(f, "the kernel gave no random bytes"),
            Fault::NoMemory => write!(f, "there is not enough memory"),
            Fault::NoState { path } => write!(
                f,
                "there is no valid state in {}: which codes were used is not known, so three \
                 verification codes in a row are asked for, and no backup code is taken. Make new \
                 ones with: mfa-admin regenerate",
                path.display()
            ),
            Fault::ClockBehind { record } => write!(
                f,
                "the clock of this machine is behind what happened already to {}: three \
                 verification codes in a row are asked for, and none is good that is older than \
                 the last one used. Set the clock. If it is right now and was ahead before, backup \
                 codes work, or: mfa-admin enroll --replace",
                record.display()
            ),
            Fault::Crowded { path } => write!(
                f,
                "there are too many failed attempts of other days in {}: three verification codes in a \
                 row are asked for until they were accepted once, or, if the clock was ahead, until: \
                 mfa-admin unlock",
                path.display()
            ),
        }
    }
}

/// What is left to do about a record that no backup has.
const OR_ENROLL: &str = ", or remove it (mfa-admin disable) and make a new one (mfa-admin enroll)";

/// What stops root.
const EVEN_TO_ROOT: &str = ", even to root. Look for an attribute (lsattr), SELinux or AppArmor, a \
                            capability that was taken away, or a network file system";

fn is_denial(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

impl std::error::Error for Fault {}

/// The system's words for an error, without Rust's "(os error 13)".
fn text_of(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_owned(),
        None => error.kind().to_string(),
    }
}

/// Turns "not there" into `None`.
pub fn absent_as_none<T>(result: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match result {
        Ok(there) => Ok(Some(there)),
        Err(fault) if fault.is_absence() => Ok(None),
        Err(fault) => Err(fault),
    }
}
