//! Where everything lies below the root directory (`/` unless `root=` or `--root` says otherwise).

use std::path::{Path, PathBuf};

/// The directory below which all paths of the product lie.
#[derive(Debug, Clone)]
pub struct Root(PathBuf);

impl Root {
    /// `dir` must be absolute: the working directory of a PAM application is nobody's promise.
    pub fn new(dir: &Path) -> Option<Root> {
        dir.is_absolute().then(|| Root(dir.to_path_buf()))
    }

    /// A path of the machine, seen from this root: `below("dev/log")`.
    pub fn below(&self, relative: &str) -> PathBuf {
        self.0.join(relative)
    }

    /// The directory of the configuration and the key.
    pub fn etc(&self) -> PathBuf {
        self.below("etc/pam_mfa")
    }

    /// The directory of records and state; everything in it is for root alone.
    pub fn data(&self) -> PathBuf {
        self.below("var/lib/pam_mfa")
    }

    /// The directory of the twins, for a disk that cannot be written.
    pub fn run(&self) -> PathBuf {
        self.below("run/pam_mfa")
    }
}

impl Default for Root {
    fn default() -> Root {
        Root(PathBuf::from("/"))
    }
}
