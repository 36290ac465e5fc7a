//! Who is asked for a second factor. A look-up that fails decides nothing: the login is refused.

use crate::charge;
use crate::config::{Config, Day, Lists, Network, Unenrolled};
use crate::fault::Fault;
use crate::user::shown;

/// A login, as far as the policy is concerned.
pub struct Login<'s> {
    /// The login name.
    pub user: &'s str,
    /// Its user id; `None` if there is no such user.
    pub uid: Option<u32>,
    /// The PAM service.
    pub service: &'s str,
    /// `PAM_RHOST`.
    pub rhost: Option<&'s str>,
}

/// What the name service knows. Not found is an answer, an error is none.
pub trait Directory {
    /// The user id of a login name.
    fn uid_of(&self, user: &str) -> Result<Option<u32>, Fault>;
    /// Whether there is such a group.
    fn has_group(&self, group: &str) -> Result<bool, Fault>;
    /// Whether the user, who exists, belongs to a group.
    fn membership(&self, user: &str, group: &str) -> Result<Membership, Fault>;
}

/// Whether a user belongs to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// He does.
    Member,
    /// He does not.
    Outsider,
    /// He belongs to another group of that name: one of the machine and one of a directory may share it.
    Namesake,
    /// There is no such group, or a directory that is down has it.
    Unknown,
}

/// Whether somebody is asked, and which rule says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// Whether the second factor is asked for.
    pub asked: bool,
    /// The key that decided, and what in it.
    pub rule: String,
    /// What in the configuration looks like an accident.
    pub warnings: Vec<String>,
}

impl Ruling {
    fn new(asked: bool, rule: impl Into<String>) -> Ruling {
        Ruling {
            asked,
            rule: rule.into(),
            warnings: Vec::new(),
        }
    }
}

/// Whether the second factor is for this login: `trusted_networks`, `exempt`, `require`.
///
/// # Errors
/// A look-up that failed.
pub fn rule(config: &Config, login: &Login, names: &dyn Directory) -> Result<Ruling, Fault> {
    if let Some(network) = trusted(&config.trusted_networks, login.rhost) {
        let mut ruling = Ruling::new(false, format!("trusted_networks: {network}"));
        ruling.warnings.extend(too_wide(network));
        return Ok(ruling);
    }
    if let Some(rule) = matching(&config.exempt, login, names)?.found {
        return Ok(Ruling::new(false, format!("exempt.{rule}")));
    }
    required(&config.require, login, names)
}

fn trusted<'n>(networks: &'n [Network], rhost: Option<&str>) -> Option<&'n Network> {
    let rhost = rhost?;
    networks.iter().find(|network| network.contains(rhost))
}

/// A network that is the whole world trusts everybody.
pub fn too_wide(network: &Network) -> Option<String> {
    let text =
        || format!("trusted_networks: {network} is every address: nobody is asked from afar");
    network.is_everything().then(text)
}

/// Each list that is there must name the login; users and groups are one list.
fn required(lists: &Lists, login: &Login, names: &dyn Directory) -> Result<Ruling, Fault> {
    if !lists.services.is_empty() && !lists.services.iter().any(|name| name == login.service) {
        return Ok(Ruling::new(
            false,
            "require.services does not name the service",
        ));
    }
    if lists.users.is_empty() && lists.groups.is_empty() {
        return Ok(Ruling::new(true, "no rule says otherwise"));
    }
    let who = Lists {
        services: Vec::new(),
        ..lists.clone()
    };
    // Who does not exist looks like somebody who must: it tells nothing about anybody.
    if login.uid.is_none() {
        return Ok(Ruling::new(true, "there is no such user"));
    }
    let matching = matching(&who, login, names)?;
    Ok(match (matching.found, matching.doubts.into_iter().next()) {
        (Some(rule), _) => Ruling::new(true, format!("require.{rule}")),
        (None, Some(doubt)) => Ruling {
            warnings: vec![doubt.warning],
            ..Ruling::new(true, doubt.rule)
        },
        (None, None) => Ruling {
            warnings: names_nobody(lists, names)?,
            ..Ruling::new(false, "require names neither the user nor a group of his")
        },
    })
}

