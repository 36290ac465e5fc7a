//! `/etc/pam_mfa/config.toml`: the policy of the machine. It holds no secrets.

mod day;
mod network;
mod parse;
mod section;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::fault::{Fault, absent_as_none};
use crate::file::{Dir, Privacy};
use crate::paths::Root;
use crate::verdict::Refusal;

pub use day::Day;
pub use network::Network;
pub use parse::{TRIES, prompt, service};
pub use section::Problem;

/// The name of the file in the configuration directory.
pub const FILE: &str = "config.toml";

/// The largest configuration in bytes.
const CAP: usize = 256 * 1024;

/// The policy. Without a file, or for a key that is not in it, the default holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// What holds for users who are not enrolled (`unenrolled`, `skip_until`).
    pub unenrolled: Unenrolled,
    /// The same for the members of a group (`[group.NAME]`). For a member of several of them the
    /// strictest holds.
    pub groups: BTreeMap<String, Unenrolled>,
    /// Whom and where the second factor is for; each list that is there must name the login.
    pub require: Lists,
    /// Whom and where it is not for; one list that names the login is enough.
    pub exempt: Lists,
    /// From where nobody is asked: `PAM_RHOST` as a literal address.
    pub trusted_networks: Vec<Network>,
    /// How it is asked.
    pub asking: Asking,
    /// How it is asked at one service (`[service.NAME]`).
    pub services: BTreeMap<String, Asking>,
    /// After how many failures in a row only a backup code or `mfa-admin unlock` helps: 1 to 100
    /// (NIST SP 800-63B, section 5.2.2), 0 (the default) for never.
    pub suspend_after: usize,
    /// When the file was last changed, in seconds since 1970, if there is one.
    pub changed: Option<i64>,
}

/// A file that is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadConfig {
    /// Which.
    pub path: PathBuf,
    /// All that is wrong with it, in the order of the lines.
    pub problems: Vec<Problem>,
}

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems: Vec<String> = self.problems.iter().map(Problem::to_string).collect();
        write!(f, "{}: {}", self.path.display(), problems.join("; "))
    }
}

/// What holds for users who are not enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Unenrolled {
    /// They are asked like anybody else and refused.
    #[default]
    Deny,
    /// They are not asked.
    Skip {
        /// The last day on which that holds; `None`: for ever.
        until: Option<Day>,
    },
}

/// Names of users, groups and PAM services.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lists {
    /// Login names; another name of the same user id is the same user.
    pub users: Vec<String>,
    /// Primary and supplementary groups.
    pub groups: Vec<String>,
    /// PAM services.
    pub services: Vec<String>,
}

/// How it is asked; `None` where nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asking {
    /// The prompt for one code: 1 to 256 bytes without control characters.
    pub prompt: Option<String>,
    /// Whether what is typed is shown; default no.
    pub echo: Option<bool>,
    /// How many answers one login may give: 1 to 10, default 3.
    pub tries: Option<u32>,
}

impl Asking {
    /// How many answers one login may give where nothing is said.
    pub const TRIES: u32 = 3;

    /// What is said here, and for the rest what is said there.
    pub fn or(self, other: &Asking) -> Asking {
        Asking {
            prompt: self.prompt.or_else(|| other.prompt.clone()),
            echo: self.echo.or(other.echo),
            tries: self.tries.or(other.tries),
        }
    }
}

/// The directory of configuration and key, if there is one.
pub fn open_etc(root: &Root) -> Result<Option<Dir>, Fault> {
    absent_as_none(Dir::open(&root.etc(), Privacy::Readable))
}

impl Config {
    /// Reads the configuration of the machine.
    ///
    /// # Errors
    /// `Refusal::Config` names every problem at once, each with line, key and what was expected; a
    /// file that is there and cannot be read is a fault.
    pub fn load(root: &Root) -> Result<Config, Refusal> {
        Config::load_from(root, open_etc(root)?.as_ref())
    }

    /// The same from the directory, already opened, if there is one.
    pub fn load_from(root: &Root, etc: Option<&Dir>) -> Result<Config, Refusal> {
        let Some(etc) = etc else {
            return Ok(Config::default());
        };
        let Some((text, changed)) = absent_as_none(etc.read_readable(FILE, CAP))? else {
            return Ok(Config::default());
        };
        match Config::parse(&text) {
            Ok(config) => Ok(Config {
                changed: Some(changed),
                ..config
            }),
            Err(problems) => Err(Refusal::Config(BadConfig {
                path: root.etc().join(FILE),
                problems,
            })),
        }
    }

    /// Reads a configuration.
    ///
    /// # Errors
    /// All problems, in the order of their lines.
    pub fn parse(text: &[u8]) -> Result<Config, Vec<Problem>> {
        parse::parse(text)
    }

    /// How it is asked at this service.
    pub fn asking(&self, service: &str) -> Asking {
        let here = self.services.get(service).cloned().unwrap_or_default();
        here.or(&self.asking)
    }
}
