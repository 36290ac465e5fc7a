//! `pam-witness SERVICE USER TTY [RHOST]`: authenticates the user by the service, and asks whether he may
//! come in now, as a program does that lets people in. No credentials, no session. It is a program of
//! its own so that whatever a module does to its process, `mfa-admin test` has the terminal in its hand.
//!
//! It tells what happens in [`pam_witness::Event`]s.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod libpam;
mod lines;
mod wire;

use std::env;
use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use pam_witness::Event;

use libpam::Transaction;

fn main() -> ExitCode {
    // No argument of a process has a NUL in it.
    let words = env::args_os().skip(1).map(OsStringExt::into_vec);
    let words: Vec<CString> = words.filter_map(|word| CString::new(word).ok()).collect();
    let (service, user, tty, rhost) = match words.as_slice() {
        [service, user, tty] => (service, user, tty, None),
        [service, user, tty, rhost] => (service, user, tty, Some(rhost)),
        _ => {
            eprintln!("pam-witness: mfa-admin test runs this");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = wire::take() {
        eprintln!("pam-witness: cannot set up standard input and output: {error}");
        return ExitCode::FAILURE;
    }
    let mut transaction = match lines::followed(|| Transaction::start(service, user)) {
        Ok(transaction) => transaction,
        Err(code) => return ended(code),
    };
    if lines::are_too_many() {
        wire::tell(&Event::TooMany);
        return ExitCode::FAILURE;
    }
    let prepared = transaction
        .set_tty(tty)
        .and_then(|()| rhost.map_or(Ok(()), |rhost| transaction.set_rhost(rhost)));
    let result = prepared
        .and_then(|()| transaction.authenticate())
        .and_then(|()| transaction.acct_mgmt());
    drop(transaction);
    ended(result.err().unwrap_or(libpam::SUCCESS))
}

fn ended(code: i32) -> ExitCode {
    let text = libpam::text(code);
    wire::tell(&Event::Ended { code, text });
    ExitCode::SUCCESS
}
