//! The kinds of logins, one after the other in turn, in one process and in a fresh process each.

use std::path::Path;

use crate::{
    callgrind::{self, Profile},
    child,
    code::{START, STEP},
    place::Place,
    scenario::{Scenario, Subject},
    stats::Samples,
    system::System,
    trace::{self, Trace},
};

/// How often everything is measured from the beginning: it tells how much it varies.
pub const RUNS: usize = 3;

/// What one kind of login costs with one module.
#[derive(Clone, Debug)]
pub struct Cost {
    /// The kind.
    pub scenario: Scenario,
    /// The module.
    pub subject: Subject,
    /// Many in one process.
    pub warm: Samples,
    /// Each in a fresh process.
    pub fresh: Samples,
    /// Instructions in a fresh process.
    pub profile: Profile,
    /// System calls in a fresh process.
    pub trace: Trace,
}

impl Cost {
    fn new(scenario: Scenario, subject: Subject) -> Self {
        Self {
            scenario,
            subject,
            warm: Samples::default(),
            fresh: Samples::default(),
            profile: Profile::default(),
            trace: Trace::default(),
        }
    }
}

/// All kinds with all modules.
#[derive(Debug)]
pub struct Logins(Vec<Cost>);

impl Logins {
    /// Of one kind, in the order of a round.
    pub fn of(&self, scenario: Scenario) -> impl Iterator<Item = &Cost> {
        self.0.iter().filter(move |cost| cost.scenario == scenario)
    }

    /// Of one kind with one module.
    pub fn with(&self, scenario: Scenario, subject: Subject) -> &Cost {
        let mut costs = self.of(scenario);
        costs
            .find(|cost| cost.subject == subject)
            .expect("it was measured")
    }
}

/// Measures all of it. The clock goes on from `now`, and is left where nothing has been used yet.
pub fn measure(place: &Place, rounds: usize, system: &System, now: &mut u64) -> Logins {
    let costs = Scenario::ALL.into_iter().flat_map(|scenario| {
        let subjects = scenario.subjects().iter();
        subjects.map(move |subject| Cost::new(scenario, *subject))
    });
    let mut logins = Logins(costs.collect());
    for run in 1..=RUNS {
        for scenario in Scenario::ALL {
            eprintln!("run {run} of {RUNS}: {}", scenario.title());
            let mut costs: Vec<&mut Cost> = logins
                .0
                .iter_mut()
                .filter(|cost| cost.scenario == scenario)
                .collect();
            for cost in &mut costs {
                cost.warm.begin_run();
                cost.fresh.begin_run();
            }
            for fresh in [false, true] {
                for round in 0..=rounds {
                    *now += scenario.pace();
                    for cost in &mut costs {
                        let ended = one(place, scenario, cost.subject, *now, fresh);
                        system.drain_log();
                        // The first round warms up.
                        match (round, fresh) {
                            (0, _) => {}
                            (_, false) => cost.warm.push(ended),
                            (_, true) => cost.fresh.push(ended),
                        }
                    }
                }
            }
        }
    }
    logins
}

fn one(place: &Place, scenario: Scenario, subject: Subject, now: u64, fresh: bool) -> f64 {
    scenario.prepare(place, subject, now);
    let ended = match fresh {
        false => scenario.run(place, subject, now),
        true => child::login(place, scenario, subject, now, &[]),
    };
    ended.microseconds
}

/// Adds what callgrind and strace count; `symbols` is the module with its symbols.
pub fn count(logins: &mut Logins, place: &Place, symbols: &Path, system: &System, now: &mut u64) {
    eprintln!("instructions and system calls");
    let shipped = place.replace_module(symbols);
    for cost in &mut logins.0 {
        let mut prepared = || {
            *now += cost.scenario.pace();
            cost.scenario.prepare(place, cost.subject, *now);
            *now
        };
        cost.trace = trace::trace(place, cost.scenario, cost.subject, prepared(), &system.dir);
        cost.profile =
            callgrind::profile(place, cost.scenario, cost.subject, prepared(), &system.dir);
        system.drain_log();
    }
    place.replace_module(&shipped);
}

/// The time at which a new place begins.
pub fn beginning() -> u64 {
    START + STEP
}
