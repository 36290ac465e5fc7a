//! Line ends of Windows.

use std::fs;
use std::path::{Path, PathBuf};

use mfa_core::paths::Root;

use super::{Finding, shown_path};

/// libpam takes the carriage return for a part of the last word.
pub fn examine(root: &Root, files: &[PathBuf]) -> Vec<Finding> {
    let has_them = |path: &&PathBuf| {
        let bytes = fs::read(path).unwrap_or_default();
        bytes.windows(2).any(|pair| pair == b"\r\n")
    };
    let mut paths: Vec<PathBuf> = files
        .iter()
        .map(|file| shown_path(root, &file.to_string_lossy()))
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    paths.dedup();
    paths
        .iter()
        .filter(has_them)
        .map(|path| told(path))
        .collect()
}

fn told(path: &Path) -> Finding {
    let path = path.display().to_string();
    let what = "its lines end as those of Windows (CRLF): libpam takes the CR for a part of the last word, such as the name of a module";
    let mend = format!("Run: sed -i 's/\\r$//' {path}");
    Finding::fault(&path, what, mend)
}
