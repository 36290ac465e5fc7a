//! Programs of this machine that know what no file tells.

use std::process::{Command, Output};

/// What it says to these words; an error is one of starting it.
///
/// # Errors
/// It is not there, or cannot be started.
pub fn run(program: &str, words: &[&str]) -> std::io::Result<Output> {
    Command::new(program)
        .args(words)
        .env("LC_ALL", "C")
        .output()
}

/// What it writes, if it ends well.
pub fn said(program: &str, words: &[&str]) -> Option<String> {
    let output = run(program, words).ok()?;
    let text = || String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then(text)
}
