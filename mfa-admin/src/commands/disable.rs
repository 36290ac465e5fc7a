//! `mfa-admin disable`: a user without a second factor.

use anyhow::{Context, Result, ensure};
use mfa_core::enrollment::{self, Error};
use mfa_core::paths::Root;
use mfa_core::store::Store;

use crate::cli::Disable;
use crate::stream::Stream;
use crate::terminal::{BROKEN_OFF, Terminal};

/// Removes record and state.
pub fn run(root: &Root, options: &Disable) -> Result<()> {
    let user = &options.user;
    let store = Store::open(root)?;
    let uid = enrollment::find(&store, user)?;
    if matches!(store.record(uid), Ok(None)) {
        return Err(Error::NotEnrolled(user.clone()).into());
    }
    let mut terminal = Terminal::new(Stream::Out)?;
    if !options.yes {
        confirm(&mut terminal, user)?;
    }
    enrollment::disable(&store, user)?;
    terminal.say(&format!(
        "{user} is not enrolled any more. A login that asks for a code is refused until: mfa-admin \
         enroll {user}"
    ))?;
    Ok(())
}

fn confirm(terminal: &mut Terminal, user: &str) -> Result<()> {
    terminal.say(&format!(
        "This removes the secret and the backup codes of {user}. They cannot be brought back."
    ))?;
    let answer = terminal.ask("Type disable to go on: ")?;
    ensure!(
        answer.context(BROKEN_OFF)?.trim() == "disable",
        "\"disable\" was not typed. Nothing was changed. In scripts add --yes"
    );
    Ok(())
}
