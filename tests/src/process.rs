//! What a process is like, as far as a module must leave it as it was.

use std::{collections::BTreeMap, env, fs};

use nix::{sys::prctl, unistd};

use crate::pam;

/// Each thing with its name.
pub type State = BTreeMap<String, String>;

/// What changed: before and after.
pub type Changes = BTreeMap<String, [Option<String>; 2]>;

/// Files below `/proc/self` that count as a whole.
const FILES: [&str; 8] = [
    "comm",
    "coredump_filter",
    "limits",
    "loginuid",
    "oom_score_adj",
    "personality",
    "timers",
    "timerslack_ns",
];

/// Lines of `/proc/self/status` that change by themselves: memory, what the user's other processes do.
const PASSING: [&str; 5] = ["Vm", "Rss", "Hugetlb", "SigQ", "State"];

/// The state of this process.
pub fn state() -> State {
    // The stand-in for the system's accounts opens its files at the first look, and keeps them open.
    let _ = unistd::User::from_uid(unistd::getuid());
    let mut state: State = pam::process_wide().into_iter().collect();
    state.insert(
        "dumpable".to_owned(),
        format!("{:?}", prctl::get_dumpable()),
    );
    state.extend(FILES.map(|file| (file.to_owned(), read(file))));
    let status = read("status");
    let lines = status.lines().filter_map(|line| line.split_once(':'));
    let lasting = lines.filter(|(name, _)| {
        !PASSING.iter().any(|start| name.starts_with(start)) && !name.ends_with("ctxt_switches")
    });
    state.extend(lasting.map(|(name, value)| (name.to_owned(), value.trim().to_owned())));
    for link in ["cwd", "root"]
        .map(str::to_owned)
        .into_iter()
        .chain(names("fd"))
        .chain(names("ns"))
    {
        // That of the listing is closed by now.
        if let Ok(target) = fs::read_link(format!("/proc/self/{link}")) {
            state.insert(link, target.display().to_string());
        }
    }
    let variables = env::vars_os();
    state.extend(
        variables.map(|(name, value)| (format!("variable {name:?}"), format!("{value:?}"))),
    );
    state
}

/// Empty where the kernel has no such file.
fn read(file: &str) -> String {
    fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default()
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/self/{folder}")).expect("list a folder of ours");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| format!("{folder}/{}", name.display()))
        .collect()
}

/// What of the state is not as it was.
pub fn changes(before: &State, after: &State) -> Changes {
    let names = before.keys().chain(after.keys());
    let pairs = names.map(|name| (name, [before.get(name), after.get(name)]));
    let changed = pairs.filter(|(_, [before, after])| before != after);
    changed
        .map(|(name, pair)| (name.clone(), pair.map(Option::<&String>::cloned)))
        .collect()
}
