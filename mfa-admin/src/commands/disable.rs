//! `mfa-admin disable`: a user without a second factor.

use anyhow::{Result, anyhow, ensure};
use mfa_core::config::Config;
use mfa_core::enrollment::{self, Error};
use mfa_core::paths::Root;
use mfa_core::policy::{self, Login, Unready};
use mfa_core::store::{Removed, Store};
use mfa_core::user::{self, NameService, shown};

use crate::cli::Disable;
use crate::stream::Stream;
use crate::terminal::Terminal;
use crate::time;

/// Removes record and state.
pub fn run(root: &Root, options: &Disable) -> Result<()> {
    let store = Store::open(root)?.by_force(options.force);
    let (uid, name) = whom(&store, options)?;
    if matches!(store.record(uid), Ok(None)) {
        return Err(not_enrolled(options, uid));
    }
    let user = options.user.as_deref();
    let then = user.map_or_else(String::new, |user| what_follows(root, user, uid));
    let mut terminal = Terminal::new(Stream::Out)?;
    if !options.yes {
        confirm(&mut terminal, &name, &then)?;
    }
    match store.remove(uid)? {
        Removed::Nothing => return Err(not_enrolled(options, uid)),
        Removed::All => {}
        Removed::Record(fault) => super::warn(Some(format!(
            "{fault}. What is left of the state lets nobody in. Mend that, then remove it: {}",
            store.state_path(uid).display()
        ))),
    }
    super::tell(&format!("{name} is not enrolled any more.{then}"))
}

/// What a login of his meets then. A configuration that is not understood is no reason not to disable him.
fn what_follows(root: &Root, user: &str, uid: u32) -> String {
    let name = shown(user);
    match unready(root, user, uid) {
        Ok(None) => String::new(),
        Ok(Some(Unready::Denied { .. })) => format!(
            " Wherever a code is asked for, {name} is refused until: mfa-admin enroll {name}"
        ),
        Ok(Some(Unready::Skipped { rule, until })) => {
            let until = until.map_or_else(String::new, |day| format!(" until {day} (UTC)"));
            format!(
                " Without a second factor no login of {name} is asked for a code{until} ({rule}). A \
                 new one: mfa-admin enroll {name}"
            )
        }
        Err(error) => {
            format!(" Whether {name} gets in without a second factor cannot be told: {error:#}")
        }
    }
}

/// `None` if the account is gone: nobody logs in to it.
fn unready(root: &Root, user: &str, uid: u32) -> Result<Option<Unready>> {
    if user::uid_of(user)? != Some(uid) {
        return Ok(None);
    }
    let config = Config::load(root).map_err(|refusal| anyhow!("{refusal}"))?;
    // What becomes of those who are not enrolled is the same at every service.
    let login = Login {
        user,
        uid: Some(uid),
        service: "",
        rhost: None,
    };
    Ok(Some(policy::unready(
        &config,
        &login,
        &NameService,
        time::now(),
    )?))
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

fn confirm(terminal: &mut Terminal, name: &str, then: &str) -> Result<()> {
    terminal.say(&format!(
        "This removes the secret and the backup codes of {name}. They cannot be brought back.{then}"
    ))?;
    let answer = terminal.need("Type disable to go on: ", "--yes")?;
    ensure!(
        answer.trim() == "disable",
        "\"disable\" was not typed. Nothing was changed. In scripts add --yes"
    );
    Ok(())
}
