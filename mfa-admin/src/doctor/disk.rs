//! Whether what a login does can be written down.

use mfa_core::paths::Root;
use nix::sys::statvfs::{FsFlags, statvfs};

use super::{Finding, shown_path};

/// The file systems of the store, and of what stands in for it.
pub fn examine(root: &Root) -> Vec<Finding> {
    let data = unwritable(root, "/var/lib/pam_mfa").map(|(path, state)| {
        let harm = match state {
            State::ReadOnly => "nobody can be enrolled, no backup code is taken, and that a code is used is kept in /run alone",
            State::Full => "nobody can be enrolled, and after a few failures two or three codes in a row are asked for",
        };
        Finding::fault(&path, format!("{}: {harm}", state.told()), state.mend(&path))
    });
    let run = unwritable(root, "/run").map(|(path, state)| {
        let harm = "nothing stands in for a disk that cannot be written";
        Finding::warning(
            &path,
            format!("{}: {harm}", state.told()),
            state.mend(&path),
        )
    });
    [data, run].into_iter().flatten().collect()
}

enum State {
    ReadOnly,
    Full,
}

impl State {
    fn told(&self) -> &'static str {
        match self {
            State::ReadOnly => "the file system is read-only",
            State::Full => "the file system is full",
        }
    }

    fn mend(&self, path: &str) -> String {
        match self {
            State::ReadOnly => format!("Run: mount -o remount,rw $(findmnt -no TARGET -T {path})"),
            State::Full => format!("Make room; what there is: df -h {path}; df -i {path}"),
        }
    }
}

/// Some file systems have no limit of blocks or of files, and call it zero.
fn unwritable(root: &Root, path: &str) -> Option<(String, State)> {
    let path = shown_path(root, path);
    let seen = statvfs(&path).ok()?;
    let no_blocks = seen.blocks() > 0 && seen.blocks_available() == 0;
    let no_files = seen.files() > 0 && seen.files_available() == 0;
    let state = match seen.flags().contains(FsFlags::ST_RDONLY) {
        true => State::ReadOnly,
        false if no_blocks || no_files => State::Full,
        false => return None,
    };
    Some((path.display().to_string(), state))
}
