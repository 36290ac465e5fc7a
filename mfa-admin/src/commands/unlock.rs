//! `mfa-admin unlock`: failed attempts are forgotten.

use std::io::{Write, stdout};

use anyhow::Result;
use mfa_core::enrollment;
use mfa_core::paths::Root;
use mfa_core::store::Store;

use crate::cli::Unlock;

/// Frees what was charged for guesses.
pub fn run(root: &Root, options: &Unlock) -> Result<()> {
    let user = &options.user;
    enrollment::unlock(&Store::open(root)?, user)?;
    writeln!(
        stdout(),
        "The failed attempts of {user} are forgotten: a login asks for one code."
    )?;
    Ok(())
}