struct Matching {
    /// `users: alice`.
    found: Option<String>,
    /// Groups to which he may belong for all we know. They make nothing easier.
    doubts: Vec<Doubt>,
}

struct Doubt {
    rule: &'static str,
    warning: String,
}

impl Doubt {
    fn of(membership: Membership, group: &str) -> Option<Doubt> {
        match membership {
            Membership::Member | Membership::Outsider => None,
            Membership::Namesake => Some(Doubt {
                rule: "require.groups names a group of which there are two",
                warning: format!(
                    "require.groups: there is more than one group {group:?}, so each of them is asked"
                ),
            }),
            Membership::Unknown => Some(Doubt {
                rule: "require.groups names a group that is not known",
                warning: no_such_group("require.groups", group),
            }),
        }
    }
}

/// The first entry that names the login. Names that need no look-up come first.
fn matching(lists: &Lists, login: &Login, names: &dyn Directory) -> Result<Matching, Fault> {
    let mut doubts = Vec::new();
    let found = |rule: String| Matching {
        found: Some(rule),
        doubts: Vec::new(),
    };
    if let Some(name) = lists.services.iter().find(|name| *name == login.service) {
        return Ok(found(format!("services: {}", shown(name))));
    }
    // Nobody's name is in no list, and belongs to no group.
    let Some(uid) = login.uid else {
        return Ok(Matching {
            found: None,
            doubts,
        });
    };
    if let Some(name) = lists.users.iter().find(|name| *name == login.user) {
        return Ok(found(format!("users: {}", shown(name))));
    }
    for name in &lists.users {
        if names.uid_of(name)? == Some(uid) {
            return Ok(found(format!("users: {}", shown(name))));
        }
    }
    for name in &lists.groups {
        match names.membership(login.user, name)? {
            Membership::Member => return Ok(found(format!("groups: {}", shown(name)))),
            other => doubts.extend(Doubt::of(other, name)),
        }
    }
    Ok(Matching {
        found: None,
        doubts,
    })
}

fn no_such_group(key: &str, name: &str) -> String {
    format!("{key}: there is no group {name:?}, so everybody may belong to it")
}

/// What becomes of a user who is not enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unready {
    /// Asked like anybody else, and refused.
    Denied {
        /// Which rule says so.
        rule: String,
    },
    /// Not asked.
    Skipped {
        /// Which rule says so.
        rule: String,
        /// The last day on which that holds.
        until: Option<Day>,
    },
}

/// What becomes of a user who is not enrolled, now (seconds since 1970). In several groups the
/// strictest rule holds.
///
/// # Errors
/// A look-up that failed.
pub fn unready(
    config: &Config,
    login: &Login,
    names: &dyn Directory,
    now: i64,
) -> Result<Unready, Fault> {
    let general = (config.unenrolled, String::new());
    let (mut rules, mut is_member) = (Vec::new(), false);
    for (group, rule) in &config.groups {
        let membership = names.membership(login.user, group)?;
        is_member |= membership == Membership::Member;
        // To a group that is not known, or is one of two, he may belong: it counts where it is stricter.
        if membership != Membership::Outsider {
            rules.push((*rule, format!("group.{}.", shown(group))));
        }
    }
    if !is_member {
        rules.push(general);
    }
    let strictest = rules.into_iter().min_by_key(leniency);
    let (unenrolled, key) = strictest.unwrap_or_default();
    let denied = |why: &str| {
        Ok(Unready::Denied {
            rule: format!("not enrolled; {key}{why}"),
        })
    };
    match unenrolled {
        Unenrolled::Deny => denied("unenrolled = \"deny\""),
        Unenrolled::Skip { until: Some(until) } if is_over(until, now) => {
            denied("skip_until is over")
        }
        Unenrolled::Skip { until: Some(_) }
            if config.changed.is_some_and(|changed| now < changed) =>
        {
            denied("skip_until, and the clock stands before the last change of the file")
        }
        Unenrolled::Skip { until } => Ok(Unready::Skipped {
            rule: format!("not enrolled; {key}unenrolled = \"skip\""),
            until,
        }),
    }
}

fn is_over(until: Day, now: i64) -> bool {
    charge::day_of(now) > until.number()
}

