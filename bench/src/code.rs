//! The secret that every user has in every module, and its codes.

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use totp_rs::{Builder, Secret};

/// The length of a time step in seconds.
pub const STEP: u64 = 30;

/// The time at which everything begins, in seconds since 1970.
pub const START: u64 = 1_700_000_010;

/// In bytes.
pub const SECRET: &[u8; 20] = b"a secret for a bench";

/// As google-authenticator has it.
pub fn base32() -> String {
    BASE32_NOPAD.encode(SECRET)
}

/// As pam_oath has it.
pub fn hex() -> String {
    HEXLOWER.encode(SECRET)
}

/// The code at a time (RFC 6238).
pub fn at(time: u64) -> String {
    let totp = Builder::new().with_secret(Secret::from(&SECRET[..]));
    totp.build_noncompliant().generate(time).to_string()
}

/// Six digits that are no code for an hour around a time: not even a clock that is off explains them.
pub fn wrong_at(time: u64) -> String {
    let near: Vec<_> = (time - 130 * STEP..time + 130 * STEP)
        .step_by(STEP as usize)
        .map(at)
        .collect();
    let mut numbers = (123_456..).map(|number| format!("{number:06}"));
    let wrong = numbers.find(|number| !near.contains(number));
    wrong.expect("more numbers than codes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mfa_tests::oath;

    #[test]
    fn codes_are_those_of_oathtool() {
        for time in [59, START, START + STEP] {
            assert_eq!(at(time), oath::code_at(&base32(), time));
        }
        assert_ne!(wrong_at(START), at(START));
    }
}
