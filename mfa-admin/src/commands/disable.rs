//! `mfa-admin disable`: a user without a second factor.

use anyhow::{Context, Result, anyhow, ensure};
use mfa_core::enrollment::{self, Error};
use mfa_core::paths::Root;
use mfa_core::store::Store;
use mfa_core::user::shown;

use crate::cli::Disable;
use crate::stream::Stream;
use crate::terminal::{BROKEN_OFF, Terminal};

/// Removes record and state.
pub fn run(root: &Root, options: &Disable) -> Result<()> {
    let store = Store::open(root)?;
    let (uid, name) = whom(&store, options)?;
    if matches!(store.record(uid), Ok(None)) {
        return Err(not_enrolled(options, uid));
    }
    let mut terminal = Terminal::new(Stream::Out)?;
    if !options.yes {
        confirm(&mut terminal, &name)?;
    }
    ensure!(store.remove(uid)?, not_enrolled(options, uid));
    super::tell(&format!(
        "{name} is not enrolled any more. A login that asks for a code is refused until: mfa-admin \
         enroll {name}"
    ))
}

fn whom(store: &Store, options: &Disable) -> Result<(u32, String)> {
    match (&options.user, options.uid) {
        (Some(user), _) => Ok((enrollment::find(store, user)?, shown(user))),
        (None, Some(uid)) => Ok((uid, format!("uid {uid}"))),
        // The command line does not let this through.
        (None, None) => Err(anyhow!("name a user")),
    }
}

fn not_enrolled(options: &Disable, uid: u32) -> anyhow::Error {
    match &options.user {
        Some(user) => Error::NotEnrolled(user.clone()).into(),
        None => anyhow!("uid {uid} is not enrolled"),
    }
}

fn confirm(terminal: &mut Terminal, name: &str) -> Result<()> {
    terminal.say(&format!(
        "This removes the secret and the backup codes of {name}. They cannot be brought back, and \
         a login that asks for a code is refused then."
    ))?;
    let answer = terminal.ask("Type disable to go on: ")?;
    ensure!(
        answer.context(BROKEN_OFF)?.trim() == "disable",
        "\"disable\" was not typed. Nothing was changed. In scripts add --yes"
    );
    Ok(())
}
