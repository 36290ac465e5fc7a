//! The arguments of the PAM line.

use std::ffi::CStr;
use std::path::Path;

use mfa_core::paths::Root;

/// What the PAM line says.
#[derive(Default)]
pub struct Arguments {
    /// `root=DIR`: the directory below which all files lie.
    pub root: Root,
}

impl Arguments {
    /// # Errors
    /// Every argument that is unknown or malformed, in one text. A module that goes on without
    /// knowing what was meant would be a hole.
    pub fn parse(words: &[&CStr]) -> Result<Arguments, String> {
        let mut arguments = Arguments::default();
        let mut problems = Vec::new();
        for word in words {
            let word = word.to_string_lossy();
            match word
                .strip_prefix("root=")
                .map(|dir| Root::new(Path::new(dir)))
            {
                Some(Some(root)) => arguments.root = root,
                Some(None) => problems.push(format!("{word}: expected an absolute path")),
                None => problems.push(format!("{word}: unknown argument")),
            }
        }
        match problems.is_empty() {
            true => Ok(arguments),
            false => Err(format!("PAM line: {}", problems.join("; "))),
        }
    }
}
