//! From the files of a service to its stack.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::control::Control;
use crate::line::{lines, words};
use crate::{Entry, Stack, What};

/// Where libpam looks for a service, the first first.
const FOLDERS: [&str; 2] = ["etc/pam.d", "usr/lib/pam.d"];

/// What stands in for a service that has no file, or no `auth` line.
const OTHER: &str = "other";

/// More lines than anybody writes.
const MOST: usize = 5000;

/// No file of PAM is larger (bytes).
const LARGEST: u64 = 1 << 20;

/// How deep files may take in one another.
const DEEPEST: usize = 16;

impl Stack {
    /// The `auth` stack of a service on the system below `root`.
    ///
    /// # Errors
    /// Neither the service nor `other` has a file, or one of the two cannot be read to its end: libpam
    /// refuses every login then.
    pub fn read(root: &Path, service: &str) -> io::Result<Stack> {
        let source = Source {
            root,
            instead: None,
            kind: Kind::Auth,
        };
        Stack::read_from(source, service)
    }

    /// The `account` stack: which line stands where. [`Stack::way_in`] is not for it.
    ///
    /// # Errors
    /// As for [`Stack::read`].
    pub fn read_account(root: &Path, service: &str) -> io::Result<Stack> {
        let source = Source {
            root,
            instead: None,
            kind: Kind::Account,
        };
        Stack::read_from(source, service)
    }

    /// The same, if this were the text of that file (by its absolute path).
    ///
    /// # Errors
    /// As for [`Stack::read`].
    pub fn read_if(root: &Path, service: &str, file: &Path, text: &str) -> io::Result<Stack> {
        let source = Source {
            root,
            instead: Some((file, text)),
            kind: Kind::Auth,
        };
        Stack::read_from(source, service)
    }

    fn read_from(source: Source, service: &str) -> io::Result<Stack> {
        let own = absent_as_none(load(source, &service.to_lowercase()))?;
        // libpam reads it in any case, and a fault in it is one of every service.
        let other = absent_as_none(load(source, OTHER))?;
        let stack = match (own, other) {
            (Some(own), Some(other)) if own.entries.is_empty() => Some(other),
            (own, other) => own.or(other),
        };
        let neither = "neither it nor the service \"other\" has a file";
        stack.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, neither))
    }
}

