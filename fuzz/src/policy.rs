//! The configuration of the machine: its text, as the input has it, and what it means, worked out
//! once more without the module.

use std::ffi::CStr;
use std::fmt::{self, Write};

use crate::accounts::{self, GROUPS, USERS, belongs, uid_of};
use crate::scenario::{Asking, Config, Lists, Policy, Rule};
use crate::stage;

pub const DAY: i64 = 86_400;
/// What the application calls itself, and another name.
pub const SERVICES: [&str; 2] = ["fuzz", "other"];
/// What a configuration or a PAM line asks for a code with.
pub const PROMPT: &str = "Number, please: ";
const NETWORKS: [&str; 5] = [
    "203.0.113.0/24",
    "2001:db8::/32",
    "::ffff:203.0.113.128/121",
    "0.0.0.0/0",
    "fe80::/10",
];
/// Where a login comes from, and which networks that is in: one bit each.
const HOSTS: [(Option<&CStr>, u8); 13] = [
    (None, 0),
    (Some(c"203.0.113.7"), 0b1001),
    (Some(c"203.0.113.200"), 0b1101),
    (Some(c"::ffff:203.0.113.200"), 0b1101),
    (Some(c"203.0.114.1"), 0b1000),
    (Some(c"2001:db8:1::1"), 0b0010),
    (Some(c"fe80::1%eth0"), 0b10000),
    // Only a link-local address has a zone.
    (Some(c"2001:db8:1::1%eth0"), 0),
    (Some(c"203.0.113.7%eth0"), 0),
    (Some(c"2001:db9::1"), 0),
    (Some(c"203.0.113.7.example.org"), 0),
    (Some(c"localhost"), 0),
    (Some(c""), 0),
];

/// The host of a number.
pub fn host(number: u8) -> (Option<&'static CStr>, u8) {
    HOSTS[usize::from(number) % HOSTS.len()]
}

/// What is known of a login before anybody is asked.
pub struct Who<'w> {
    pub user: &'w str,
    pub service: &'w str,
    /// The networks that he is in.
    pub networks: u8,
}

/// A configuration that was laid out.
pub struct Laid {
    pub text: Option<Vec<u8>>,
    /// Unless it is junk, or a number that it may not be.
    pub policy: Option<Policy>,
    pub suspend_after: usize,
    /// The day on which the machine started.
    today: i64,
    /// When the file was last changed.
    pub changed: i64,
}

impl fmt::Display for Laid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text.as_deref().unwrap_or_default();
        f.write_str(&String::from_utf8_lossy(text))
    }
}

impl Laid {
    /// What the input wants it to be, now.
    pub fn new(config: &Option<Config>) -> Laid {
        let now = stage::now();
        // What can be the time of a file, and a day of four digits.
        let start = if (0..4_000_000_000).contains(&now) {
            now
        } else {
            0
        };
        let laid = Laid {
            text: None,
            policy: None,
            suspend_after: 0,
            today: start.div_euclid(DAY),
            changed: start,
        };
        let number = |text: String| Some(text.into_bytes());
        match config {
            None => Laid {
                policy: Some(Policy::default()),
                ..laid
            },
            Some(Config::Tries(tries)) => Laid {
                text: number(format!("tries = {}\n", tries % 12)),
                policy: (1..=10).contains(&(tries % 12)).then(|| Policy {
                    asking: Asking {
                        tries: Some(tries % 12 - 1),
                        ..Asking::default()
                    },
                    ..Policy::default()
                }),
                ..laid
            },
            Some(Config::SuspendAfter(failures)) => Laid {
                text: number(format!("suspend_after = {failures}\n")),
                suspend_after: usize::from(*failures),
                policy: (*failures <= 100).then(Policy::default),
                ..laid
            },
            Some(Config::Junk(text)) => Laid {
                text: Some(text.clone()),
                ..laid
            },
            Some(Config::Policy(policy)) => Laid {
                changed: (start + i64::from(policy.changed)).max(0),
                text: Some(laid.text_of(policy).into_bytes()),
                policy: Some(policy.clone()),
                ..laid
            },
        }
    }

    fn text_of(&self, policy: &Policy) -> String {
        let mut text = self.rule(&policy.unenrolled) + &asking(&policy.asking);
        let networks = quoted(&NETWORKS, policy.trusted);
        writeln!(text, "trusted_networks = [{networks}]").expect("write");
        for (name, lists) in [("require", &policy.require), ("exempt", &policy.exempt)] {
            if let Some(lists) = lists {
                writeln!(text, "[{name}]\n{}", names(lists)).expect("write");
            }
        }
        for (group, rule) in GROUPS.iter().zip(&policy.groups) {
            if let Some(rule) = rule {
                writeln!(text, "[group.{group}]\n{}", self.rule(rule)).expect("write");
            }
        }
        if let Some(here) = &policy.here {
            writeln!(text, "[service.{}]\n{}", SERVICES[0], asking(here)).expect("write");
        }
        text
    }

    fn rule(&self, rule: &Rule) -> String {
        match rule {
            Rule::Deny => "unenrolled = 'deny'\n".to_owned(),
            Rule::Skip => "unenrolled = 'skip'\n".to_owned(),
            Rule::SkipUntil(_) => {
                let day = date(self.last_day(rule));
                format!("unenrolled = 'skip'\nskip_until = {day}\n")
            }
        }
    }

