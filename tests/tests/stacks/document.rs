//! The stacks as `docs/pam.md` has them.

use std::{collections::BTreeSet, fs, sync::OnceLock};

use mfa_tests::{locate, machine::Machine};

/// The line that a block for a PAM file stands for.
const REPLACED: &str = "@include common-auth";

/// A fenced block: what stands in which files.
#[derive(Debug)]
pub struct Block {
    /// The heading above it.
    pub section: String,
    /// Whether it shows what goes wrong.
    pub wrong: bool,
    /// The paths in its first line.
    pub files: Vec<String>,
    /// All below its first line.
    pub text: String,
}

/// Every block of the document.
pub fn blocks() -> &'static [Block] {
    static BLOCKS: OnceLock<Vec<Block>> = OnceLock::new();
    BLOCKS.get_or_init(|| {
        let path = locate::workspace().join("docs/pam.md");
        parse(&fs::read_to_string(path).expect("read docs/pam.md"))
    })
}

fn parse(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut section = "";
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("##") {
            section = line.trim_start_matches('#').trim();
        }
        if line.starts_with("```") {
            let inside: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(block(section, &inside));
        }
    }
    blocks
}

fn block(section: &str, lines: &[&str]) -> Block {
    let (marker, lines) = lines.split_first().expect("a line that names the file");
    let marker = marker.strip_prefix("# ").expect("a marker");
    let (wrong, names) = match marker.strip_prefix("wrong: ") {
        Some(names) => (true, names),
        None => (false, marker),
    };
    let files: Vec<String> = names.split(" and ").map(str::to_owned).collect();
    for file in &files {
        assert!(file.starts_with("/etc/"), "{file}");
    }
    Block {
        section: section.to_owned(),
        wrong,
        files,
        text: lines.iter().map(|line| format!("{line}\n")).collect(),
    }
}

/// The sections that tell what to do.
pub fn sections() -> BTreeSet<&'static str> {
    let right = blocks().iter().filter(|block| !block.wrong);
    right.map(|block| &*block.section).collect()
}

/// Installs what the section says, in the files that are there.
#[track_caller]
pub fn install(machine: &Machine, section: &str) {
    install_where(machine, section, |block| !block.wrong);
}

/// Installs what the section warns of.
#[track_caller]
pub fn install_wrong(machine: &Machine, section: &str) {
    install_where(machine, section, |block| block.wrong);
}

#[track_caller]
fn install_where(machine: &Machine, section: &str, wanted: impl Fn(&Block) -> bool) {
    let blocks = blocks().iter().filter(|block| block.section == section);
    let blocks: Vec<&Block> = blocks.filter(|block| wanted(block)).collect();
    assert!(!blocks.is_empty(), "no block in {section:?}");
    for block in blocks {
        for file in &block.files {
            match file.starts_with("/etc/pam.d/") {
                true => replace(machine, file, &block.text),
                false => machine.write(file, &block.text, "0644"),
            }
        }
    }
}

/// Puts the block in the place of the one line that it stands for.
#[track_caller]
fn replace(machine: &Machine, file: &str, block: &str) {
    let found = machine.read(file);
    let line = format!("{REPLACED}\n");
    assert_eq!(found.matches(&line).count(), 1, "{file}:\n{found}");
    machine.write(file, &found.replace(&line, block), "0644");
}
