//! From the text of the file to the policy. Every problem is found at once.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use toml::de::{DeTable, DeValue};

use super::day::Day;
use super::network::Network;
use super::section::{Problem, Problems, Section};
use super::{Asking, Config, Lists, Unenrolled};

/// The longest prompt in bytes; an application need not show more than 512 (`PAM_MAX_MSG_SIZE`).
const LONGEST_PROMPT: usize = 256;

/// How many answers one login may give.
pub const TRIES: RangeInclusive<u32> = 1..=10;

/// See [`Config::parse`].
pub fn parse(text: &[u8]) -> Result<Config, Vec<Problem>> {
    let Ok(text) = std::str::from_utf8(text) else {
        let text = "the file is not UTF-8 text".to_owned();
        return Err(vec![Problem { line: 1, text }]);
    };
    // As it is installed: a login need not wait for a parser of comments.
    if text.lines().all(says_nothing) {
        return Ok(Config::default());
    }
    let mut problems = Problems::default();
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or_default();
        let found = text.get(span.clone()).filter(|found| is_short(found));
        let found = found.map(|found| format!(": {found:?}"));
        let message = error.message();
        problems.add(span.start, message.to_owned() + &found.unwrap_or_default());
    }
    let config = config(Section::new(table.get_ref(), String::new()), &mut problems);
    match problems.all(text) {
        none if none.is_empty() => Ok(config),
        all => Err(all),
    }
}

fn says_nothing(line: &str) -> bool {
    line.is_empty() || (line.starts_with('#') && !line.contains(char::is_control))
}

/// Short enough to be shown where it is wrong.
fn is_short(found: &str) -> bool {
    (1..=40).contains(&found.len())
}

fn config(mut top: Section, problems: &mut Problems) -> Config {
    let config = Config {
        unenrolled: unenrolled(&mut top, problems),
        groups: groups(&mut top, problems),
        require: lists(top.table("require", problems), problems),
        exempt: lists(top.table("exempt", problems), problems),
        trusted_networks: top.list(
            "trusted_networks",
            "a list of addresses such as [\"203.0.113.0/24\"]",
            problems,
            Network::parse,
        ),
        asking: asking(&mut top, problems),
        services: services(&mut top, problems),
        suspend_after: top
            .take(
                "suspend_after",
                "a number from 0 to 100",
                problems,
                |value| number(value).filter(|failures| *failures <= 100),
            )
            .unwrap_or(0),
        changed: None,
    };
    top.end(problems);
    config
}

fn unenrolled(section: &mut Section, problems: &mut Problems) -> Unenrolled {
    let until = section.take(
        "skip_until",
        "a day such as 2027-01-31, without quotes",
        problems,
        |value| match value {
            DeValue::Datetime(at) if at.time.is_none() && at.offset.is_none() => {
                at.date.map(Day::from)
            }
            _ => None,
        },
    );
    let skip = section.take(
        "unenrolled",
        "\"deny\" or \"skip\"",
        problems,
        |value| match value.as_str() {
            Some("skip") => Some(true),
            Some("deny") => Some(false),
            _ => None,
        },
    );
    match skip {
        Some(true) => Unenrolled::Skip { until },
        _ => {
            if let (Some(at), Some(_)) = (section.place("skip_until"), until) {
                let text = "`skip_until`: holds only with unenrolled = \"skip\" beside it";
                problems.add(at, text.to_owned());
            }
            Unenrolled::Deny
        }
    }
}

fn groups(top: &mut Section, problems: &mut Problems) -> BTreeMap<String, Unenrolled> {
    let mut groups = BTreeMap::new();
    for (name, mut section) in top.tables("group", problems) {
        groups.insert(name, unenrolled(&mut section, problems));
        section.end(problems);
    }
    groups
}

fn lists(section: Option<Section>, problems: &mut Problems) -> Lists {
    let Some(mut section) = section else {
        return Lists::default();
    };
    let expected = "a list of names such as [\"alice\"]";
    let lists = Lists {
        users: section.list("users", expected, problems, name),
        groups: section.list("groups", expected, problems, name),
        services: section.list("services", expected, problems, service),
    };
    section.end(problems);
    lists
}

/// `!` is what other programs write before a name that a list is not to match.
fn name(text: &str) -> Result<String, String> {
    match text {
        "" => Err("expected a name, not an empty text".to_owned()),
        "*" => Err("\"*\" is no name: each one is named by itself".to_owned()),
        text if text.starts_with('!') => Err(format!(
            "{text:?} is no name: who is asked stands in [require], who is not in [exempt]"
        )),
        text => Ok(text.to_owned()),
    }
}

/// libpam knows services in small letters only (`pam_start(3)`).
pub fn service(text: &str) -> Result<String, String> {
    let name = name(text)?;
    match name.contains(|c: char| c.is_ascii_uppercase() || c == '/') {
        true => Err(format!(
            "{text:?} is no PAM service: those are in small letters"
        )),
        false => Ok(name),
    }
}

fn services(top: &mut Section, problems: &mut Problems) -> BTreeMap<String, Asking> {
    let mut services = BTreeMap::new();
    for (name, mut section) in top.tables("service", problems) {
        if let (Some(at), Err(problem)) = (top.place("service"), service(&name)) {
            problems.add(at, format!("`service`: {problem}"));
        }
        services.insert(name, asking(&mut section, problems));
        section.end(problems);
    }
    services
}

