//! `/etc/pam_mfa/config.toml`: the policy of the machine. It holds no secrets.

use serde::Deserialize;

use crate::fault::absent_as_none;
use crate::file::{Dir, Privacy};
use crate::paths::Root;
use crate::verdict::Refusal;

/// The name of the file in the configuration directory.
pub const FILE: &str = "config.toml";

/// The largest configuration in bytes.
const CAP: usize = 256 * 1024;

/// The policy. Without a file, or for a key that is not in it, the default holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How many answers one login may give: 1 to 10, default 3.
    pub tries: u32,
    /// After how many failures in a row only a backup code or `mfa-admin unlock` helps: 1 to 100
    /// (NIST SP 800-63B, section 5.2.2), 0 (the default) for never.
    pub suspend_after: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            tries: 3,
            suspend_after: 0,
        }
    }
}

impl Config {
    /// Reads the configuration of the machine.
    ///
    /// # Errors
    /// `Refusal::Config` names the line, the key and what was expected; a file that is there and
    /// cannot be read is a fault.
    pub fn load(root: &Root) -> Result<Config, Refusal> {
        let Some(etc) = absent_as_none(Dir::open(&root.etc(), Privacy::Readable))? else {
            return Ok(Config::default());
        };
        let Some(text) = absent_as_none(etc.read_readable(FILE, CAP))? else {
            return Ok(Config::default());
        };
        let path = root.etc().join(FILE);
        Config::parse(&text)
            .map_err(|problem| Refusal::Config(format!("{}: {problem}", path.display())))
    }

    fn parse(text: &[u8]) -> Result<Config, String> {
        let text = std::str::from_utf8(text).map_err(|_| "is not UTF-8 text".to_owned())?;
        let config: Config = toml::from_str(text).map_err(|error| {
            let before = error
                .span()
                .and_then(|span| text.get(..span.start))
                .unwrap_or_default();
            format!(
                "line {}: {}",
                before.matches('\n').count() + 1,
                error.message()
            )
        })?;
        match config {
            Config {
                tries: 0 | 11.., ..
            } => Err("tries: expected a number from 1 to 10".to_owned()),
            Config {
                suspend_after: 101..,
                ..
            } => Err("suspend_after: expected a number from 0 to 100".to_owned()),
            config => Ok(config),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        Config::parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(Config::parse(b"# nothing\n").unwrap(), Config::default());
        assert_eq!(Config::parse(b"tries = 1").unwrap().tries, 1);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        assert_eq!(
            problem("tries = 2\n\ntris = 3\n"),
            "line 3: unknown field `tris`, expected `tries` or `suspend_after`"
        );
        assert!(problem("suspend_after = 101").contains("0 to 100"));
        assert!(problem("tries = 0").contains("1 to 10"));
        assert!(problem("tries = \"x\"").starts_with("line 1: "));
    }

    #[test]
    fn the_shipped_file_is_the_default() {
        let shipped = include_bytes!("../../config/config.toml");
        assert_eq!(Config::parse(shipped).unwrap(), Config::default());
    }
}