fn leniency((rule, _): &(Unenrolled, String)) -> i64 {
    match rule {
        Unenrolled::Deny => i64::MIN,
        Unenrolled::Skip { until } => until.map_or(i64::MAX, Day::number),
    }
}

/// What in the whole configuration looks like an accident, whoever logs in.
///
/// # Errors
/// A look-up that failed.
pub fn accidents(config: &Config, names: &dyn Directory, now: i64) -> Result<Vec<String>, Fault> {
    let mut warnings: Vec<String> = config
        .trusted_networks
        .iter()
        .filter_map(too_wide)
        .collect();
    for (key, lists) in [("require", &config.require), ("exempt", &config.exempt)] {
        for user in &lists.users {
            if names.uid_of(user)?.is_none() {
                warnings.push(format!("{key}.users: there is no user {user:?}"));
            }
        }
        for group in &lists.groups {
            if !names.has_group(group)? {
                let text = match key {
                    "require" => no_such_group("require.groups", group),
                    key => format!("{key}.groups: there is no group {group:?}"),
                };
                warnings.push(text);
            }
        }
    }
    warnings.extend(names_nobody(&config.require, names)?);
    for group in config.groups.keys() {
        if !names.has_group(group)? {
            warnings.push(no_such_group(&format!("group.{group}"), group));
        }
    }
    let dated = |rule: &Unenrolled| matches!(rule, Unenrolled::Skip { until: Some(_) });
    let mut rules = config.groups.values().chain([&config.unenrolled]);
    if config.changed.is_some_and(|changed| now < changed) && rules.any(dated) {
        let text = "the clock stands before the last change of the file, so skip_until is over";
        warnings.push(text.to_owned());
    }
    let unenrolled = config.groups.values().chain([&config.unenrolled]);
    if unenrolled
        .into_iter()
        .any(|rule| matches!(rule, Unenrolled::Skip { until: Some(until) } if is_over(*until, now)))
    {
        warnings.push("skip_until is over: users who are not enrolled are denied".to_owned());
    }
    Ok(warnings)
}

