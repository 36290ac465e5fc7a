//! The module's file: whether libpam can load it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use mfa_core::paths::Root;

use super::Finding;

/// Where modules are, with the folder of an architecture for `*`.
const FOLDERS: [&str; 2] = ["usr/lib", "lib"];

/// The name of its file.
pub const MODULE: &str = "pam_mfa.so";

/// How much of a file tells what it is: the ELF header up to `e_machine` (elf(5)).
const HEADER: usize = 20;

/// Looks for it beside pam_unix.so.
pub fn examine(root: &Root) -> Vec<Finding> {
    let Some(folder) = folder(root) else {
        let mend = "Where are the PAM modules of this machine? Install libpam-modules";
        return vec![Finding::fault(
            MODULE,
            "there is no pam_unix.so to look beside",
            mend,
        )];
    };
    let path = folder.join(MODULE);
    let about = path.display().to_string();
    let Some(ours) = header(&path) else {
        let what =
            "the module is not there, or cannot be read: every login that names it is refused";
        return vec![Finding::fault(
            &about,
            what,
            "Install libpam-mfa, or take its line out of the stacks",
        )];
    };
    let theirs = header(&folder.join("pam_unix.so"));
    match theirs.is_none_or(|theirs| kind(&theirs) == kind(&ours)) {
        true => Vec::new(),
        false => {
            let what = "the module was made for another architecture: every login that names it is refused";
            vec![Finding::fault(
                &about,
                what,
                "Install libpam-mfa for the architecture of this machine",
            )]
        }
    }
}

/// The folder of pam_unix.so.
pub fn folder(root: &Root) -> Option<PathBuf> {
    let parents = FOLDERS.iter().map(|folder| root.below(folder));
    let folders = parents.flat_map(|parent| {
        let inner = fs::read_dir(&parent)
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        let mut folders: Vec<PathBuf> = inner.map(|entry| entry.path()).collect();
        folders.push(parent);
        folders
    });
    let mut modules = folders.map(|folder| folder.join("security"));
    modules.find(|folder| folder.join("pam_unix.so").exists())
}

fn header(path: &Path) -> Option<[u8; HEADER]> {
    let mut header = [0; HEADER];
    File::open(path).ok()?.read_exact(&mut header).ok()?;
    Some(header)
}

/// That it is ELF, of which class and byte order, and for which machine.
fn kind(header: &[u8; HEADER]) -> (Option<&[u8]>, Option<&[u8]>) {
    (header.get(..6), header.get(18..))
}
