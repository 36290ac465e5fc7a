//! What was promised, and whether it holds.

use crate::{
    child::Memory,
    elf::Module,
    growth::Size,
    logins::Logins,
    scenario::{FLOOR, GOOGLE, GOOGLE_NOSKEWADJ, OATH, OURS, Scenario, Subject},
    stats::Samples,
};

/// A promise.
#[derive(Clone, Debug)]
pub struct Target {
    /// What was promised.
    pub promise: String,
    /// What was measured.
    pub measured: String,
    /// Whether it holds.
    pub met: bool,
}

/// One or the other way of logging in.
pub type Way = fn(&crate::logins::Cost) -> &Samples;

/// All of them.
pub fn all(logins: &Logins, modules: &[Module], retained: Memory, sizes: &[Size]) -> Vec<Target> {
    let ways: [(&str, Way, f64); 2] = [
        ("in one process", |cost| &cost.warm, 0.5),
        ("in a fresh process each", |cost| &cost.fresh, 0.7),
    ];
    let right = ways.into_iter().flat_map(|(name, way, limit)| {
        [GOOGLE, OATH].map(|peer| {
            let ratio = added(logins, Scenario::Right, OURS, way)
                / added(logins, Scenario::Right, peer, way);
            let promise = format!(
                "right code, {name}: added cost at most {limit} × {}",
                peer.label
            );
            at_most(promise, ratio, limit, "×")
        })
    });
    let mut targets: Vec<Target> = right.collect();
    let wrong =
        median(logins, Scenario::Wrong, OURS) / median(logins, Scenario::Wrong, GOOGLE_NOSKEWADJ);
    let promise = "wrong code, in one process: at most 1.2 × google-authenticator with `noskewadj`";
    targets.push(at_most(promise.to_owned(), wrong, 1.2, "×"));
    let trace = |scenario| &logins.with(scenario, OURS).trace;
    let count =
        |promise: &str, count: usize, limit| at_most(promise.to_owned(), count as f64, limit, "");
    targets.push(count(
        "replayed code: no sync",
        trace(Scenario::Replay).syncs,
        0.0,
    ));
    targets.push(count(
        "right code: one sync",
        trace(Scenario::Right).syncs,
        1.0,
    ));
    targets.push(count(
        "right code: at most 60 system calls of ours",
        trace(Scenario::Right).own,
        60.0,
    ));
    let backup = &logins.with(Scenario::Backup, OURS).profile;
    let argon2 = 100.0 * backup.within(ARGON2) as f64 / backup.total as f64;
    targets.push(Target {
        promise: "backup code: one Argon2 evaluation, and nothing else that shows".to_owned(),
        measured: format!("{argon2:.1} % of the instructions are Argon2's"),
        met: argon2 >= 95.0,
    });
    let module = modules
        .iter()
        .find(|module| module.subject == OURS)
        .expect("ours");
    let size = module.size as f64 / 1024.0;
    targets.push(at_most(
        "size of the module: at most 900 KiB".to_owned(),
        size,
        900.0,
        "KiB",
    ));
    let promise = "memory kept after a login: at most 1 MiB over the floor";
    targets.push(at_most(
        promise.to_owned(),
        retained.retained as f64,
        1024.0,
        "KiB",
    ));
    targets.extend(
        sizes
            .iter()
            .filter(|size| size.subject == OURS)
            .max_by_key(|size| size.users)
            .map(flat),
    );
    targets
}

/// The function that does nothing but Argon2.
pub const ARGON2: &str = "argon2::Argon2::fill_blocks";

fn flat(size: &Size) -> Target {
    let more = 100.0 * (size.time.median() / size.alone.median() - 1.0);
    at_most(
        format!(
            "right code with {} users: within 5 % of one user",
            size.users
        ),
        more,
        5.0,
        "% more",
    )
}

fn at_most(promise: String, measured: f64, limit: f64, unit: &str) -> Target {
    let digits = if measured.fract() == 0.0 { 0 } else { 2 };
    Target {
        promise,
        measured: format!("{measured:.digits$} {unit}").trim().to_owned(),
        met: measured <= limit,
    }
}

fn median(logins: &Logins, scenario: Scenario, subject: Subject) -> f64 {
    logins.with(scenario, subject).warm.median()
}

/// Above what libpam itself takes.
pub fn added(logins: &Logins, scenario: Scenario, subject: Subject, way: Way) -> f64 {
    let of = |subject| way(logins.with(scenario, subject)).median();
    of(subject) - of(FLOOR)
}
