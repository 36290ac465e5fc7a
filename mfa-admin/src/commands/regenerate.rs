//! `mfa-admin regenerate`: ten new backup codes, the old ones dead.

use anyhow::{Context, Result};
use mfa_core::backup::{BackupSet, Cost};
use mfa_core::enrollment;
use mfa_core::paths::Root;
use mfa_core::store::Store;

use crate::backup_file::BackupFile;
use crate::cli::Regenerate;
use crate::codes::{self, Codes};
use crate::json::{self, Regenerated};
use crate::stream::Stream;
use crate::terminal::Terminal;
use crate::time;

/// The secret stays. The command's name is consent enough: it asks nothing.
pub fn run(root: &Root, options: &Regenerate) -> Result<()> {
    let (user, handing_over) = (&options.user, &options.handing_over);
    let store = Store::open(root)?;
    let uid = enrollment::find(&store, user)?;
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
    super::warn(enrollment::regenerate(&store, user, set, made)?);
    if let Some(file) = file {
        file.keep();
    }
    tell(&mut terminal, options, &codes, uid)
        .with_context(|| codes::not_shown("has new backup codes", user))
}

fn tell(terminal: &mut Terminal, options: &Regenerate, codes: &Codes, uid: u32) -> Result<()> {
    let (user, handing_over) = (codes.user, &options.handing_over);
    codes.show(terminal, handing_over)?;
    terminal.leave()?;
    if handing_over.json {
        return json::print(&Regenerated {
            user,
            uid,
            backup_codes: codes.codes,
        });
    }
    terminal.say(&format!(
        "{user} has ten new backup codes; the old ones do not work any more."
    ))?;
    Ok(codes::say_where(terminal, handing_over)?)
}
