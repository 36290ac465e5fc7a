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
        self.check_unchanged()?;
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
        self.check_unchanged()?;
        match self.new == self.old {
            true => Ok(()),
            false => replace(&self.edit.path, &self.new),
        }
    }

    fn check_unchanged(&self) -> Result<()> {
        let path = &self.edit.path;
        let was = (!self.edit.made).then_some(&self.old);
        ensure!(
            read(path)?.as_ref() == was,
            "{} was changed meanwhile. Try again",
            path.display()
        );
        Ok(())
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

    /// Whether it stands in the file as it was put there.
    pub fn stands(&self) -> bool {
        let now = read(&self.path).ok().flatten();
        now.is_some_and(|now| self.without(&now).is_some())
    }

    /// Whether both put the same into the same file.
    pub fn is_same(&self, other: &Edit) -> bool {
        (&self.path, &self.put_in) == (&other.path, &other.put_in)
    }

    /// Whether not a line of it is in the text, but for comments.
    fn is_gone_from(&self, text: &str) -> bool {
        let ours = self.put_in.iter().flat_map(|part| part.lines());
        let mut ours = ours.filter(|line| !line.is_empty() && !line.starts_with('#'));
        !ours.any(|line| text.lines().any(|there| there.trim() == line))
    }

    /// What the file says now, and what it would say if this were put back.
    ///
    /// # Errors
    /// Somebody changed what was put in.
    pub fn seen(&self) -> Result<(String, String)> {
        let Some(now) = read(&self.path)? else {
            return Ok(Default::default());
        };
        let back = match self.without(&now) {
            Some(back) => back,
            // Not put in yet, put back already, or taken out by somebody else.
            None if self.is_gone_from(&now) => now.clone(),
            None => bail!(
                "{} was changed by hand. Take what stack enable put there out of it yourself; then try again",
                self.path.display()
            ),
        };
        Ok((now, back))
    }

    /// Puts the file back as it was, but for what others changed in it since. Safe to repeat.
    ///
    /// `at_any_price`: where that cannot be done the old file comes back as it was, and that of others is
    /// kept beside it under a name with `.changed`.
    ///
    /// # Errors
    /// Somebody changed what was put in; or the file cannot be written.
    pub fn put_back(&self, dir: &Path, at_any_price: bool) -> Result<()> {
        let kept = self.kept(dir);
        let _ = fs::remove_file(unfinished(&self.path));
        if at_any_price && !self.made && !self.path.exists() && kept.exists() {
            return rename(&kept, &self.path);
        }
        match self.take_out(&kept) {
            Err(_) if at_any_price => self.bring_back(&kept),
            done => done,
        }
    }

    fn take_out(&self, kept: &Path) -> Result<()> {
        let (now, back) = self.seen()?;
        match now == back {
            true => remove(kept),
            false if self.made && back.is_empty() => remove(&self.path),
            false if read(kept)?.is_some_and(|old| old == back) => {
                // Somebody may have closed it since.
                let permissions = fs::metadata(&self.path)?.permissions();
                fs::set_permissions(kept, permissions)?;
                rename(kept, &self.path)
            }
            false => replace(&self.path, &back).and_then(|()| remove(kept)),
        }
    }

    /// Without needing any space.
    fn bring_back(&self, kept: &Path) -> Result<()> {
        let mut aside = kept.to_path_buf().into_os_string();
        aside.push(".changed");
        let _ = fs::remove_file(&aside);
        let _ = fs::hard_link(&self.path, &aside);
        match self.made {
            true => remove(&self.path),
            false if kept.exists() => rename(kept, &self.path),
            // It is back already.
            false => Ok(()),
        }
    }

    /// The old file is not needed any more.
    pub fn let_go(&self, dir: &Path) -> Result<()> {
        remove(&self.kept(dir))
    }
}

/// A name that neither libpam nor sshd reads.
fn unfinished(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.pam_mfa-new"))
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
    let new = unfinished(path);
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
