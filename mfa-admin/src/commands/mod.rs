//! The commands, one a file.

mod disable;
mod enroll;
mod init;
mod list;
mod regenerate;
mod status;
mod unlock;

use std::io::{Write, stderr};

use anyhow::Result;
use mfa_core::fault::Fault;
use mfa_core::overview::Overview;

use crate::cli::{Cli, Command};
use crate::time;

/// Does what the command line says.
pub fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Init(options) => init::run(&cli.root, &options),
        Command::Enroll(options) => enroll::run(&cli.root, &options),
        Command::Regenerate(options) => regenerate::run(&cli.root, &options),
        Command::Disable(options) => disable::run(&cli.root, &options),
        Command::Unlock(options) => unlock::run(&cli.root, &options),
        Command::List(options) => list::run(&cli.root, &options),
        Command::Status(options) => status::run(&cli.root, &options),
    }
}

/// What was to be done is done, but something after it went wrong.
fn warn(warning: Option<Fault>) {
    if let Some(fault) = warning {
        // There is nobody to tell if even this cannot be written.
        let _ = writeln!(stderr(), "mfa-admin: warning: it is done, but {fault}");
    }
}

fn last_login(seen: &Overview) -> String {
    match seen.granted {
        Some(granted) => time::local(granted),
        None if seen.state_is_known => "never".to_owned(),
        None => "unknown".to_owned(),
    }
}