/// Only users are named, and none of them is known.
fn names_nobody(lists: &Lists, names: &dyn Directory) -> Result<Vec<String>, Fault> {
    for user in &lists.users {
        if names.uid_of(user)?.is_some() {
            return Ok(Vec::new());
        }
    }
    let nobody = lists.groups.is_empty() && !lists.users.is_empty();
    let warning = "require.users names nobody there is, so nobody is asked";
    Ok(nobody.then(|| warning.to_owned()).into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    const NOW: i64 = 1_700_000_000;
    /// The day of [`NOW`] is 2023-11-14.
    const TODAY: &str = "2023-11-14";

    /// root, alice (10; in `staff`, and in another `twice` than it), bob (11; in `staff`, `guests` and `twice`),
    /// and `al`, who is alice, too. What begins with `lost` cannot be looked up.
    struct Names;

    impl Directory for Names {
        fn uid_of(&self, user: &str) -> Result<Option<u32>, Fault> {
            match user {
                "root" => Ok(Some(0)),
                "alice" | "al" => Ok(Some(10)),
                "bob" => Ok(Some(11)),
                user if user.starts_with("lost") => Err(failure()),
                _ => Ok(None),
            }
        }

        fn has_group(&self, group: &str) -> Result<bool, Fault> {
            Ok(self.membership("root", group)? != Membership::Unknown)
        }

        fn membership(&self, user: &str, group: &str) -> Result<Membership, Fault> {
            let members = |is_member| match is_member {
                true => Ok(Membership::Member),
                false => Ok(Membership::Outsider),
            };
            match group {
                "staff" => members(matches!(user, "alice" | "bob")),
                "guests" => members(user == "bob"),
                "twice" if user == "alice" => Ok(Membership::Namesake),
                "twice" => members(user == "bob"),
                group if group.starts_with("lost") => Err(failure()),
                _ => Ok(Membership::Unknown),
            }
        }
    }

    fn failure() -> Fault {
        Fault::NameService {
            error: io::ErrorKind::TimedOut.into(),
        }
    }

    fn config(text: &str) -> Config {
        Config::parse(text.as_bytes()).unwrap()
    }

    fn login<'s>(user: &'s str, service: &'s str, rhost: Option<&'s str>) -> Login<'s> {
        Login {
            user,
            uid: Names.uid_of(user).unwrap_or(Some(99)),
            service,
            rhost,
        }
    }

    /// Whether this user is asked at sshd, and why; `None` if a look-up failed.
    fn ruled(text: &str, user: &str) -> Option<(bool, String)> {
        let ruling = rule(
            &config(text),
            &login(user, "sshd", Some("203.0.113.7")),
            &Names,
        );
        ruling.ok().map(|ruling| (ruling.asked, ruling.rule))
    }

    fn asked(text: &str, user: &str) -> bool {
        ruled(text, user).unwrap().0
    }

    #[test]
    fn everybody_is_asked_where_nothing_is_said() {
        for user in ["root", "alice", "nobody-there"] {
            assert!(asked("", user), "{user}");
        }
    }

    #[test]
    fn who_is_exempt_is_not_asked() {
        for text in [
            "exempt.users = ['alice']",
            "exempt.users = ['al']",
            "exempt.groups = ['nowhere', 'staff']",
            "exempt.services = ['sshd']",
            "require.users = ['alice']\nexempt.groups = ['staff']",
            "trusted_networks = ['203.0.113.0/24']",
        ] {
            assert!(!asked(text, "alice"), "{text}");
        }
        for text in [
            "exempt.users = ['bob']",
            "exempt.groups = ['guests', 'nowhere']",
            "exempt.services = ['su']",
            "trusted_networks = ['203.0.113.8']",
        ] {
            assert!(asked(text, "alice"), "{text}");
        }
    }

    #[test]
    fn who_and_where_are_both_required() {
        let text =
            "require.services = ['sshd']\nrequire.groups = ['guests']\nrequire.users = ['root']";
        assert!(asked(text, "bob") && asked(text, "root") && !asked(text, "alice"));
        let elsewhere = rule(&config(text), &login("bob", "su", None), &Names).unwrap();
        assert!(!elsewhere.asked);
        // The other name of somebody who must is no way around it.
        assert!(asked("require.users = ['alice']", "al"));
    }

    #[test]
    fn who_does_not_exist_is_asked() {
        for text in ["require.users = ['alice']", "exempt.groups = ['staff']"] {
            assert!(asked(text, "nobody-there"), "{text}");
        }
    }

    #[test]
    fn a_group_that_is_not_known_makes_nothing_easier() {
        assert!(asked("require.groups = ['nowhere']", "alice"));
        assert!(asked(
            "require.users = ['bob']\nrequire.groups = ['guests', 'nowhere']",
            "alice"
        ));
        assert!(asked("exempt.groups = ['nowhere']", "alice"));
        assert_eq!(
            skipped(
                "unenrolled = 'skip'\ngroup.nowhere.unenrolled = 'deny'",
                "alice"
            ),
            None
        );
        assert_eq!(skipped("group.nowhere.unenrolled = 'skip'", "alice"), None);
        let text = "unenrolled = 'skip'\ngroup.nowhere.unenrolled = 'skip'\ngroup.nowhere.skip_until = 2023-11-20";
        assert_eq!(
            skipped(text, "alice").unwrap().unwrap().to_string(),
            "2023-11-20"
        );
    }

    #[test]
    fn a_name_of_two_groups_makes_nothing_easier() {
        for text in [
            "require.groups = ['twice']",
            "exempt.groups = ['twice']",
            "exempt.groups = ['twice']\nrequire.groups = ['guests', 'twice']",
        ] {
            assert!(asked(text, "alice"), "{text}");
        }
        assert!(!asked("exempt.groups = ['twice']", "bob"));
        let strict = "unenrolled = 'skip'\ngroup.twice.unenrolled = 'deny'";
        assert_eq!(skipped(strict, "alice"), None);
        assert_eq!(skipped("group.twice.unenrolled = 'skip'", "alice"), None);
    }

    #[test]
    fn a_look_up_that_fails_decides_nothing() {
        for text in [
            "exempt.groups = ['lost']",
            "exempt.users = ['lost']",
            "require.groups = ['lost']",
        ] {
            assert_eq!(ruled(text, "alice"), None, "{text}");
        }
        // Whose own name stands there needs no look-up.
        assert!(!asked("exempt.users = ['lost', 'alice']", "alice"));
        let text = config("unenrolled = 'skip'\ngroup.lost.unenrolled = 'deny'");
        assert!(unready(&text, &login("alice", "sshd", None), &Names, NOW).is_err());
    }

    /// Until when a user who is not enrolled gets in.
    fn skipped(text: &str, user: &str) -> Option<Option<Day>> {
        match unready(&config(text), &login(user, "sshd", None), &Names, NOW).unwrap() {
            Unready::Skipped { until, .. } => Some(until),
            Unready::Denied { .. } => None,
        }
    }

    #[test]
    fn who_is_not_enrolled_is_denied_unless_it_is_said() {
        for text in [
            "",
            "unenrolled = 'deny'",
            "unenrolled = 'skip'\nskip_until = 2023-11-13",
            "unenrolled = 'skip'\ngroup.staff.unenrolled = 'deny'",
            "group.guests.unenrolled = 'skip'",
            "group.nowhere.unenrolled = 'skip'",
        ] {
            assert_eq!(skipped(text, "alice"), None, "{text}");
        }
        assert_eq!(skipped("unenrolled = 'skip'", "alice"), Some(None));
        let today = skipped(
            &format!("unenrolled = 'skip'\nskip_until = {TODAY}"),
            "alice",
        );
        assert_eq!(today.unwrap().unwrap().to_string(), TODAY);
        assert_eq!(
            skipped("group.staff.unenrolled = 'skip'", "alice"),
            Some(None)
        );
    }

    #[test]
    fn in_several_groups_the_strictest_holds() {
        let text = "group.staff.unenrolled = 'skip'\n\
                    group.guests.unenrolled = 'skip'\n\
                    group.guests.skip_until = 2023-11-20";
        assert_eq!(skipped(text, "alice"), Some(None));
        assert_eq!(
            skipped(text, "bob").unwrap().unwrap().to_string(),
            "2023-11-20"
        );
        let text = "group.staff.unenrolled = 'deny'\ngroup.guests.unenrolled = 'skip'";
        assert_eq!(skipped(text, "bob"), None);
    }

    #[test]
    fn a_clock_before_the_last_change_of_the_file_ends_the_skipping() {
        let text = "unenrolled = 'skip'\nskip_until = 2023-11-20";
        let config = Config {
            changed: Some(NOW + 1),
            ..config(text)
        };
        let ruled = unready(&config, &login("alice", "sshd", None), &Names, NOW).unwrap();
        assert!(matches!(ruled, Unready::Denied { .. }), "{ruled:?}");
        let ruled = unready(&config, &login("alice", "sshd", None), &Names, NOW + 1).unwrap();
        assert!(matches!(ruled, Unready::Skipped { .. }), "{ruled:?}");
    }

    #[test]
    fn what_looks_like_an_accident_is_named() {
        for (text, word) in [
            ("trusted_networks = ['0.0.0.0/0']", "every address"),
            ("require.groups = ['nowhere']", "everybody may belong"),
            ("require.users = ['nobody-there']", "nobody is asked"),
            (
                "require.groups = ['nowhere', 'staff']",
                "there is no group \"nowhere\"",
            ),
            ("exempt.users = ['nobody-there']", "there is no user"),
            ("group.nowhere.unenrolled = 'skip'", "there is no group"),
            (
                "unenrolled = 'skip'\nskip_until = 2023-11-13",
                "skip_until is over",
            ),
        ] {
            let warnings = accidents(&config(text), &Names, NOW).unwrap().join("\n");
            assert!(warnings.contains(word), "{text}: {warnings}");
        }
        let sound =
            "require.groups = ['staff']\nexempt.users = ['bob']\ntrusted_networks = ['::1']";
        assert_eq!(
            accidents(&config(sound), &Names, NOW).unwrap(),
            Vec::<String>::new()
        );
        // A login says so, too.
        let ruling = rule(
            &config("require.groups = ['nowhere']"),
            &login("alice", "sshd", None),
            &Names,
        );
        assert_eq!(ruling.unwrap().warnings.len(), 1);
    }
}
