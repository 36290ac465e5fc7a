//! `mfa-admin`: enrolls users for `pam_mfa` and shows what is going on.
//!
//! Every decision is made by `mfa-core`; what is here parses, calls it and shows.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod backup_file;
mod cli;
mod codes;
mod commands;
mod doctor;
mod harden;
mod host;
mod input;
mod json;
mod names;
mod page;
mod qr;
mod shape;
mod stack;
mod stream;
mod terminal;
mod time;
mod trial;
mod verify;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    harden::keep_secrets_out_of_core_dumps();
    match commands::run(cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            // There is nobody to tell if even this cannot be written.
            let _ = writeln!(std::io::stderr(), "mfa-admin: {error:#}");
            ExitCode::FAILURE
        }
    }
}
