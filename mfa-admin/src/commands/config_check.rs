//! `mfa-admin config check`: the policy of the machine, and what it says about a login.

use std::io::{self, Write, stdout};

use anyhow::{Context, Result, bail};
use mfa_core::config::{Asking, BadConfig, Config, FILE, Lists, Unenrolled};
use mfa_core::fault::Fault;
use mfa_core::messages;
use mfa_core::paths::Root;
use mfa_core::policy::{self, Login, Unready};
use mfa_core::store::Store;
use mfa_core::user::{self, NameService};
use mfa_core::verdict::Refusal;

use crate::cli::Check;
use crate::time;

/// All problems at once; else the effective policy, what looks like an accident, and the ruling.
pub fn run(root: &Root, options: &Check) -> Result<()> {
    let config = match Config::load(root) {
        Ok(config) => config,
        Err(Refusal::Config(bad)) => bail!(listed(&bad)),
        Err(refusal) => bail!("{refusal}"),
    };
    let warnings = policy::accidents(&config, &NameService, time::now())?;
    let ruling = match &options.user {
        Some(user) => Some(ruling(root, &config, user, options)?),
        None => None,
    };
    show(root, &config, &warnings, ruling.as_deref()).context("cannot write to standard output")
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
        0 => writeln!(out, "{}: not there; the defaults hold", path.display())?,
        _ => writeln!(out, "{}: in order", path.display())?,
    }
    for warning in warnings {
        writeln!(out, "Warning: {warning}")?;
    }
    writeln!(out)?;
    field(&mut out, "Not enrolled", &unenrolled(&config.unenrolled))?;
    for (group, rule) in &config.groups {
        field(&mut out, &format!("  group {group}"), &unenrolled(rule))?;
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
        field(&mut out, &format!("  service {service}"), &here)?;
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
    writeln!(out, "{:<17}{value}", format!("{name}:"))
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
        names => Some(format!("{what} {}", names.join(", "))),
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

/// Whether a login is asked for a second factor, as the module would say it.
fn ruling(root: &Root, config: &Config, user: &str, options: &Check) -> Result<String, Fault> {
    let uid = user::uid_of(user)?;
    let login = Login {
        user,
        uid,
        service: &options.service,
        rhost: options.rhost.as_deref(),
    };
    let from = options.rhost.iter().map(|rhost| format!(" from {rhost}"));
    let from: String = from.collect();
    let who = format!("{user} at {}{from}", options.service);
    let who = who.escape_debug();
    let ruling = policy::rule(config, &login, &NameService)?;
    if !ruling.asked {
        return Ok(format!("{who}: not asked ({})", ruling.rule));
    }
    let Some(uid) = uid else {
        return Ok(format!("{who}: asked and refused (there is no such user)"));
    };
    if Store::open(root)?.record(uid)?.is_some() {
        return Ok(format!("{who}: asked ({})", ruling.rule));
    }
    let unready = policy::unready(config, &login, &NameService, time::now())?;
    Ok(match unready {
        Unready::Denied { rule } => {
            let user = user::shown(user);
            format!(
                "{who}: asked and refused (not enrolled; {rule}). \
                 Enroll with: mfa-admin enroll {user}"
            )
        }
        Unready::Skipped { rule, .. } => format!("{who}: not asked (not enrolled; {rule})"),
    })
}
