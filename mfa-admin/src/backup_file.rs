//! The file that backup codes are printed from.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use crate::cli::HandingOver;

/// A file that is removed again unless it is kept.
#[derive(Debug)]
pub struct BackupFile {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl BackupFile {
    /// The one that was asked for, if any.
    pub fn wanted(handing_over: &HandingOver) -> Result<Option<BackupFile>> {
        let path = handing_over.backup_codes_file.as_deref();
        path.map(BackupFile::create).transpose()
    }

    /// Makes an empty file that only its owner can read. Nothing is ever overwritten.
    pub fn create(path: &Path) -> Result<BackupFile> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => anyhow!(
                    "{} exists already and is not overwritten. Name another file",
                    path.display()
                ),
                _ => anyhow!(error).context(format!("cannot make {}", path.display())),
            })?;
        Ok(BackupFile {
            file,
            path: path.to_path_buf(),
            kept: false,
        })
    }

    /// Fills it, and sees it on the disk.
    pub fn write(&mut self, text: &str) -> Result<()> {
        let written = self
            .file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.sync_all())
            .and_then(|()| sync_directory(&self.path));
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Now its codes are good.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

fn sync_directory(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

impl Drop for BackupFile {
    fn drop(&mut self) {
        if !self.kept {
            // Its codes are worthless, so one that stays is only a nuisance.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("codes");
        (dir, path)
    }

    #[test]
    fn it_is_for_its_owner_alone_and_stays_when_kept() {
        let (_dir, path) = place();
        let mut file = BackupFile::create(&path).unwrap();
        file.write("codes\n").unwrap();
        file.keep();
        assert_eq!(fs::read_to_string(&path).unwrap(), "codes\n");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }

    #[test]
    fn it_is_gone_if_it_was_not_kept() {
        let (_dir, path) = place();
        let mut file = BackupFile::create(&path).unwrap();
        file.write("codes\n").unwrap();
        assert!(path.exists());
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn nothing_is_overwritten_and_no_link_is_followed() {
        let (dir, path) = place();
        fs::write(&path, "mine").unwrap();
        let error = BackupFile::create(&path).unwrap_err().to_string();
        assert!(error.contains("exists already"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &link).unwrap();
        assert!(BackupFile::create(&link).is_err());
        assert!(!dir.path().join("elsewhere").exists());
    }

    #[test]
    fn a_place_that_is_not_there_is_named() {
        let error = BackupFile::create(Path::new("/no/such/place")).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("/no/such/place"), "{text}");
    }
}
