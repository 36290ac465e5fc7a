//! The arguments of the PAM line.

use std::path::Path;

use crate::config::{self, TRIES};
use crate::options::{FirstPass, Options};
use crate::paths::Root;

/// What the PAM line says.
#[derive(Default)]
pub struct Arguments {
    /// `root=DIR`: the directory below which all files lie.
    pub root: Root,
    /// All else.
    pub options: Options,
    /// What is unknown or malformed, each in its own words. A module that goes on without knowing
    /// what was meant would be a hole.
    pub problems: Vec<String>,
}

impl Arguments {
    /// Reads all of them, whatever is wrong with some.
    pub fn parse<'w>(words: impl IntoIterator<Item = &'w [u8]>) -> Arguments {
        let mut arguments = Arguments::default();
        for word in words {
            match str::from_utf8(word) {
                Ok(word) => {
                    if let Err(problem) = arguments.take(word) {
                        arguments.problems.push(format!("{word}: {problem}"));
                    }
                }
                Err(_) => {
                    let problem = "an argument that is not UTF-8".to_owned();
                    arguments.problems.push(problem);
                }
            }
        }
        let options = &arguments.options;
        if options.asking.echo.is_some() && options.forward_pass {
            let problem = "echo: would show the password that forward_pass asks for".to_owned();
            arguments.problems.push(problem);
        }
        arguments
    }

    fn take(&mut self, word: &str) -> Result<(), &'static str> {
        let options = &mut self.options;
        match word
            .split_once('=')
            .map_or((word, None), |(key, value)| (key, Some(value)))
        {
            ("root", Some(dir)) => {
                self.root = Root::new(Path::new(dir)).ok_or("expected an absolute path")?;
            }
            ("service", Some(name)) => {
                let service = config::service(name).ok();
                options.service = Some(service.ok_or("expected a PAM service in small letters")?);
            }
            ("prompt", Some(text)) => {
                let text = config::prompt(text);
                let expected = "expected 1 to 256 bytes without control characters";
                options.asking.prompt = Some(text.ok_or(expected)?);
            }
            ("tries", Some(number)) => {
                let tries = number.parse().ok().filter(|tries| TRIES.contains(tries));
                options.asking.tries = Some(tries.ok_or("expected a number from 1 to 10")?);
            }
            ("echo", None) => options.asking.echo = Some(true),
            ("try_first_pass", None) => return self.first_pass(FirstPass::Try),
            ("use_first_pass", None) => return self.first_pass(FirstPass::Use),
            ("forward_pass", None) => options.forward_pass = true,
            ("debug", None) => options.debug = true,
            _ => return Err("unknown argument"),
        }
        Ok(())
    }

    fn first_pass(&mut self, first_pass: FirstPass) -> Result<(), &'static str> {
        match self.options.first_pass {
            FirstPass::No => {
                self.options.first_pass = first_pass;
                Ok(())
            }
            _ => Err("either try_first_pass or use_first_pass, and once"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options, String> {
        let arguments = Arguments::parse(words.iter().map(|word| word.as_bytes()));
        match arguments.problems.is_empty() {
            true => Ok(arguments.options),
            false => Err(arguments.problems.join("; ")),
        }
    }

    #[test]
    fn everything_that_can_be_said() {
        let options = parse(&[
            "service=sshd",
            "prompt=My code: ",
            "tries=2",
            "try_first_pass",
            "forward_pass",
            "debug",
        ]);
        let options = options.unwrap();
        assert_eq!(options.service.as_deref(), Some("sshd"));
        assert_eq!(options.asking.prompt.as_deref(), Some("My code: "));
        assert_eq!((options.asking.tries, options.asking.echo), (Some(2), None));
        assert_eq!(options.first_pass, FirstPass::Try);
        assert!(options.forward_pass && options.debug);
        assert_eq!(parse(&["echo", "root=/x"]).unwrap().asking.echo, Some(true));
        assert_eq!(parse(&[]), Ok(Options::default()));
    }

    #[test]
    fn all_problems_are_told_at_once() {
        assert_eq!(
            parse(&[
                "nullok",
                "tries=0",
                "debug=1",
                "root=x",
                "echo",
                "forward_pass"
            ])
            .unwrap_err(),
            "nullok: unknown argument; tries=0: expected a number from 1 to 10; \
             debug=1: unknown argument; root=x: expected an absolute path; \
             echo: would show the password that forward_pass asks for"
        );
        for words in [
            &["tries=11"][..],
            &["tries="],
            &["tries"],
            &["prompt="],
            &["prompt"],
            &["service="],
            // No list can name it: nobody would be asked.
            &["service=SSHD"],
            &["service=*"],
            &["echo=yes"],
            &["try_first_pass", "use_first_pass"],
            &["Debug"],
            &[""],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
