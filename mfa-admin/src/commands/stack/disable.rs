//! `mfa-admin stack disable`.

use anyhow::{Result, bail, ensure};
use mfa_core::paths::Root;
use pam_stack::{Entry, Stack};

use crate::cli::StackDisable;
use crate::doctor::stack::is_ours;
use crate::stack::keeper;
use crate::stack::record::{self, Record};
use crate::stream::Stream;
use crate::terminal::Terminal;

/// Puts back what `stack enable` changed, but for what others changed since.
pub fn run(root: &Root, options: &StackDisable) -> Result<()> {
    let service = &options.service;
    let Some(record) = Record::load(root, service)? else {
        match our_line(root, service) {
            None => bail!("{service} does not ask for a code, so there is nothing to undo"),
            Some(entry) => bail!("{}", not_by_us(&entry)),
        }
    };
    let mut terminal = Terminal::new(Stream::Out)?;
    for edit in &record.edits {
        let (now, back) = edit.seen()?;
        super::show(&mut terminal, edit, &now, &back)?;
    }
    if !options.yes {
        super::agreed(&mut terminal, "Change this?")?;
    }
    let lock = record::lock(root)?;
    // Time may have run out while somebody was asked, or another change been made.
    let present = Record::load(root, service)?.map(|record| record.id);
    ensure!(
        present == Some(record.id),
        "{service} was changed meanwhile, and nothing was done now. See: mfa-admin stack status"
    );
    super::put_back(root, &lock, &record, false)?;
    keeper::release(service);
    drop(lock);
    terminal.say(&match our_line(root, service) {
        None => format!("{service} asks for no code any more."),
        Some(entry) => format!(
            "It is undone, but {service} still asks: {}",
            not_by_us(&entry)
        ),
    })?;
    Ok(())
}

fn our_line(root: &Root, service: &str) -> Option<Entry> {
    let stack = Stack::read(&root.below(""), service).ok();
    stack.and_then(|stack| stack.entries.into_iter().find(is_ours))
}

fn not_by_us(entry: &Entry) -> String {
    let file = entry.file.display();
    match entry.file.ends_with("common-auth") {
        true => {
            format!("pam-auth-update put pam_mfa.so into {file}: run pam-auth-update --disable mfa")
        }
        false => format!(
            "pam_mfa.so was put into {file} by hand (line {}): take it out there",
            entry.line
        ),
    }
}
