//! Somebody at a terminal with a phone in the hand.

use mfa_tests::{
    enrolled::{Enrolled, now},
    machine::Machine,
    pty::Pty,
};

/// Answers `mfa-admin enroll`, the last command that runs on the terminal.
#[track_caller]
pub fn answer(machine: &Machine, mut terminal: Pty) -> Enrolled {
    let secret = read_secret(machine, &mut terminal);
    verify(machine, terminal, secret)
}

/// Reads the secret that is shown, up to the question for a code.
#[track_caller]
pub fn read_secret(machine: &Machine, terminal: &mut Pty) -> String {
    let page = terminal.expect("Code from the device: ");
    let lines = page.lines().skip_while(|line| !line.contains("Secret:"));
    let secret: String = lines
        .skip(1)
        .take(2)
        .flat_map(str::split_whitespace)
        .collect();
    assert_eq!(secret.len(), 32, "{page}");
    machine.confidential().keep(&secret);
    secret
}

/// Types the code that the phone shows, and reads the backup codes.
#[track_caller]
pub fn verify(machine: &Machine, mut terminal: Pty, secret: String) -> Enrolled {
    let backup_codes = Vec::new();
    let mut enrolled = Enrolled {
        secret,
        backup_codes,
    };
    terminal.send_line(&enrolled.code_at(now()));
    let (status, shown) = terminal.finish();
    assert_eq!(status, 0, "{shown}");
    enrolled.backup_codes = codes_of("alice", &shown);
    let codes = enrolled.backup_codes.iter();
    codes.for_each(|code| machine.confidential().keep(code));
    enrolled
}

/// The ten backup codes that are shown for the user.
#[track_caller]
pub fn codes_of(user: &str, shown: &str) -> Vec<String> {
    let heading = format!("Backup codes of {user} on ");
    let (_, list) = shown.split_once(&heading).expect("her backup codes");
    let numbered = list.lines().filter_map(|line| line.split_once(".  "));
    let codes: Vec<String> = numbered
        .map(|(_, code)| code.trim().to_owned())
        .take(10)
        .collect();
    assert!(codes.len() == 10 && codes.iter().all(|code| code.len() == 14));
    codes
}

/// What `--json` said.
#[track_caller]
pub fn from_json(machine: &Machine, json: &str) -> Enrolled {
    let enrolled: Enrolled = serde_json::from_str(json).expect("the JSON of enroll");
    machine.confidential().keep(&enrolled.secret);
    let codes = enrolled.backup_codes.iter();
    codes.for_each(|code| machine.confidential().keep(code));
    enrolled
}
