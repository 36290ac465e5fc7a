//! The two names that the authenticator app shows beside a code.

use anyhow::{Result, ensure};

use crate::cli::Enroll;
use crate::host;

/// What both may take up in a URI, the issuer twice: longer ones make QR codes that no terminal
/// shows.
const ROOM: usize = 400;

/// A longer name of a host, twice in the URI, leaves a usual account no room in a QR code on 80 by 24.
const LONG_HOST: usize = 24;

/// Issuer and account.
pub struct Names {
    /// The machine or company.
    pub issuer: String,
    /// The account.
    pub account: String,
}

impl Names {
    /// As wanted; by default the host and the user.
    pub fn of(options: &Enroll) -> Result<Names> {
        let issuer = options
            .issuer
            .clone()
            .unwrap_or_else(|| issuer_of(&host::name()).to_owned());
        let account = options.label.as_ref().unwrap_or(&options.user).clone();
        check("--issuer", &issuer)?;
        check("--label", &account)?;
        let room = 2 * encoded_length(&issuer) + encoded_length(&account);
        ensure!(
            room <= ROOM,
            "issuer and label are too long for a QR code. Give shorter ones with --issuer and \
             --label"
        );
        Ok(Names { issuer, account })
    }
}

/// What the app shows of a host unless told otherwise.
pub fn issuer_of(host: &str) -> &str {
    match host.rsplit_once('.') {
        Some((shorter, _)) if host.len() > LONG_HOST => issuer_of(shorter),
        _ => host,
    }
}

fn check(option: &str, name: &str) -> Result<()> {
    let shown = name.escape_debug();
    ensure!(
        !name.is_empty(),
        "the name for {option} is empty. Give another one with {option}"
    );
    ensure!(
        !name.contains(':'),
        "\"{shown}\" cannot stand for {option}: a colon parts issuer and label. Give another one \
         with {option}"
    );
    ensure!(
        !name.contains(char::is_control),
        "\"{shown}\" cannot stand for {option}: it has control characters. Give another one with \
         {option}"
    );
    Ok(())
}

/// In a URI three characters stand for a byte, unless it is a letter or a digit.
fn encoded_length(name: &str) -> usize {
    let length = |byte: u8| if byte.is_ascii_alphanumeric() { 1 } else { 3 };
    name.bytes().map(length).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn names(options: &[&str]) -> Result<Names> {
        let words = [&["mfa-admin", "enroll", "alice"], options].concat();
        match Cli::parse_from(words).command {
            Command::Enroll(options) => Names::of(&options),
            _ => unreachable!(),
        }
    }

    #[test]
    fn host_and_user_unless_told_otherwise() {
        let names = |options: &[&str]| names(options).unwrap();
        assert_eq!(names(&[]).issuer, issuer_of(&host::name()));
        assert_eq!(names(&[]).account, "alice");
        assert_eq!(names(&["--issuer", "My Firm"]).issuer, "My Firm");
        assert_eq!(names(&["--label", "a@b"]).account, "a@b");
    }

    #[test]
    fn of_a_long_host_name_the_first_parts_are_taken() {
        for (host, issuer) in [
            ("web1.department.exam.org", "web1.department.exam.org"),
            ("web1.departments.exam.org", "web1.departments.exam"),
            (
                "ip-10-0-12-34.eu-central-1.compute.internal",
                "ip-10-0-12-34",
            ),
            (
                "a-host-with-a-name-of-thirty-1",
                "a-host-with-a-name-of-thirty-1",
            ),
        ] {
            assert_eq!(issuer_of(host), issuer);
        }
    }

    #[test]
    fn names_that_would_break_the_uri_are_refused_with_the_way_out() {
        let long = "ü".repeat(70);
        let wrong = [
            ["--issuer", "a:b"],
            ["--label", "a:b"],
            ["--issuer", "a\nb"],
            ["--label", ""],
            ["--issuer", &long],
        ];
        for [option, name] in wrong {
            let error = names(&[option, name]).err().unwrap().to_string();
            assert!(error.contains(option), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
