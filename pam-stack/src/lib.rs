//! Reads the `auth` part of a PAM service as libpam does, and tells what it can come to, whatever its
//! modules say. Of the `account` part it reads which line stands where.
//!
//! [`Stack::read`] takes in files (pam.conf(5)), [`Stack::way_in`] walks them.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod code;
mod control;
mod line;
mod read;
mod walk;

use std::path::PathBuf;

pub use code::Code;
pub use control::{Action, Control};
pub use walk::Step;

/// The `auth` lines of a service (or the `account` lines), with everything that they take in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// In the order in which libpam goes through them.
    pub entries: Vec<Entry>,
    /// Lines of other types, which for an `auth` stack decide about no password and no code.
    pub elsewhere: Vec<Entry>,
    /// Every file that was read, each once.
    pub files: Vec<PathBuf>,
}

/// A line that stands for a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The file in which it stands.
    pub file: PathBuf,
    /// The number of its last line there, from 1.
    pub line: usize,
    /// How many substacks it stands in.
    pub level: usize,
    /// What is at this place.
    pub what: What,
    /// What follows from what the module says.
    pub control: Control,
}

/// What is at a place of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A module, and its arguments.
    Module(String, Vec<String>),
    /// A substack begins; nothing is called.
    Substack,
    /// What libpam does not understand: it refuses here.
    Unreadable,
}

impl Entry {
    /// Whether it is the module of that name, in whatever folder.
    pub fn is(&self, name: &str) -> bool {
        matches!(&self.what, What::Module(path, _) if path.rsplit('/').next() == Some(name))
    }
}
