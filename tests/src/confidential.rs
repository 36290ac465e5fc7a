//! What must never stand in a log: secrets, and whatever was typed.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

/// Shorter texts stand in a line by chance.
const SHORTEST: usize = 6;

/// The confidential texts of one sandbox or machine; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Confidential(Arc<Mutex<BTreeSet<String>>>);

impl Confidential {
    /// From here on the text counts, as it is and without its blanks and dashes.
    pub fn keep(&self, text: &str) {
        let bare = text.replace([' ', '-', '\n', '\r'], "");
        if bare.len() >= SHORTEST {
            let mut texts = self.0.lock().expect("nobody panics with the texts");
            texts.extend([text.trim().to_owned(), bare]);
        }
    }

    /// The line in which one of the texts stands; the number of the process is none of them.
    pub fn found_in<'l>(&self, lines: &'l [String]) -> Option<&'l String> {
        let texts = self.0.lock().expect("nobody panics with the texts");
        lines.iter().find(|line| {
            let words = line.split_once("]: ").map_or(&***line, |(_, words)| words);
            texts.iter().any(|text| words.contains(text))
        })
    }
}
