//! `mfa-admin regenerate`: ten new backup codes, the old ones dead.

use std::io::{Write, stderr};

use anyhow::{Context, Result, ensure};
use mfa_core::backup::{BackupSet, Cost};
use mfa_core::enrollment::{self, Error};
use mfa_core::overview;
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
    let store = Store::open(root)?.by_force(options.force);
    let handing_over = &options.handing_over;
    match &options.user {
        Some(user) => one(&store, user, enrollment::find(&store, user)?, handing_over),
        None => all(&store, handing_over),
    }
}

/// A record that cannot be used stops nobody else. Whatever else goes wrong stops them all: the
/// codes of the next one could not be handed over either, and would replace those that he has.
fn all(store: &Store, handing_over: &HandingOver) -> Result<()> {
    let mut failed = 0;
    // Who is suspended does not matter, so no configuration is needed: it may be broken, too.
    for (uid, seen) in overview::all(store, 0, time::now())? {
        let done = match seen {
            Ok(seen) => one(store, &seen.user, uid, handing_over),
            Err(fault) => Err(Error::from(fault).into()),
        };
        match done {
            Ok(()) => {}
            Err(error) if error.is::<Error>() => {
                failed += 1;
                // There is nobody to tell if even this cannot be written.
                let _ = writeln!(stderr(), "mfa-admin: uid {uid}: {error:#}");
            }
            Err(error) => {
                return Err(error.context(format!(
                    "stopped at uid {uid}; the users after that keep their backup codes"
                )));
            }
        }
    }
    ensure!(failed == 0, "users without new backup codes: {failed}");
    Ok(())
}

/// An [`Error`] says that the user keeps his codes because of his record or the store.
fn one(store: &Store, user: &str, uid: u32, handing_over: &HandingOver) -> Result<()> {
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
    terminal.check_before_change(user, file.is_some())?;
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
) -> Result<()> {
    let user = codes.user;
    let seen = codes.show(terminal, handing_over)?;
    terminal.leave()?;
    ensure!(seen, "it was broken off while they were shown");
    if handing_over.json {
        let backup_codes = codes.codes;
        return json::print(&Regenerated {
            user,
            uid,
            backup_codes,
        });
    }
    terminal.say(&format!(
        "{} has ten new backup codes; the old ones do not work any more.",
        shown(user)
    ))?;
    Ok(codes::say_where(terminal, handing_over)?)
}
