//! `mfa-admin config check`: the policy of the machine, and what it says about a login.

use std::io::{self, Write, stdout};

use anyhow::{Context, Result, anyhow, bail};
use mfa_core::config::{Asking, BadConfig, Config, FILE, Lists, Unenrolled};
use mfa_core::fault::Fault;
use mfa_core::login::{Asked, Standing, Subject, standing};
use mfa_core::messages;
use mfa_core::paths::Root;
use mfa_core::policy::{self, Login};
use mfa_core::user::{self, NameService, shown};
use mfa_core::verdict::Refusal;

use crate::cli::Check;
use crate::doctor::pairs::PAIRS;
use crate::doctor::services::FOLDERS;
use crate::time;

/// All problems at once; else the effective policy, what looks like an accident, and the ruling.
pub fn run(root: &Root, options: &Check) -> Result<()> {
    let config = match Config::load(root) {
        Ok(config) => config,
        Err(Refusal::Config(bad)) => bail!(listed(&bad)),
        Err(refusal) => bail!("{refusal}"),
    };
    let accidents = policy::accidents(&config, &NameService, time::now());
    let mut warnings = accidents.as_ref().cloned().unwrap_or_default();
    warnings.extend(odd_services(root, &config));
    let ruling = options
        .user
        .as_ref()
        .map(|user| ruling(root, &config, user, options));
    let ruled = ruling.as_ref().and_then(|ruling| ruling.as_deref().ok());
    show(root, &config, &warnings, ruled).context("cannot write to standard output")?;
    accidents.context("the names in the file could not all be looked up")?;
    ruling.transpose()?;
    Ok(())
}

fn odd_services(root: &Root, config: &Config) -> Vec<String> {
    let lists = [
        ("require.services", &config.require.services),
        ("exempt.services", &config.exempt.services),
    ];
    let named = lists
        .into_iter()
        .flat_map(|(key, names)| names.iter().map(move |name| (key, name)));
    let tables = config.services.keys().map(|name| ("service", name));
    let is_there = |name: &str| {
        FOLDERS
            .iter()
            .any(|dir| root.below(dir).join(name).exists())
    };
    let halves = PAIRS.into_iter().filter(|(one, other)| {
        let named = |name| {
            config
                .require
                .services
                .iter()
                .any(|service| service == name)
        };
        named(one) && !named(other) && is_there(other)
    });
    let halves = halves.map(|(one, other)| {
        format!("require.services: names {one} and not {other}, so a login shell by {one} is not asked for")
    });
    let place = root.below(FOLDERS[0]);
    let unknown = named.chain(tables).filter(|(_, name)| !is_there(name));
    unknown
        .map(|(key, name)| {
            format!(
                "{key}: there is no PAM service {name:?} in {}",
                place.display()
            )
        })
        .chain(halves)
        .collect()
}

fn listed(bad: &BadConfig) -> String {
    let problems = bad.problems.iter().map(|problem| format!("\n  {problem}"));
    let problems: String = problems.collect();
    format!(
        "{}: every login is refused until this is mended:{problems}",
        bad.path.display()
    )
}

fn show(root: &Root, config: &Config, warnings: &[String], ruling: Option<&str>) -> io::Result<()> {
    let mut out = stdout();
    let path = root.etc().join(FILE);
    match config.changed {
        None => writeln!(out, "{}: not there; the defaults hold", path.display())?,
        Some(_) => writeln!(out, "{}: in order", path.display())?,
    }
    for warning in warnings {
        writeln!(out, "Warning: {warning}")?;
    }
    writeln!(out)?;
    field(&mut out, "Not enrolled", &unenrolled(&config.unenrolled))?;
    for (group, rule) in &config.groups {
        field(
            &mut out,
            &format!("  group {}", shown(group)),
            &unenrolled(rule),
        )?;
    }
    field(
        &mut out,
        "Asked",
        &names(&config.require, "everybody", "and"),
    )?;
    field(&mut out, "Exempt", &names(&config.exempt, "nobody", "or"))?;
    let networks = config.trusted_networks.iter();
    let networks: Vec<String> = networks.map(ToString::to_string).collect();
    field(&mut out, "Trusted", &or_none(networks.join(", ")))?;
    field(&mut out, "Prompt", &asking(&config.asking))?;
    for service in config.services.keys() {
        let here = asking(&config.asking(service));
        field(&mut out, &format!("  service {}", shown(service)), &here)?;
    }
    let suspended = match config.suspend_after {
        0 => "never".to_owned(),
        failures => format!("after {failures} failures in a row"),
    };
    field(&mut out, "Suspended", &suspended)?;
    if let Some(ruling) = ruling {
        writeln!(out, "\n{ruling}")?;
    }
    out.flush()
}

