//! `mfa-admin stack disable`.

use anyhow::{Result, bail};
use mfa_core::paths::Root;
use pam_stack::Stack;

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
        bail!("{}", not_by_us(root, service));
    };
    let mut terminal = Terminal::new(Stream::Out)?;
    let dir = Record::dir(root, service);
    for edit in &record.edits {
        let (now, back) = edit.seen(&dir)?;
        super::show(&mut terminal, edit, &now, &back)?;
    }
    if !options.yes {
        super::agreed(&mut terminal, "Change this?")?;
    }
    let lock = record::lock(root)?;
    super::put_back(root, &lock, &record, false)?;
    keeper::release(service);
    terminal.say(&format!("{service} asks for no code any more."))?;
    Ok(())
}

fn not_by_us(root: &Root, service: &str) -> String {
    let stack = Stack::read(&root.below(""), service).ok();
    let line = stack.and_then(|stack| stack.entries.into_iter().find(is_ours));
    match line {
        None => format!("{service} does not ask for a code, so there is nothing to undo"),
        Some(entry) if entry.file.ends_with("common-auth") => format!(
            "pam-auth-update put pam_mfa.so into {}: run pam-auth-update --disable mfa",
            entry.file.display()
        ),
        Some(entry) => format!(
            "pam_mfa.so was put into {} by hand (line {}): take it out there",
            entry.file.display(),
            entry.line
        ),
    }
}