    /// The last day on which users who are not enrolled get in.
    fn last_day(&self, rule: &Rule) -> i64 {
        match rule {
            Rule::Deny => i64::MIN,
            Rule::Skip => i64::MAX,
            Rule::SkipUntil(days) => (self.today + i64::from(days % 3)).max(0),
        }
    }

    /// Whether the policy wants nobody asked, whether he is enrolled or not.
    pub fn spares(&self, who: &Who) -> bool {
        let Some(policy) = &self.policy else {
            return false;
        };
        let is_user = |lists: &Lists| {
            let uid = uid_of(who.user.as_bytes());
            let same = |name: &&str| uid_of(name.as_bytes()) == uid;
            uid.is_some() && bits(&USERS, lists.users).any(|name| same(&name))
        };
        let is_member = |lists: &Lists| bits(&GROUPS, lists.groups).any(|g| belongs(who.user, g));
        let is_here = |lists: &Lists| bits(&SERVICES, lists.services).any(|s| s == who.service);
        let exempt = policy.exempt.as_ref();
        let required = |lists: &Lists| {
            let nowhere = bits(&SERVICES, lists.services).next().is_none();
            let nobody = bits(&USERS, lists.users).next().is_none()
                && bits(&GROUPS, lists.groups).next().is_none();
            let unknown = uid_of(who.user.as_bytes()).is_none();
            // He may belong to a group that is not known.
            let his = nobody || unknown || bits(&GROUPS, lists.groups).any(is_unknown);
            (nowhere || is_here(lists)) && (his || is_user(lists) || is_member(lists))
        };
        who.networks & policy.trusted & 0b1_1111 != 0
            || exempt.is_some_and(|lists| is_user(lists) || is_member(lists) || is_here(lists))
            || !policy.require.as_ref().is_none_or(required)
    }

    /// Whether somebody who is not enrolled is not asked at this time.
    pub fn skips(&self, user: &str, time: i64) -> bool {
        let Some(policy) = &self.policy else {
            return false;
        };
        let rules = || {
            let rules = GROUPS.iter().zip(&policy.groups);
            rules.filter_map(|(group, rule)| Some((*group, rule.as_ref()?)))
        };
        let strictness = |rule: &&Rule| self.last_day(rule);
        let his = rules().filter(|(group, _)| belongs(user, group));
        let his = his.map(|(_, rule)| rule).min_by_key(strictness);
        let unknown = rules().filter(|(group, _)| is_unknown(group));
        let all = unknown
            .map(|(_, rule)| rule)
            .chain([his.unwrap_or(&policy.unenrolled)]);
        let rule = all.min_by_key(strictness).unwrap_or(&policy.unenrolled);
        match rule {
            Rule::Skip => true,
            Rule::Deny => false,
            Rule::SkipUntil(_) => {
                time.div_euclid(DAY) <= self.last_day(rule) && time >= self.changed
            }
        }
    }

    /// How it is asked at a service, for what the PAM line does not say.
    pub fn asking(&self, service: &str) -> (usize, bool) {
        let Some(policy) = &self.policy else {
            return (10, false);
        };
        let here = policy.here.as_ref().filter(|_| service == SERVICES[0]);
        let tries = here.and_then(tries).or(tries(&policy.asking));
        let echo = here.and_then(|asking| asking.echo).or(policy.asking.echo);
        (tries.unwrap_or(3), echo.unwrap_or(false))
    }
}

fn is_unknown(group: &str) -> bool {
    accounts::group(group.as_bytes()).is_none()
}

fn tries(asking: &Asking) -> Option<usize> {
    asking.tries.map(|number| usize::from(1 + number % 10))
}

fn asking(asking: &Asking) -> String {
    let mut text = String::new();
    if let Some(tries) = tries(asking) {
        writeln!(text, "tries = {tries}").expect("write");
    }
    if let Some(echo) = asking.echo {
        writeln!(text, "echo = {echo}").expect("write");
    }
    if asking.prompt {
        writeln!(text, "prompt = '{PROMPT}'").expect("write");
    }
    text
}

fn names(lists: &Lists) -> String {
    let (users, groups) = (quoted(&USERS, lists.users), quoted(&GROUPS, lists.groups));
    let services = quoted(&SERVICES, lists.services);
    format!("users = [{users}]\ngroups = [{groups}]\nservices = [{services}]")
}

fn bits<'n>(names: &'n [&'n str], bits: u8) -> impl Iterator<Item = &'n str> {
    let chosen =
        move |(number, name): (usize, &&'n str)| (bits & (1 << number) != 0).then_some(*name);
    names.iter().enumerate().filter_map(chosen)
}

fn quoted(names: &[&str], chosen: u8) -> String {
    bits(names, chosen)
        .map(|name| format!("'{name}', "))
        .collect()
}

/// A day of the calendar, counted from 1970-01-01.
fn date(mut day: i64) -> String {
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970;
    while day >= 365 + i64::from(is_leap(year)) {
        day -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + i64::from(is_leap(year));
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", day + 1)
}
