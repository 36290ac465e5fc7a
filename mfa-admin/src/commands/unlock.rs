//! `mfa-admin unlock`: failed attempts are forgotten.

use std::io::{Write, stdout};

use anyhow::Result;
use mfa_core::enrollment;
use mfa_core::paths::Root;
use mfa_core::store::Store;
use mfa_core::user::shown;

use crate::cli::Unlock;

/// Frees what was charged for guesses, and says what a login asks for now.
pub fn run(root: &Root, options: &Unlock) -> Result<()> {
    let user = &options.user;
    let store = Store::open(root)?;
    enrollment::unlock(&store, user)?;
    let name = shown(user);
    let asks = match super::seen(root, &store, user)?.free.run() {
        1 => "A login asks for one code".to_owned(),
        run => format!("A login still asks for {run} codes in a row; see: mfa-admin status {name}"),
    };
    writeln!(
        stdout(),
        "The failed attempts of {name} are forgotten. {asks}."
    )?;
    Ok(())
}
