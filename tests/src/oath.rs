//! Verification codes from `oathtool`, which shares no code with the module.

use std::process::Command;

use crate::command::run;

/// A secret and how codes are made from it.
#[derive(Clone, Debug)]
pub struct Oath {
    /// In base32.
    pub secret: String,
    /// `sha1`, `sha256` or `sha512`.
    pub algorithm: &'static str,
    /// 6, 7 or 8.
    pub digits: u32,
    /// The length of a time step in seconds.
    pub period: u64,
}

impl Oath {
    /// The usual kind: SHA-1, six digits, thirty seconds.
    pub fn new(secret: &str) -> Self {
        Self {
            secret: secret.to_owned(),
            algorithm: "sha1",
            digits: 6,
            period: 30,
        }
    }

    /// The code of the time step that `time` (in seconds since 1970) lies in.
    pub fn code_at(&self, time: u64) -> String {
        self.codes_from(time, 1).remove(0)
    }

    /// So many codes of consecutive time steps; `time` lies in the first.
    pub fn codes_from(&self, time: u64, count: usize) -> Vec<String> {
        let mut oathtool = Command::new("oathtool");
        oathtool
            .arg(format!("--totp={}", self.algorithm))
            .arg(format!("--digits={}", self.digits))
            .arg(format!("--time-step-size={}s", self.period))
            .arg(format!("--now=@{time}"))
            .arg(format!("--window={}", count - 1))
            .args(["--base32", "-"]);
        let codes = run(&mut oathtool, &self.secret).ok().stdout;
        codes.lines().map(str::to_owned).collect()
    }
}

/// The usual kind of code: see [`Oath::new`].
pub fn code_at(secret: &str, time: u64) -> String {
    Oath::new(secret).code_at(time)
}
