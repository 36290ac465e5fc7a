//! The module as a file: what it exports, how it is linked, and what it does not tell.

use std::{env, fs, process::Command};

use mfa_tests::{command::run, locate};

fn output(words: &[&str]) -> String {
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .arg(locate::module())
        .env("LC_ALL", "C");
    run(&mut command, "").ok().stdout
}

#[test]
fn it_exports_the_six_entry_points_and_nothing_else() {
    let symbols = output(&["nm", "--dynamic", "--defined-only", "--format=just-symbols"]);
    let mut symbols: Vec<&str> = symbols.lines().collect();
    symbols.sort_unstable();
    let hooks = [
        "pam_sm_acct_mgmt",
        "pam_sm_authenticate",
        "pam_sm_chauthtok",
        "pam_sm_close_session",
        "pam_sm_open_session",
        "pam_sm_setcred",
    ];
    assert_eq!(symbols, hooks);
}

#[test]
fn once_loaded_it_stays_and_all_is_bound_at_once() {
    let dynamic = output(&["readelf", "--dynamic", "--wide"]);
    let line = |tag: &str| {
        dynamic
            .lines()
            .find(|line| line.contains(tag))
            .unwrap_or_default()
    };
    assert!(line("(SONAME)").contains("[pam_mfa.so]"), "{dynamic}");
    assert!(line("(FLAGS_1)").contains("NODELETE"), "{dynamic}");
    let now = line("(FLAGS)").contains("BIND_NOW") || line("(FLAGS_1)").contains("NOW");
    assert!(now, "{dynamic}");
    assert_eq!(line("TEXTREL"), "");
    assert_eq!(line("RPATH").to_owned() + line("RUNPATH"), "");
}

#[test]
fn it_needs_libpam_and_the_c_library_alone() {
    let dynamic = output(&["readelf", "--dynamic", "--wide"]);
    let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    for line in needed {
        let known = ["[libpam.so.0]", "[libc.so.6]", "[ld-linux"];
        assert!(known.iter().any(|name| line.contains(name)), "{line}");
    }
}

/// Two unwinders in one process: neither takes a function of the other's for its own.
#[test]
fn its_unwinder_is_its_own() {
    let symbols = output(&[
        "nm",
        "--dynamic",
        "--undefined-only",
        "--format=just-symbols",
    ]);
    let unwinder = |name: &&str| {
        ["_Unwind_", "__register_frame", "__gcc_"]
            .iter()
            .any(|start| name.starts_with(start))
    };
    assert_eq!(symbols.lines().find(unwinder), None);
}

/// In bytes; `docs/design.md` says what it is made of.
const LARGEST: u64 = 900 * 1024;

#[test]
fn it_is_small() {
    let size = fs::metadata(locate::module()).expect("the module").len();
    assert!(size <= LARGEST, "{size} bytes");
}

#[test]
fn its_memory_is_either_written_or_run() {
    let segments = output(&["readelf", "--segments", "--wide"]);
    // Type, offset, virtual and physical address, two sizes, flags, alignment.
    let flags = |kind: &str| {
        let mut lines = segments.lines().map(str::trim_start);
        let line = lines.find(|line| line.starts_with(kind));
        let words = line.unwrap_or_default().split_whitespace().skip(6);
        words
            .take_while(|word| !word.starts_with('0'))
            .collect::<String>()
    };
    assert_eq!(flags("GNU_RELRO"), "R", "{segments}");
    assert_eq!(flags("GNU_STACK"), "RW", "{segments}");
    let loads = segments
        .lines()
        .filter(|line| line.trim_start().starts_with("LOAD"));
    for load in loads {
        assert!(!load.contains("RWE") && !load.contains(" WE "), "{load}");
    }
}

/// Where whoever built the module keeps his files.
fn folders_of_the_builder() -> Vec<String> {
    let variables = ["HOME", "CARGO_HOME", "RUSTUP_HOME", "CARGO_TARGET_DIR"];
    let set = variables.iter().filter_map(|name| env::var(name).ok());
    let workspace = locate::workspace().display().to_string();
    let folders = set.chain([workspace]).filter(|folder| folder.len() > 1);
    let usual = ["/home", "/root", "/target/release"].map(str::to_owned);
    let folders = folders.chain(usual).map(|folder| format!("{folder}/"));
    folders.collect()
}

#[test]
fn it_does_not_tell_where_it_was_built() {
    let module = fs::read(locate::module()).expect("read the module");
    for folder in folders_of_the_builder() {
        let mut windows = module.windows(folder.len());
        let found = windows.position(|window| window == folder.as_bytes());
        let around = found.map(|at| String::from_utf8_lossy(&module[at..at + 100]).into_owned());
        assert_eq!(around, None, "{folder}");
    }
}
