//! What a login costs, beside Debian's other modules for one-time passwords. `make bench` runs it.

mod admin;
mod callgrind;
mod child;
mod code;
mod disk;
mod elf;
mod growth;
mod login;
mod logins;
mod place;
mod raw;
mod report;
mod scenario;
mod stats;
mod svg;
mod system;
mod targets;
mod throughput;
mod trace;

use std::{env, path::Path, str::FromStr};

use mfa_tests::locate;

use crate::{
    place::{ACCOUNTS, Place},
    report::Results,
    scenario::{GOOGLE, OURS, Scenario},
    system::System,
};

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.is_empty() {
        true => measure(),
        false => child::main(&words),
    }
}

/// For a short run: how often everything is measured, and with how many users at most.
fn setting<T: FromStr>(name: &str, usual: T) -> T {
    let text = env::var(name).ok();
    text.map_or(usual, |text| {
        text.parse()
            .ok()
            .unwrap_or_else(|| panic!("{name}: no number"))
    })
}

fn measure() {
    let rounds: usize = setting("BENCH_ROUNDS", 100);
    let users: usize = setting("BENCH_USERS", 1_000_000);
    // On a disk: that of /tmp may be memory, which needs no sync.
    let dir = tempfile::Builder::new()
        .prefix("mfa-bench-")
        .tempdir_in("/var/tmp");
    let dir = dir.expect("make a folder in /var/tmp");
    let system = System::enter(dir.path());
    let results = results(rounds, users, &system);
    println!("{}", results.write());
    eprintln!("cleaning up");
}

fn results(rounds: usize, users: usize, system: &System) -> Results {
    let (module, symbols) = (locate::module(), symbols());
    let mut place = Place::new(&system.dir.join("ten"), &module);
    place.grow(10);
    let mut now = logins::beginning();
    let mut logins = logins::measure(&place, rounds, system, &mut now);
    logins::count(&mut logins, &place, &symbols, system, &mut now);
    let disk = disk::measure(&system.dir, rounds);
    let modules = elf::measure(&place, rounds);
    let memory = system.with_log_reader(|| memory(&place, &mut now));
    let loads = throughput(&module, rounds, system);
    let piles = growth::pile_up(&module, 1000 * rounds as u64, 100 * rounds as u64, system);
    let mut admin = Vec::new();
    let sizes = growth::measure(&module, users, rounds, system, |users, place| {
        if users == admin::USERS {
            admin = admin::measure(place);
        }
    });
    Results {
        rounds,
        logins,
        disk,
        modules,
        memory,
        sizes,
        piles,
        loads,
        admin,
    }
}

fn memory(place: &Place, now: &mut u64) -> Vec<(String, Vec<(scenario::Subject, child::Memory)>)> {
    eprintln!("memory");
    let mut after_codes = |count: u64| {
        *now += code::STEP;
        let answers = |now| child::codes(now, count);
        let of = |subject| (subject, growth::above_floor(place, subject, now, answers));
        growth::MODULES.map(of).to_vec()
    };
    let mut rows = vec![
        ("a right code".to_owned(), after_codes(1)),
        ("a hundred right codes".to_owned(), after_codes(100)),
    ];
    let mut of = |subject| {
        let answers = |now| {
            place.forget_spent();
            vec![Scenario::Backup.answer(place, subject, now)]
        };
        (subject, growth::above_floor(place, subject, now, answers))
    };
    rows.push(("a backup code".to_owned(), vec![of(OURS), of(GOOGLE)]));
    rows
}

fn throughput(module: &Path, rounds: usize, system: &System) -> Vec<throughput::Load> {
    let mut place = Place::new(&system.dir.join("many-at-once"), module);
    place.grow(ACCOUNTS);
    let mut now = logins::beginning();
    system.with_log_reader(|| throughput::measure(&place, rounds as f64 / 100.0, &mut now))
}

/// The module with its symbols, which lies beside this program.
fn symbols() -> std::path::PathBuf {
    let program = env::current_exe().expect("the path of this program");
    program.with_file_name("libpam_mfa.so")
}
