//! The shape of codes, from the command line to the core.

use mfa_core::device::{Algorithm, Shape};

use crate::cli::{self, Digits, Enroll, Period};

/// What was asked for.
pub fn of(options: &Enroll) -> Shape {
    Shape {
        algorithm: match options.algorithm {
            cli::Algorithm::Sha1 => Algorithm::Sha1,
            cli::Algorithm::Sha256 => Algorithm::Sha256,
            cli::Algorithm::Sha512 => Algorithm::Sha512,
        },
        digits: match options.digits {
            Digits::Six => 6,
            Digits::Eight => 8,
        },
        period: match options.period {
            Period::Thirty => 30,
            Period::Sixty => 60,
        },
    }
}
