//! Who else may change what decides about a login.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mfa_core::paths::Root;
use nix::unistd::geteuid;

use super::Finding;

/// Folders of PAM, sshd and ours; what the stacks are made of comes to them.
const PATHS: [&str; 7] = [
    "etc/pam.d",
    "usr/lib/pam.d",
    "etc/pam_mfa",
    "var/lib/pam_mfa",
    "run/pam_mfa",
    "etc/ssh",
    "etc/ssh/sshd_config.d",
];

/// Each of them, the folders above it, and the files in it; the same for these files of the stacks.
pub fn examine(root: &Root, files: &[PathBuf]) -> Vec<Finding> {
    let base = root.below("");
    let mut paths: Vec<PathBuf> = Vec::new();
    let fixed = PATHS.iter().map(|path| root.below(path));
    for path in fixed.chain(files.iter().cloned()) {
        let above = path
            .ancestors()
            .take_while(|above| above.starts_with(&base));
        paths.extend(above.map(Path::to_path_buf));
        let inside = fs::read_dir(&path)
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        paths.extend(inside.map(|entry| entry.path()));
    }
    paths.sort();
    paths.dedup();
    paths
        .iter()
        .filter_map(|path| open_to_others(path))
        .collect()
}

/// Links are what they lead to, and what is not there is told elsewhere.
fn open_to_others(path: &Path) -> Option<Finding> {
    let seen = fs::metadata(path).ok()?;
    let about = path.display().to_string();
    // Tests and images are not of root's.
    let stranger = ![0, geteuid().as_raw()].contains(&seen.uid());
    if stranger {
        let what = format!(
            "it belongs to the user with the id {}, who can change it and so let himself in",
            seen.uid()
        );
        return Some(Finding::fault(
            &about,
            what,
            format!("Run: chown root: {about}"),
        ));
    }
    (seen.mode() & 0o022 != 0).then(|| {
        let what = format!(
            "others can write it (mode {:o}), and so let themselves in",
            seen.mode() & 0o7777
        );
        Finding::fault(&about, what, format!("Run: chmod go-w {about}"))
    })
}
