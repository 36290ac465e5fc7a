//! `mfa-admin regenerate`: ten new backup codes, the old ones dead.

use std::io::{Write, stderr};

use anyhow::{Context, Result, bail, ensure};
use mfa_core::backup::{BackupSet, Cost};
use mfa_core::enrollment;
use mfa_core::paths::Root;
use mfa_core::store::Store;
use mfa_core::user::shown;

use crate::backup_file::BackupFile;
use crate::cli::{HandingOver, Regenerate};
use crate::codes::{self, Codes};
use crate::json::{self, Regenerated};
use crate::stream::Stream;
use crate::terminal::Terminal;
use crate::time;

/// The secret stays. The command's name is consent enough: it asks nothing.
pub fn run(root: &Root, options: &Regenerate) -> Result<()> {
    let store = Store::open(root)?;
    let handing_over = &options.handing_over;
    match &options.user {
        Some(user) => match one(&store, user, handing_over)? {
            true => Ok(()),
            false => bail!(codes::not_shown("has new backup codes", user) + ": it was broken off"),
        },
        None => all(root, &store, handing_over),
    }
}

/// A record that cannot be used stops nobody else.
fn all(root: &Root, store: &Store, handing_over: &HandingOver) -> Result<()> {
    let mut failed = 0;
    for (uid, seen) in super::everybody(root, store)? {
        let done = match seen {
            Ok(seen) => one(store, &seen.user, handing_over),
            Err(fault) => Err(fault.into()),
        };
        match done {
            Ok(true) => {}
            Ok(false) => bail!("broken off: the users after uid {uid} keep their backup codes"),
            Err(error) => {
                failed += 1;
                writeln!(stderr(), "mfa-admin: uid {uid}: {error:#}")?;
            }
        }
    }
    ensure!(failed == 0, "users without new backup codes: {failed}");
    Ok(())
}

/// Says whether the person goes on.
fn one(store: &Store, user: &str, handing_over: &HandingOver) -> Result<bool> {
    let uid = enrollment::find(store, user)?;
    let mut terminal = Terminal::new(Stream::beside_json(handing_over.json))?;
    let mut file = BackupFile::wanted(handing_over)?;

    let made = time::now();
    let (set, codes) = BackupSet::generate(Cost::default(), made)?;
    let codes = Codes {
        user,
        made,
        codes: &codes,
    };
    codes.write(file.as_mut())?;
    terminal.check_not_broken_off()?;
    super::warn(enrollment::regenerate(store, user, set, made)?);
    if let Some(file) = file {
        file.keep();
    }
    tell(&mut terminal, handing_over, &codes, uid)
        .with_context(|| codes::not_shown("has new backup codes", user))
}

fn tell(
    terminal: &mut Terminal,
    handing_over: &HandingOver,
    codes: &Codes,
    uid: u32,
) -> Result<bool> {
    let user = codes.user;
    let goes_on = codes.show(terminal, handing_over)?;
    terminal.leave()?;
    if handing_over.json {
        let backup_codes = codes.codes;
        json::print(&Regenerated {
            user,
            uid,
            backup_codes,
        })?;
        return Ok(goes_on);
    }
    terminal.say(&format!(
        "{} has ten new backup codes; the old ones do not work any more.",
        shown(user)
    ))?;
    codes::say_where(terminal, handing_over)?;
    Ok(goes_on)
}