/// `None` for a service without a file.
fn absent_as_none(loaded: io::Result<Stack>) -> io::Result<Option<Stack>> {
    match loaded {
        Ok(stack) => Ok(Some(stack)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where files come from.
#[derive(Clone, Copy)]
struct Source<'s> {
    root: &'s Path,
    /// A file, and the text that is taken for its own.
    instead: Option<(&'s Path, &'s str)>,
    /// Which lines are wanted.
    kind: Kind,
}

/// The type of a line (pam.conf(5)).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Auth,
    Account,
    /// `session` and `password`.
    Other,
}

impl Kind {
    fn parse(word: &str) -> Option<Kind> {
        match word {
            "auth" => Some(Kind::Auth),
            "account" => Some(Kind::Account),
            "session" | "password" => Some(Kind::Other),
            _ => None,
        }
    }
}

fn load(source: Source, service: &str) -> io::Result<Stack> {
    let mut stack = Stack {
        entries: Vec::new(),
        elsewhere: Vec::new(),
        files: Vec::new(),
    };
    let place = Place {
        level: 0,
        depth: 0,
        wanted: false,
    };
    take_in(source, service, place, &mut stack)?;
    Ok(stack)
}

/// Where a file is taken in.
#[derive(Clone, Copy)]
struct Place {
    /// In how many substacks.
    level: usize,
    /// In how many files.
    depth: usize,
    /// Whether by a line of the type that is wanted.
    wanted: bool,
}

/// Adds the lines that are wanted of a file, and of what it takes in.
fn take_in(source: Source, name: &str, place: Place, stack: &mut Stack) -> io::Result<()> {
    if place.depth >= DEEPEST || stack.entries.len() >= MOST {
        return Err(io::Error::other("files take in one another"));
    }
    let (file, text) = open(source, name)?;
    if !stack.files.contains(&file) {
        stack.files.push(file.clone());
    }
    let lines = lines(&text).map_err(|error| broken(&file, error))?;
    for line in lines {
        let words = words(&line.text);
        let mut words = words.iter().map(String::as_str);
        let kind = words.next().unwrap_or_default();
        let entry = |what, control, level| Entry {
            file: file.clone(),
            line: line.number,
            level,
            what,
            control,
        };
        let deeper = Place {
            depth: place.depth + 1,
            ..place
        };
        if kind.eq_ignore_ascii_case("@include") {
            // Debian's own; a file that is not there is the end of the service.
            let name = words.next().unwrap_or_default();
            take_in(source, name, deeper, stack).map_err(|error| broken(&file, error))?;
            continue;
        }
        let kind = kind.strip_prefix('-').unwrap_or(kind).to_ascii_lowercase();
        let known = Kind::parse(&kind);
        // What libpam does not know refuses in the place of what is wanted here, or else of the most
        // sensitive type.
        let taken_for = match place.wanted {
            true => source.kind,
            false => Kind::Auth,
        };
        if known.unwrap_or(taken_for) != source.kind {
            let control = Control::parse(words.next().unwrap_or_default());
            if let (Some(_), Some(module)) = (known, words.next()) {
                let what = What::Module(module.to_owned(), words.map(str::to_owned).collect());
                stack.elsewhere.push(entry(what, control, place.level));
            }
            continue;
        }
        let control = words.next().unwrap_or_default();
        let target = words.next();
        match (control.to_ascii_lowercase().as_str(), target) {
            (how @ ("include" | "substack"), target) => {
                let level = place.level + usize::from(how == "substack");
                if how == "substack" {
                    stack
                        .entries
                        .push(entry(What::Substack, Control::NO, place.level));
                }
                let deeper = Place {
                    level,
                    wanted: true,
                    ..deeper
                };
                let taken = target.map(|name| take_in(source, name, deeper, stack));
                if !matches!(taken, Some(Ok(()))) {
                    stack
                        .entries
                        .push(entry(What::Unreadable, Control::NO, place.level));
                }
            }
            (_, None) => stack.entries.push(entry(
                What::Unreadable,
                Control::parse(control),
                place.level,
            )),
            (_, Some(module)) => {
                let arguments = words.map(str::to_owned).collect();
                let what = match known {
                    Some(_) => What::Module(module.to_owned(), arguments),
                    None => What::Unreadable,
                };
                stack
                    .entries
                    .push(entry(what, Control::parse(control), place.level));
            }
        }
    }
    Ok(())
}

fn broken(file: &Path, what: impl Display) -> io::Error {
    io::Error::other(format!("{}: {what}", file.display()))
}

/// The file of a service, or one by its absolute path.
fn open(source: Source, name: &str) -> io::Result<(PathBuf, String)> {
    let paths = match name.strip_prefix('/') {
        Some(path) => vec![PathBuf::from(path)],
        None => FOLDERS
            .iter()
            .map(|folder| Path::new(folder).join(name))
            .collect(),
    };
    let mut found = Err(io::ErrorKind::NotFound.into());
    for path in paths {
        let whole = Path::new("/").join(&path);
        if let Some((_, text)) = source.instead.filter(|(file, _)| *file == whole) {
            return Ok((whole, text.to_owned()));
        }
        let path = source.root.join(&path);
        let seen = fs::metadata(&path);
        // A FIFO would be waited for.
        if seen.is_ok_and(|seen| !seen.is_file() || seen.len() > LARGEST) {
            return Err(broken(&whole, "it is no file, or too large"));
        }
        found = fs::read(&path);
        if let Ok(bytes) = found {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Ok((whole, text));
        }
    }
    found.map(|_| Default::default())
}
