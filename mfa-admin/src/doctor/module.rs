//! The module's file: whether libpam can load it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use mfa_core::paths::Root;

use super::Finding;
use super::stack::OURS;

/// Where modules are, with the folder of an architecture for `*`.
const FOLDERS: [&str; 2] = ["usr/lib", "lib"];

/// How much of a file tells what it is: the ELF header up to `e_machine` (elf(5)).
const HEADER: usize = 20;

/// Looks at every file of it that a line names: `named`, as pam.conf(5) has it.
pub fn examine(root: &Root, named: &BTreeSet<String>) -> Vec<Finding> {
    let Some(folder) = folder(root) else {
        let what = "there is no pam_unix.so to look beside";
        let mend = "Where are the PAM modules of this machine? Run: apt install libpam-modules";
        return vec![Finding::fault(OURS, what, mend)];
    };
    let theirs = header(&folder.join("pam_unix.so"));
    let paths = files(root, named);
    let found = paths.iter().flat_map(|path| {
        let strange = !is_in(&folder, path);
        [
            broken(path, theirs.as_ref()),
            strange.then(|| elsewhere(path)),
        ]
    });
    found.flatten().collect()
}

/// What libpam loads for these names; a path without a slash in front is below its folder.
pub fn files(root: &Root, named: &BTreeSet<String>) -> Vec<PathBuf> {
    let folder = folder(root).unwrap_or_default();
    // libpam puts something of its own in its place.
    let plain = named.iter().filter(|name| !name.contains("$ISA"));
    let paths = plain.map(|name| match name.strip_prefix('/') {
        Some(absolute) => root.below(absolute),
        None => folder.join(name),
    });
    paths.collect()
}

fn broken(path: &Path, theirs: Option<&[u8; HEADER]>) -> Option<Finding> {
    let about = path.display().to_string();
    let Some(ours) = header(path) else {
        let what =
            "the module is not there, or cannot be read: every login that names it is refused";
        let mend = "Run: apt install --reinstall libpam-mfa; or take its line out of the stacks";
        return Some(Finding::fault(&about, what, mend));
    };
    let strange = theirs.is_some_and(|theirs| kind(theirs) != kind(&ours));
    strange.then(|| {
        let what =
            "the module was made for another architecture: every login that names it is refused";
        let mend = "Run: apt install --reinstall libpam-mfa:$(dpkg --print-architecture)";
        Finding::fault(&about, what, mend)
    })
}

/// Whether it lies in the folder, by whatever name that is called.
fn is_in(folder: &Path, path: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    path.parent()
        .is_some_and(|parent| parent == folder || real(parent) == real(folder))
}

fn elsewhere(path: &Path) -> Finding {
    let what = "a PAM line names this file, which is not in the folder of the PAM modules: no update reaches it";
    let mend = "Write pam_mfa.so in that line, without a path";
    Finding::warning(&path.display().to_string(), what, mend)
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
