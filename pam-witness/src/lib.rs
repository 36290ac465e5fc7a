//! What the program `pam-witness` tells, as lines of JSON, and how it is answered: by a line for each
//! prompt, or by the end of its input if nobody answers any more.

#![forbid(unsafe_code)]

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Something that happened, in the order in which it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// libpam has loaded the module of a line; the lines of a kind come in the order of the stack.
    Loaded {
        /// The type of the line.
        kind: Kind,
        /// The module's file, as libpam names it.
        module: PathBuf,
        /// Whether it has the function that is wanted.
        callable: bool,
    },
    /// There are more lines than can be followed. Nothing else comes, and nothing was asked.
    TooMany,
    /// A module begins: that of the line that was loaded as this one, from 0.
    Called(usize),
    /// It has a message. A question waits for an answer.
    Message(Style, String),
    /// It has said this (a return value of pam(3)).
    Returned(i32),
    /// It is over.
    Ended {
        /// What it came to (a return value of pam(3)).
        code: i32,
        /// What libpam calls that.
        text: String,
    },
}

/// The type of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Who is it?
    Auth,
    /// May he come in now?
    Account,
}

/// The kind of a message (pam_conv(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Style {
    /// A question whose answer is not shown.
    Hidden,
    /// A question whose answer is shown.
    Shown,
    /// Something is wrong.
    Error,
    /// For information.
    Info,
}
