//! The PAM line, read by rules of our own.

use std::ffi::CString;
use std::path::{Path, PathBuf};

/// What a PAM line asks for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Line {
    pub root: Option<PathBuf>,
    pub service: Option<String>,
    pub prompt: Option<String>,
    pub tries: Option<usize>,
    pub echo: bool,
    pub first_pass: FirstPass,
    pub forward: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum FirstPass {
    #[default]
    No,
    Try,
    Use,
}

impl Line {
    /// None if something in it is not in order. Of what is said twice the last counts.
    pub fn read(words: &[CString]) -> Option<Line> {
        let mut line = Line::default();
        for word in words {
            let word = word.to_str().ok()?;
            let first_pass = match word {
                "try_first_pass" => FirstPass::Try,
                "use_first_pass" => FirstPass::Use,
                _ => FirstPass::No,
            };
            match (word, line.first_pass) {
                ("debug", _) => {}
                ("echo", _) => line.echo = true,
                ("forward_pass", _) => line.forward = true,
                (_, FirstPass::No) if first_pass != FirstPass::No => line.first_pass = first_pass,
                _ => line.value(word)?,
            }
        }
        (!(line.echo && line.forward)).then_some(line)
    }

    fn value(&mut self, word: &str) -> Option<()> {
        let (key, value) = word.split_once('=')?;
        let right = match key {
            "root" => value.starts_with('/'),
            "service" => {
                let is_other = |c: char| c.is_ascii_uppercase() || c == '/';
                !value.is_empty() && value != "*" && !value.starts_with('!') && !value.contains(is_other)
            }
            "prompt" => {
                let is_control = |c: char| c < ' ' || ('\u{7f}'..='\u{9f}').contains(&c);
                (1..=256).contains(&value.len()) && !value.contains(is_control)
            }
            // A plus and zeros before a number change nothing.
            "tries" => {
                let digits = value.strip_prefix('+').unwrap_or(value);
                let number = digits.trim_start_matches('0');
                digits.bytes().all(|byte| byte.is_ascii_digit())
                    && (number == "10" || number.len() == 1)
            }
            _ => false,
        };
        match key {
            "root" => self.root = Some(Path::new(value).to_path_buf()),
            "service" => self.service = Some(value.to_owned()),
            "prompt" => self.prompt = Some(value.to_owned()),
            _ => self.tries = value.parse().ok(),
        }
        right.then_some(())
    }
}
