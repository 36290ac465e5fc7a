//! A device that shows verification codes: TOTP, RFC 6238.

use std::fmt;
use std::ops::RangeInclusive;

use serde::Serialize;
use totp_rs::{Builder, Secret, Totp};
use zeroize::Zeroizing;

/// The hash function of a device (RFC 6238, section 1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// HMAC-SHA-1, which every authenticator app knows.
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

impl Algorithm {
    /// The one that is shown, and written, like this.
    pub fn of_name(name: &str) -> Option<Algorithm> {
        let all = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];
        all.into_iter().find(|algorithm| algorithm.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The shape of a device's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The hash function.
    pub algorithm: Algorithm,
    /// Digits of a code: 6 or 8.
    pub digits: u8,
    /// Seconds for which a code is shown: 30 or 60.
    pub period: u64,
}

impl Default for Shape {
    /// What an authenticator app assumes where the URI is silent.
    fn default() -> Shape {
        Shape {
            algorithm: Algorithm::Sha1,
            digits: 6,
            period: 30,
        }
    }
}

impl Shape {
    /// Whether it is one that we allow.
    pub fn is_allowed(&self) -> bool {
        matches!(self.digits, 6 | 8) && matches!(self.period, 30 | 60)
    }
}

/// Eight random bytes that tell devices apart.
pub type DeviceId = [u8; 8];

/// A number of periods since 1970 (RFC 6238 calls it T).
pub type Step = u64;

/// The length of a secret in bytes (RFC 4226, section 4, R6: 128 bits at least, 160 recommended).
///
/// The same for every hash function: 160 bits are out of reach of any search, and a longer secret
/// would make a QR code that does not fit a terminal of 24 lines.
pub const SECRET: usize = 20;

/// How many steps before and after the present one a code is good for.
pub const WINDOW: Step = 1;

/// A device and its secret.
pub struct Device {
    /// Tells it apart from the user's other devices.
    pub id: DeviceId,
    /// What the user calls it.
    pub label: String,
    /// The shape of its codes.
    pub shape: Shape,
    /// Whether a right code was typed before it was activated.
    pub verified: bool,
    /// When it was enrolled, in seconds since 1970.
    pub enrolled: i64,
    /// What it shares with us.
    pub secret: Zeroizing<Vec<u8>>,
}

impl Device {
    /// The step at `time` (seconds since 1970); none before 1970.
    pub fn step_at(&self, time: i64) -> Option<Step> {
        u64::try_from(time)
            .ok()
            .map(|time| time / self.shape.period)
    }

    /// The steps whose codes are good at `time`; none before 1970.
    pub fn window(&self, time: i64) -> Option<RangeInclusive<Step>> {
        let step = self.step_at(time)?;
        Some(step.saturating_sub(WINDOW)..=step.saturating_add(WINDOW))
    }

    /// The last second at which the code of `step` is shown, plus one.
    pub fn end_of(&self, step: Step) -> i64 {
        i64::try_from((step + 1).saturating_mul(self.shape.period)).unwrap_or(i64::MAX)
    }

    /// The steps among `steps` whose code is `code`. Each comparison takes the same time whatever
    /// the code.
    pub fn steps_of(&self, code: &str, steps: RangeInclusive<Step>) -> impl Iterator<Item = Step> {
        let totp = self.totp();
        let fits = code.len() == usize::from(self.shape.digits);
        steps.filter(move |step| fits && totp.check(code, *step).is_some())
    }

    /// A generator that takes the step itself for the time: what RFC 4226 calls the counter.
    fn totp(&self) -> Totp {
        Builder::new()
            .with_algorithm(match self.shape.algorithm {
                Algorithm::Sha1 => totp_rs::Algorithm::SHA1,
                Algorithm::Sha256 => totp_rs::Algorithm::SHA256,
                Algorithm::Sha512 => totp_rs::Algorithm::SHA512,
            })
            .with_digits(self.shape.digits)
            .with_secret(Secret::from(self.secret.as_slice()))
            .with_step_duration(1)
            .with_skew(0)
            .build_noncompliant()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn device(secret: &[u8], shape: Shape) -> Device {
        Device {
            id: *b"device-1",
            label: "phone".to_owned(),
            shape,
            verified: true,
            enrolled: 0,
            secret: Zeroizing::new(secret.to_vec()),
        }
    }

    fn shape(algorithm: Algorithm, digits: u8) -> Shape {
        Shape {
            algorithm,
            digits,
            period: 30,
        }
    }

    /// RFC 4226, appendix D.
    #[test]
    fn rfc_4226_vectors() {
        let device = device(b"12345678901234567890", Shape::default());
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (counter, code) in codes.iter().enumerate() {
            let found: Vec<Step> = device.steps_of(code, 0..=9).collect();
            assert_eq!(found, [counter as Step]);
        }
    }

    /// RFC 6238, appendix B, with the keys of its reference implementation (erratum 2866).
    #[test]
    fn rfc_6238_vectors() {
        let key = |length| {
            b"1234567890"
                .iter()
                .copied()
                .cycle()
                .take(length)
                .collect::<Vec<u8>>()
        };
        let times = [
            59,
            1111111109,
            1111111111,
            1234567890,
            2000000000,
            20000000000,
        ];
        let table = [
            (
                Algorithm::Sha1,
                20,
                [
                    "94287082", "07081804", "14050471", "89005924", "69279037", "65353130",
                ],
            ),
            (
                Algorithm::Sha256,
                32,
                [
                    "46119246", "68084774", "67062674", "91819424", "90698825", "77737706",
                ],
            ),
            (
                Algorithm::Sha512,
                64,
                [
                    "90693936", "25091201", "99943326", "93441116", "38618901", "47863826",
                ],
            ),
        ];
        for (algorithm, length, codes) in table {
            let device = device(&key(length), shape(algorithm, 8));
            for (time, code) in times.iter().zip(codes) {
                let step = device.step_at(*time).unwrap();
                assert_eq!(
                    device.steps_of(code, step..=step).next(),
                    Some(step),
                    "{algorithm} {time}"
                );
            }
        }
    }

    #[test]
    fn only_its_own_number_of_digits_is_a_code() {
        let device = device(b"12345678901234567890", Shape::default());
        for wrong in ["", "55224", "0755224", "75522x", "７５５２２４"] {
            assert_eq!(device.steps_of(wrong, 0..=9).next(), None, "{wrong:?}");
        }
    }

    #[test]
    fn there_is_no_window_before_1970_and_no_overflow_after_2106() {
        let device = device(b"12345678901234567890", Shape::default());
        assert_eq!(device.window(-1), None);
        assert_eq!(device.window(0), Some(0..=1));
        assert!(device.window(i64::MAX).is_some());
        assert_eq!(device.end_of(Step::MAX / 30 - 1), i64::MAX);
    }
}