fn asking(section: &mut Section, problems: &mut Problems) -> Asking {
    Asking {
        prompt: section.take(
            "prompt",
            "a text of 1 to 256 bytes without control characters",
            problems,
            |value| value.as_str().and_then(prompt),
        ),
        echo: section.take("echo", "true or false", problems, |value| value.as_bool()),
        tries: section.take("tries", "a number from 1 to 10", problems, |value| {
            number(value).filter(|tries| TRIES.contains(tries))
        }),
    }
}

/// The text, if it can be a prompt: 1 to 256 bytes without control characters.
pub fn prompt(text: &str) -> Option<String> {
    let fits = (1..=LONGEST_PROMPT).contains(&text.len()) && !text.contains(char::is_control);
    fits.then(|| text.to_owned())
}

fn number<T: TryFrom<i64>>(value: &DeValue) -> Option<T> {
    let integer = value.as_integer()?;
    let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok()?;
    T::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Config {
        super::parse(text.as_bytes()).unwrap()
    }

    fn problems(text: &str) -> Vec<String> {
        let problems = super::parse(text.as_bytes()).unwrap_err();
        problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(parse("# nothing\n"), Config::default());
        assert_eq!(parse("tries = 1").asking("sshd").tries, Some(1));
    }

    #[test]
    fn everything_that_can_be_said() {
        let config = parse(
            "unenrolled = \"skip\"\n\
             skip_until = 2027-01-31\n\
             trusted_networks = [\"10.0.0.0/8\"]\n\
             prompt = \"Code: \"\n\
             tries = 5\n\
             [group.staff]\n\
             unenrolled = \"deny\"\n\
             [require]\n\
             groups = [\"staff\", \"Domain Users\"]\n\
             [exempt]\n\
             users = [\"backup\"]\n\
             services = [\"cron\"]\n\
             [service.sudo]\n\
             echo = true\n\
             tries = 1\n",
        );
        let Unenrolled::Skip { until: Some(until) } = config.unenrolled else {
            panic!("{config:?}");
        };
        assert_eq!(until.to_string(), "2027-01-31");
        assert_eq!(config.groups["staff"], Unenrolled::Deny);
        assert_eq!(config.require.groups, ["staff", "Domain Users"]);
        assert_eq!(config.exempt.users, ["backup"]);
        assert_eq!(config.exempt.services, ["cron"]);
        let sudo = config.asking("sudo");
        assert_eq!((sudo.echo, sudo.tries), (Some(true), Some(1)));
        assert_eq!(sudo.prompt.as_deref(), Some("Code: "));
        assert_eq!(config.asking("su").tries, Some(5));
    }

    #[test]
    fn every_problem_is_told_at_once_with_its_line() {
        assert_eq!(
            problems(
                "tries = 0\n\
                 tris = 3\n\
                 unenrolled = \"allow\"\n\
                 trusted_networks = [\n  \"10.0.0.0/8\",\n  \"office.example.org\",\n  7,\n]\n\
                 [exempt]\n\
                 user = [\"x\"]\n\
                 groups = [\"!wheel\"]\n\
                 [service.sshd]\n\
                 unenrolled = \"skip\"\n\
                 echo = \"no\"\n"
            ),
            [
                "line 1: `tries`: expected a number from 1 to 10",
                "line 2: `tris`: unknown key; known here: skip_until, unenrolled, group, require, \
                 exempt, trusted_networks, prompt, echo, tries, service, suspend_after",
                "line 3: `unenrolled`: expected \"deny\" or \"skip\"",
                "line 6: `trusted_networks`: \"office.example.org\" is no address; expected a literal \
                 one such as 203.0.113.0/24 or 2001:db8::/32",
                "line 7: `trusted_networks`: expected a list of addresses such as [\"203.0.113.0/24\"]",
                "line 10: `exempt.user`: unknown key; known here: users, groups, services",
                "line 11: `exempt.groups`: \"!wheel\" is no name: who is asked stands in [require], \
                 who is not in [exempt]",
                "line 13: `service.sshd.unenrolled`: unknown key; known here: prompt, echo, tries",
                "line 14: `service.sshd.echo`: expected true or false",
            ]
        );
    }

    #[test]
    fn values_that_are_not_taken() {
        for text in [
            "tries = 11",
            "tries = -1",
            "tries = 3.0",
            "tries = 99999999999999999999",
            "suspend_after = 101",
            "echo = 1",
            "prompt = \"\"",
            "prompt = \"a\\nb\"",
            "unenrolled = true",
            "unenrolled = \"Skip\"",
            "skip_until = \"2027-01-31\"\nunenrolled = \"skip\"",
            "skip_until = 2027-01-31T00:00:00\nunenrolled = \"skip\"",
            "skip_until = 2027-02-30\nunenrolled = \"skip\"",
            "skip_until = 2027-01-31",
            "exempt = [\"alice\"]",
            "[exempt]\nusers = \"alice\"",
            "[exempt]\nusers = [\"\"]",
            "[require]\nusers = [\"*\"]",
            "service = 1",
            "[service.SSHD]\ntries = 1",
            "require.services = [\"SSHD\"]",
            "service.sshd = 1",
            "tries",
            "[",
        ] {
            assert_ne!(problems(text), Vec::<String>::new(), "{text}");
        }
        let twice = ["line 2: duplicate key: \"tries\""];
        assert_eq!(problems("tries = 3\ntries = 4"), twice);
        let long = format!("prompt = \"{}\"", "x".repeat(257));
        assert_eq!(problems(&long).len(), 1);
        assert_eq!(super::parse(b"\xff").unwrap_err().len(), 1);
    }
}
