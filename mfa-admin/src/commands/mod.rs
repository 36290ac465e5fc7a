//! The commands, one a file.

mod config_check;
mod disable;
mod doctor;
mod enroll;
mod init;
mod list;
mod regenerate;
mod stack;
mod status;
mod test;
mod unlock;

use std::fmt::Display;
use std::io::{Write, stderr, stdout};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, ensure};
use mfa_core::config::Config;
use mfa_core::overview::{self, Entry, Overview};
use mfa_core::paths::Root;
use mfa_core::store::Store;
use nix::unistd::geteuid;

use crate::cli::{Cli, Command, ConfigCommand};
use crate::time;

/// Does what the command line says.
pub fn run(cli: Cli) -> Result<ExitCode> {
    let done = match cli.command {
        Command::Doctor(options) => return doctor::run(&cli.root, &options),
        Command::Test(options) => return test::run(&cli.root, &options),
        Command::Init(options) => init::run(&cli.root, &options),
        Command::Enroll(options) => enroll::run(&cli.root, &options),
        Command::Regenerate(options) => regenerate::run(&cli.root, &options),
        Command::Disable(options) => disable::run(&cli.root, &options),
        Command::Unlock(options) => unlock::run(&cli.root, &options),
        Command::List(options) => list::run(&cli.root, &options),
        Command::Status(options) => status::run(&cli.root, &options),
        Command::Stack(command) => stack::run(&cli.root, &command),
        Command::Config(ConfigCommand::Check(options)) => config_check::run(&cli.root, &options),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// For what is done on the running system by root, and nowhere else.
fn check_here_as_root(root: &Root, what: &str) -> Result<()> {
    ensure!(
        root.below("") == Path::new("/"),
        "{what} the running system alone: leave --root out"
    );
    ensure!(geteuid().is_root(), "this must run as root");
    Ok(())
}

/// Says what was done. Where that cannot be said, it is done all the same.
fn tell(done: &str) -> Result<()> {
    writeln!(stdout(), "{done}").context("it is done, but standard output cannot be written")
}

/// What was to be done is done, but something after it went wrong.
fn warn(warning: Option<impl Display>) {
    if let Some(warning) = warning {
        // There is nobody to tell if even this cannot be written.
        let _ = writeln!(stderr(), "mfa-admin: warning: it is done, but {warning}");
    }
}

/// One user, under the policy of the machine; and what is wrong with that policy.
fn seen(root: &Root, store: &Store, user: &str) -> Result<(Overview, Result<()>)> {
    let (suspend_after, in_order) = suspend_after(root);
    let seen = overview::of(store, user, suspend_after, time::now())?;
    Ok((seen, in_order))
}

/// Everybody, under the policy of the machine; and what is wrong with that policy.
fn everybody(root: &Root, store: &Store) -> Result<(Vec<Entry>, Result<()>)> {
    let (suspend_after, in_order) = suspend_after(root);
    let all = overview::all(store, suspend_after, time::now())?;
    Ok((all, in_order))
}

/// A configuration that is not understood hides nothing of what is known without it.
fn suspend_after(root: &Root) -> (usize, Result<()>) {
    match Config::load(root) {
        Ok(config) => (config.suspend_after, Ok(())),
        Err(refusal) => (0, Err(anyhow!("{refusal}"))),
    }
}

/// When something was done last; a lost state does not tell whether it ever was.
fn last(done: Option<i64>, seen: &Overview) -> String {
    match done {
        Some(time) => time::local(time),
        None if seen.state_is_known => "never".to_owned(),
        None => "unknown".to_owned(),
    }
}
