//! `config.toml`: whatever stands in it, it is taken with values in their ranges, or refused with
//! words that help to find the fault.

#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use mfa_core::config::{Config, FILE};
use mfa_core::paths::Root;
use mfa_core::verdict::Refusal;
use mfa_fuzz::require;
use toml::Table;

thread_local! {
    static ROOT: Root = make();
}

fuzz_target!(|text: &[u8]| {
    let loaded = ROOT.with(|root| {
        mfa_fuzz::machine::write(&root.etc().join(FILE), text, 0o644);
        Config::load(root)
    });
    let table = std::str::from_utf8(text).ok().map(str::parse::<Table>);
    match (loaded, table) {
        (Ok(config), Some(Ok(table))) => check_taken(&config, &table),
        (Ok(config), _) => require!(false, "{config:?} from what is no TOML"),
        (Err(Refusal::Config(problem)), table) => {
            check_words(&problem, text, table.is_some());
            if let Some(Ok(table)) = table {
                require!(!is_right(&table), "refused: {problem}");
            }
        }
        (Err(refusal), _) => require!(false, "{refusal:?}"),
    }
});

fn check_taken(config: &Config, table: &Table) {
    require!(is_right(table), "taken: {table:?}");
    require!((1..=10).contains(&config.tries), "{config:?}");
    require!(config.suspend_after <= 100, "{config:?}");
    let number = |key: &str| table.get(key).and_then(|value| value.as_integer());
    let tries = number("tries").unwrap_or(3);
    let suspend_after = number("suspend_after").unwrap_or(0);
    let same = i64::from(config.tries) == tries && config.suspend_after as i64 == suspend_after;
    require!(same, "{config:?} from {table:?}");
}

fn is_right(table: &Table) -> bool {
    table
        .iter()
        .all(|(key, value)| match (key.as_str(), value.as_integer()) {
            ("tries", Some(number)) => (1..=10).contains(&number),
            ("suspend_after", Some(number)) => (0..=100).contains(&number),
            _ => false,
        })
}

/// Where the fault is, or which key has it.
fn check_words(problem: &str, text: &[u8], is_text: bool) {
    let problem = problem.split_once(": ").map_or("", |(_, problem)| problem);
    let lines = text.split(|byte| *byte == b'\n').count();
    let line = problem
        .strip_prefix("line ")
        .and_then(|rest| rest.split(':').next());
    let line = line.and_then(|line| line.parse::<usize>().ok());
    let helps = match (line, is_text) {
        (Some(line), true) => (1..=lines).contains(&line),
        (None, true) => problem.starts_with("tries: ") || problem.starts_with("suspend_after: "),
        (_, false) => problem == "is not UTF-8 text",
    };
    require!(helps, "{problem}");
}

fn make() -> Root {
    let dir = std::env::temp_dir().join(format!("pam_mfa-fuzz-config-{}", std::process::id()));
    let root = Root::new(&dir).expect("an absolute path");
    fs::create_dir_all(root.etc()).expect("make a directory");
    root
}
