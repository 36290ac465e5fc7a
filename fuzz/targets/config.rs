//! `config.toml`: whatever stands in it, it is taken as another reader understands it, or refused
//! with words that help to find the fault.

#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use mfa_core::config::{Asking, Config, Problem, Unenrolled};
use mfa_fuzz::require;
use toml::{Table, Value};

fuzz_target!(|text: &[u8]| {
    let table = std::str::from_utf8(text).ok();
    let table = table.and_then(|text| text.parse::<Table>().ok());
    match (Config::parse(text), table) {
        (Ok(config), Some(table)) => check_taken(&config, &table),
        (Ok(config), None) => require!(false, "{config:?} from what is no TOML"),
        (Err(problems), table) => {
            check_words(&problems, text);
            let right = table.as_ref().is_some_and(is_right);
            require!(!right, "refused: {table:?} for {problems:?}");
        }
    }
});

fn check_taken(config: &Config, table: &Table) {
    require!(is_right(table), "taken: {table:?}");
    let number = |key: &str| table.get(key).and_then(Value::as_integer).unwrap_or(0);
    let suspend_after = number("suspend_after");
    require!(
        config.suspend_after as i64 == suspend_after,
        "{config:?} from {table:?}"
    );
    require!(
        is_rule(&config.unenrolled, table),
        "{config:?} from {table:?}"
    );
    require!(
        is_asking(&config.asking, table),
        "{config:?} from {table:?}"
    );
    let groups = below(table, "group");
    let same = groups.len() == config.groups.len()
        && groups
            .iter()
            .all(|(name, table)| is_rule(&config.groups[*name], table));
    require!(same, "{config:?} from {table:?}");
    let services = below(table, "service");
    let same = services.len() == config.services.len()
        && services
            .iter()
            .all(|(name, table)| is_asking(&config.services[*name], table));
    require!(same, "{config:?} from {table:?}");
    for (key, lists) in [("require", &config.require), ("exempt", &config.exempt)] {
        let said = |list: &str| texts(table.get(key).and_then(|table| table.get(list)));
        let same = lists.users == said("users")
            && lists.groups == said("groups")
            && lists.services == said("services");
        require!(same, "{config:?} from {table:?}");
    }
    let networks = texts(table.get("trusted_networks")).len();
    require!(
        config.trusted_networks.len() == networks,
        "{config:?} from {table:?}"
    );
}

fn is_rule(rule: &Unenrolled, table: &Table) -> bool {
    let skips = table.get("unenrolled").and_then(Value::as_str) == Some("skip");
    let until = table.get("skip_until").map(Value::to_string);
    match rule {
        Unenrolled::Deny => !skips,
        Unenrolled::Skip { until: day } => skips && day.map(|day| day.to_string()) == until,
    }
}

fn is_asking(asking: &Asking, table: &Table) -> bool {
    let tries = table.get("tries").and_then(Value::as_integer);
    asking.tries.map(i64::from) == tries
        && asking.echo == table.get("echo").and_then(Value::as_bool)
        && asking.prompt.as_deref() == table.get("prompt").and_then(Value::as_str)
}

fn below<'t>(table: &'t Table, key: &str) -> Vec<(&'t str, &'t Table)> {
    let tables = table
        .get(key)
        .and_then(Value::as_table)
        .into_iter()
        .flatten();
    let tables = tables.filter_map(|(name, table)| Some((name.as_str(), table.as_table()?)));
    tables.collect()
}

fn texts(list: Option<&Value>) -> Vec<&str> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}

/// Only known keys, and what each of them may be.
fn is_right(table: &Table) -> bool {
    holds_together(table)
        && table.iter().all(|(key, value)| match key.as_str() {
            "unenrolled" | "skip_until" => is_of_rule(key, value),
            "prompt" | "echo" | "tries" => is_of_asking(key, value),
            "suspend_after" => value.as_integer().is_some_and(|n| (0..=100).contains(&n)),
            "trusted_networks" => is_list(value, is_network),
            "require" | "exempt" => value.as_table().is_some_and(|lists| {
                lists.iter().all(|(key, value)| match key.as_str() {
                    "users" | "groups" => is_list(value, is_name),
                    "services" => is_list(value, is_service),
                    _ => false,
                })
            }),
            "group" => is_of_tables(value, |table| {
                holds_together(table) && table.iter().all(|(key, value)| is_of_rule(key, value))
            }),
            "service" => {
                let names = value.as_table().into_iter().flat_map(Table::keys);
                names.map(String::as_str).all(is_service)
                    && is_of_tables(value, |table| {
                        table.iter().all(|(key, value)| is_of_asking(key, value))
                    })
            }
            _ => false,
        })
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('!') && name != "*"
}

/// libpam writes them small.
fn is_service(name: &str) -> bool {
    is_name(name)
        && !name
            .bytes()
            .any(|byte| byte.is_ascii_uppercase() || byte == b'/')
}

/// A last day is one of skipping.
fn holds_together(table: &Table) -> bool {
    let skips = table.get("unenrolled").and_then(Value::as_str) == Some("skip");
    skips || !table.contains_key("skip_until")
}

fn is_of_rule(key: &str, value: &Value) -> bool {
    match (key, value) {
        ("unenrolled", Value::String(text)) => text == "deny" || text == "skip",
        ("skip_until", Value::Datetime(at)) => {
            at.date.is_some() && at.time.is_none() && at.offset.is_none()
        }
        _ => false,
    }
}

fn is_of_asking(key: &str, value: &Value) -> bool {
    match (key, value) {
        ("prompt", Value::String(text)) => {
            let is_control = |c: char| c < ' ' || ('\u{7f}'..='\u{9f}').contains(&c);
            (1..=256).contains(&text.len()) && !text.contains(is_control)
        }
        ("echo", Value::Boolean(_)) => true,
        ("tries", Value::Integer(number)) => (1..=10).contains(number),
        _ => false,
    }
}

fn is_of_tables(value: &Value, is_right: impl Fn(&Table) -> bool) -> bool {
    let right = |value: &Value| value.as_table().is_some_and(&is_right);
    value.as_table().is_some_and(|all| all.values().all(right))
}

fn is_list(value: &Value, is_right: impl Fn(&str) -> bool) -> bool {
    let right = |value: &Value| value.as_str().is_some_and(&is_right);
    value.as_array().is_some_and(|all| all.iter().all(right))
}

/// An address, or one with as many bits as its prefix says.
fn is_network(text: &str) -> bool {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let (bits, width) = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => (u128::from(address.to_bits()) << 96, 32),
        Ok(IpAddr::V6(address)) => (address.to_bits(), 128),
        Err(_) => return false,
    };
    let Some(prefix) = prefix else {
        return true;
    };
    let length = (0..=width).find(|length| length.to_string() == prefix);
    length.is_some_and(|length| bits.checked_shl(length).unwrap_or(0) == 0)
}

/// What is wrong and where, in the order of the lines.
fn check_words(problems: &[Problem], text: &[u8]) {
    let lines = text.split(|byte| *byte == b'\n').count();
    let there = |problem: &Problem| {
        let is_plain = !problem.to_string().contains(char::is_control);
        (1..=lines).contains(&problem.line) && !problem.text.is_empty() && is_plain
    };
    let right = !problems.is_empty()
        && problems.iter().all(there)
        && problems.is_sorted_by_key(|problem| problem.line);
    require!(right, "{problems:?}");
}
