//! `mfa-admin stack`: has a service ask for a code, in a way that puts itself back.

mod confirm;
mod disable;
mod enable;
mod status;
mod wait;

use anyhow::{Context, Result, ensure};
use mfa_core::lock::Lock;
use mfa_core::paths::Root;
use similar::TextDiff;

use crate::cli::StackCommand;
use crate::stack::edit::Edit;
use crate::stack::record::Record;
use crate::stack::sshd;
use crate::terminal::Terminal;

/// Does what the command line says.
pub fn run(root: &Root, command: &StackCommand) -> Result<()> {
    super::check_here_as_root(root, "stack changes")?;
    match command {
        StackCommand::Enable(options) => enable::run(root, options),
        StackCommand::Confirm(options) => confirm::run(root, options),
        StackCommand::Disable(options) => disable::run(root, options),
        StackCommand::Status => status::run(root),
        StackCommand::Wait(options) => wait::run(root, options),
    }
}

/// Shows a change as diff(1) does with `-u`.
fn show(terminal: &mut Terminal, edit: &Edit, old: &str, new: &str) -> Result<()> {
    if old == new {
        return Ok(());
    }
    let path = edit.path.display().to_string();
    let diff = TextDiff::from_lines(old, new);
    let text = diff.unified_diff().header(&path, &path).to_string();
    Ok(terminal.say(text.trim_end())?)
}

/// Whether somebody agrees; nothing is done without a yes.
fn agreed(terminal: &mut Terminal, question: &str) -> Result<()> {
    let answer = terminal.ask(&format!("{question} [y/N] "))?;
    let yes =
        answer.is_some_and(|answer| ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()));
    ensure!(yes, "nothing was changed. In scripts add --yes");
    Ok(())
}

/// Puts everything back, has sshd read it, and forgets the change. Safe to repeat.
fn put_back(root: &Root, _: &Lock, record: &Record, at_any_price: bool) -> Result<()> {
    record.put_back(root, at_any_price)?;
    if sshd::drop_in_of(&record.edits).is_some() {
        let told = sshd::reload();
        told.context(
            "everything is put back, but sshd has not read it yet. Mend this, then try again",
        )?;
    }
    record.forget_proofs(root);
    record.forget(root)
}
