//! The recipes as `docs/recovery.md` has them.

use std::{fs, sync::OnceLock};

use mfa_tests::locate;

/// A command block of the document: the heading above it, and which of those below that heading it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe(pub &'static str, pub usize);

impl Recipe {
    /// The commands, as they stand in the document.
    #[track_caller]
    pub fn commands(self) -> &'static str {
        let found = blocks().iter().find(|(recipe, _)| *recipe == self);
        let (_, commands) = found.unwrap_or_else(|| panic!("no such block: {self:?}"));
        commands
    }
}

/// Every recipe, in the order of the document.
pub fn recipes() -> Vec<Recipe> {
    blocks().iter().map(|(recipe, _)| *recipe).collect()
}

/// What stands between backquotes in the first column of the table of reasons.
pub fn reasons() -> Vec<&'static str> {
    let rows = document().lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let quoted = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    quoted.filter(|text| !text.contains(' ')).collect()
}

fn document() -> &'static str {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let path = locate::workspace().join("docs/recovery.md");
        fs::read_to_string(path).expect("read docs/recovery.md")
    })
}

fn blocks() -> &'static [(Recipe, String)] {
    static BLOCKS: OnceLock<Vec<(Recipe, String)>> = OnceLock::new();
    BLOCKS.get_or_init(|| parse(document()))
}

fn parse(document: &'static str) -> Vec<(Recipe, String)> {
    let mut blocks = Vec::new();
    let (mut heading, mut number) = ("", 0);
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if line.starts_with('#') {
            (heading, number) = (line.trim_start_matches('#').trim(), 0);
        }
        if line.starts_with("```") {
            let inside = lines.by_ref().take_while(|line| *line != "```");
            let commands = inside.map(|line| format!("{line}\n")).collect();
            number += 1;
            blocks.push((Recipe(heading, number), commands));
        }
    }
    blocks
}
