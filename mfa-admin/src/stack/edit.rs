//! A file that gets lines, or is made; and the way back.
//!
//! The old file is kept as a second name of the same inode. To go back is a rename then: it needs no
//! space, and brings back owner, mode and labels as well.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

/// What was put where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The file.
    pub path: PathBuf,
    /// The texts that were put in, in their order; each stands once in the new file.
    pub put_in: Vec<String>,
    /// Whether the file was not there before.
    pub made: bool,
}

/// An edit that is not made yet.
pub struct Planned {
    /// Which.
    pub edit: Edit,
    /// What the file says now; nothing if it is not there.
    pub old: String,
    /// What it is to say.
    pub new: String,
}

impl Planned {
    /// A file that is not there yet.
    pub fn file(path: &Path, text: String) -> Planned {
        let edit = Edit {
            path: path.to_path_buf(),
            put_in: vec![text.clone()],
            made: true,
        };
        Planned {
            edit,
            old: String::new(),
            new: text,
        }
    }

    /// Keeps the old file in the directory.
    ///
    /// # Errors
    /// It was changed since it was read; or the directory is on another file system.
    pub fn keep(&self, dir: &Path) -> Result<()> {
        let path = &self.edit.path;
        let now = read(path)?;
        let was = (!self.edit.made).then_some(&self.old);
        ensure!(
            now.as_ref() == was,
            "{} was changed meanwhile; nothing was done. Try again",
            path.display()
        );
        if self.edit.made {
            return Ok(());
        }
        let kept = self.edit.kept(dir);
        // Left by one that was killed before it changed anything.
        remove(&kept)?;
        fs::hard_link(path, &kept)
            .with_context(|| format!("cannot keep {} as {}", path.display(), kept.display()))
    }

    /// Makes the edit; [`Planned::keep`] came before.
    ///
    /// # Errors
    /// The file cannot be written; the old one is in its place then.
    pub fn make(&self) -> Result<()> {
        replace(&self.edit.path, &self.new)
    }
}

impl Edit {
    /// The name under which the old file is kept: `etc-pam.d-sshd`.
    fn kept(&self, dir: &Path) -> PathBuf {
        let name = self.path.to_string_lossy();
        dir.join(name.trim_start_matches('/').replace('/', "-"))
    }

    /// What the file says without what was put in; `None` if that does not stand there as it was.
    pub fn without(&self, text: &str) -> Option<String> {
        let mut text = text.to_owned();
        for part in &self.put_in {
            let (before, after) = text.split_once(part.as_str())?;
            text = format!("{before}{after}");
        }
        Some(text)
    }

    /// What the file says now, and what it would say if this were put back.
    ///
    /// # Errors
    /// As for [`Edit::put_back`] without `at_any_price`.
    pub fn seen(&self, dir: &Path) -> Result<(String, String)> {
        let Some(now) = read(&self.path)? else {
            return Ok(Default::default());
        };
        let kept = read(&self.kept(dir))?;
        let back = match (self.without(&now), kept) {
            (Some(back), _) => back,
            (None, Some(kept)) if kept == now => kept,
            (None, _) if self.made || now.contains("pam_mfa") => bail!(
                "{} was changed by hand. Take the lines of pam_mfa.so out of it yourself; then try again",
                self.path.display()
            ),
            // Somebody took them out already.
            (None, _) => now.clone(),
        };
        Ok((now, back))
    }

    /// Puts the file back as it was, but for what others changed in it since. Safe to repeat.
    ///
    /// `at_any_price`: whatever others changed, the old file comes back, and theirs is kept beside the
    /// old one under a name with `.changed`.
    ///
    /// # Errors
    /// What was put in does not stand there as it was; or the file cannot be written.
    pub fn put_back(&self, dir: &Path, at_any_price: bool) -> Result<()> {
        let kept = self.kept(dir);
        if at_any_price && !self.made && !self.path.exists() && kept.exists() {
            return rename(&kept, &self.path);
        }
        match self.seen(dir) {
            Ok((now, back)) if now == back => remove(&kept),
            Ok(_) if self.made => remove(&self.path),
            Ok((_, back)) => match read(&kept)?.is_some_and(|old| old == back) {
                true => rename(&kept, &self.path),
                false => replace(&self.path, &back).and_then(|()| remove(&kept)),
            },
            Err(_) if at_any_price => {
                let mut aside = kept.clone().into_os_string();
                aside.push(".changed");
                fs::copy(&self.path, &aside)
                    .with_context(|| format!("cannot keep {}", self.path.display()))?;
                match self.made {
                    true => remove(&self.path),
                    false => rename(&kept, &self.path),
                }
            }
            Err(error) => Err(error),
        }
    }
}

/// `None` for a file that is not there.
fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Removes a file, if it is there.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => sync_parent(path),
    }
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("cannot put {} back", to.display()))?;
    sync_parent(to)
}

/// Writes a file anew, in one step, with the owner and mode of the one that is there.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    // A name that neither libpam nor sshd reads.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.pam_mfa-new"));
    let written = remove(&new).and_then(|()| {
        write_like(&new, text, path).with_context(|| format!("cannot write {}", new.display()))
    });
    let done = written.and_then(|()| rename(&new, path));
    if done.is_err() {
        let _ = fs::remove_file(&new);
    }
    done
}

fn write_like(new: &Path, text: &str, old: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(new)?;
    let mode = match fs::metadata(old) {
        Ok(like) => {
            fchown(&file, Some(like.uid()), Some(like.gid()))?;
            like.permissions()
        }
        Err(_) => fs::Permissions::from_mode(0o644),
    };
    file.set_permissions(mode)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn sync_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let synced = File::open(parent).and_then(|dir| dir.sync_all());
    synced.with_context(|| format!("cannot see {} on the disk", parent.display()))
}
