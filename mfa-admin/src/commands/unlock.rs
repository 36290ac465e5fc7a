//! `mfa-admin unlock`: failed attempts are forgotten.

use anyhow::Result;
use mfa_core::enrollment;
use mfa_core::overview::Overview;
use mfa_core::paths::Root;
use mfa_core::store::Store;
use mfa_core::user::shown;

use crate::cli::Unlock;

/// Frees what was charged for guesses, and says what a login asks for now.
pub fn run(root: &Root, options: &Unlock) -> Result<()> {
    let user = &options.user;
    let store = Store::open(root)?.by_force(options.force);
    enrollment::unlock(&store, user)?;
    let done = format!("The failed attempts of {} are forgotten.", shown(user));
    match super::seen(root, &store, user) {
        Ok((seen, Ok(()))) => super::tell(&format!("{done} {}", asks(&seen))),
        // A configuration that is not understood is no reason not to unlock, and none to hide it.
        Ok((_, Err(error))) | Err(error) => {
            super::warn(Some(format!("a login is refused all the same: {error:#}")));
            super::tell(&done)
        }
    }
}

fn asks(seen: &Overview) -> String {
    match (&seen.caution, seen.free.run()) {
        (Some(caution), _) => format!("But {caution}"),
        (None, 1) => "A login asks for one code.".to_owned(),
        (None, run) => format!(
            "A login still asks for {run} codes in a row; see: mfa-admin status {}.",
            shown(&seen.user)
        ),
    }
}
