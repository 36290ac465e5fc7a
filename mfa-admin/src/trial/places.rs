//! Where the modules that libpam loads stand in the files of a service.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use mfa_core::paths::Root;
use pam_stack::{Entry, Stack, What};
use pam_witness::Kind;

use super::view::UNKNOWN;

/// The lines that libpam was not seen to load yet.
pub struct Places {
    auth: Vec<Entry>,
    account: Vec<Entry>,
    /// What there is to say about the files.
    pub notes: Vec<String>,
}

impl Places {
    /// Reads the service's files. Where that fails modules go without a place.
    pub fn read(root: &Root, service: &str) -> Places {
        let root = root.below("");
        let (mut lacking, mut notes) = (Vec::new(), Vec::new());
        let mut lines = |kind, stack: io::Result<Stack>| {
            let stack = stack
                .inspect_err(|error| notes.push(error.to_string()))
                .ok();
            let other = stack.as_ref().and_then(|stack| stack.files.first());
            if let Some(file) = other.filter(|file| !file.ends_with(service)) {
                lacking.push((kind, file.display().to_string()));
            }
            let entries = stack.into_iter().flat_map(|stack| stack.entries);
            let calls = |entry: &Entry| entry.what != What::Substack;
            entries.filter(calls).collect()
        };
        let auth = lines("auth", Stack::read(&root, service));
        let account = lines("account", Stack::read_account(&root, service));
        notes.dedup();
        let mut notes: Vec<String> = notes
            .iter()
            .map(|error| format!("The lines of {service} cannot be shown: {error}.\n"))
            .collect();
        if let Some((_, file)) = lacking.first() {
            let kinds: Vec<&str> = lacking.iter().map(|(kind, _)| *kind).collect();
            notes.push(format!(
                "{service} has no {} lines of its own: libpam takes those of {file}.\n",
                kinds.join(" and no ")
            ));
        }
        Places {
            auth,
            account,
            notes,
        }
    }

    /// What to call the next line whose module was loaded, and what is to be said of those before it.
    pub fn next(&mut self, kind: Kind, file: &Path) -> (String, Vec<String>) {
        let lines = match kind {
            Kind::Auth => &mut self.auth,
            Kind::Account => &mut self.account,
        };
        let Some(place) = lines.iter().position(|line| is_of(line, file)) else {
            let name = file.file_name().unwrap_or(file.as_os_str());
            return (name.display().to_string(), Vec::new());
        };
        let passed = lines.drain(..place).map(|line| not_loaded(&line)).collect();
        (label(&lines.remove(0)), passed)
    }

    /// What is to be said of the lines that are left.
    pub fn rest(&mut self) -> Vec<String> {
        let lines = self.auth.drain(..).chain(self.account.drain(..));
        lines.map(|line| not_loaded(&line)).collect()
    }
}

/// Whether this is the file that the line names: by itself, or from the folder of the modules.
fn is_of(line: &Entry, file: &Path) -> bool {
    let What::Module(named, _) = &line.what else {
        return false;
    };
    let named = Path::new(named);
    let id = |path: &Path| fs::metadata(path).ok().map(|seen| (seen.dev(), seen.ino()));
    match named.is_absolute() {
        true => id(named).is_some_and(|named| id(file) == Some(named)),
        false => file.ends_with(named),
    }
}

fn label(line: &Entry) -> String {
    let place = format!("{}:{}", line.file.display(), line.line);
    match &line.what {
        What::Module(name, _) => format!("{name} ({place})"),
        What::Substack | What::Unreadable => place,
    }
}

fn not_loaded(line: &Entry) -> String {
    let line_is = label(line);
    match line.what {
        What::Unreadable => format!("{line_is}: not understood; libpam refuses there"),
        _ => format!("{line_is}: cannot be loaded ({UNKNOWN})"),
    }
}