fn field(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    let name = format!("{name}:");
    writeln!(out, "{name:<16} {value}")
}

fn unenrolled(rule: &Unenrolled) -> String {
    match rule {
        Unenrolled::Deny => "denied".to_owned(),
        Unenrolled::Skip { until: None } => "not asked".to_owned(),
        Unenrolled::Skip { until: Some(day) } => format!("not asked until {day} (UTC)"),
    }
}

fn names(lists: &Lists, empty: &str, joint: &str) -> String {
    let list = |what: &str, names: &[String]| match names {
        [] => None,
        names => {
            let names: Vec<String> = names.iter().map(|name| shown(name)).collect();
            Some(format!("{what} {}", names.join(", ")))
        }
    };
    let who = [list("users", &lists.users), list("groups", &lists.groups)];
    let who: Vec<String> = who.into_iter().flatten().collect();
    let who = (!who.is_empty()).then(|| who.join(" or "));
    let both = [who, list("services", &lists.services)];
    let both: Vec<String> = both.into_iter().flatten().collect();
    match both.is_empty() {
        true => empty.to_owned(),
        false => both.join(&format!(" {joint} ")),
    }
}

fn or_none(text: String) -> String {
    match text.is_empty() {
        true => "none".to_owned(),
        false => text,
    }
}

fn asking(asking: &Asking) -> String {
    let prompt = asking.prompt.as_deref().unwrap_or(messages::prompt(0, 1));
    let echo = match asking.echo {
        Some(true) => "shown",
        _ => "hidden",
    };
    let tries = match asking.tries.unwrap_or(Asking::TRIES) {
        1 => "1 try".to_owned(),
        tries => format!("{tries} tries"),
    };
    format!("{prompt:?}, what is typed is {echo}, {tries}")
}

/// Whether a login is asked for a second factor, as the module would say it. Fails if the module
/// could tell, since it runs as root, and we cannot.
fn ruling(root: &Root, config: &Config, user: &str, options: &Check) -> Result<String> {
    let from = options
        .rhost
        .as_deref()
        .map(|rhost| format!(" from {}", shown(rhost)));
    let (user_shown, service) = (shown(user), shown(&options.service));
    let login = format!("{user_shown} at {service}{}", from.unwrap_or_default());
    match said(root, config, user, options) {
        Ok(said) => Ok(format!("{login}: {said}")),
        Err(fault) if fault.wants_root() => {
            Err(anyhow!(fault).context(format!("whether {login} is asked cannot be told")))
        }
        Err(fault) => Ok(format!("Warning: {login}: refused ({fault})")),
    }
}

fn said(root: &Root, config: &Config, user: &str, options: &Check) -> Result<String, Fault> {
    let login = Login {
        user,
        uid: user::uid_of(user)?,
        service: &options.service.to_ascii_lowercase(),
        rhost: options.rhost.as_deref(),
    };
    let Standing { rule, asked, .. } = standing(root, config, &login, time::now())?;
    Ok(match asked {
        Asked::No(_) => format!("not asked ({rule})"),
        Asked::As(Subject::Enrolled(_)) => format!("asked ({rule})"),
        Asked::As(Subject::Stranger(_)) if login.uid.is_none() => {
            "asked and refused (there is no such user)".to_owned()
        }
        Asked::As(Subject::Stranger(_)) => format!(
            "asked and refused ({rule}). Enroll with: mfa-admin enroll {}",
            shown(user)
        ),
    })
}
