//! What becomes of a login when there are more users, and when a user has logged in often.

use std::path::Path;

use crate::{
    callgrind,
    child::{self, Memory},
    code::{self, STEP},
    logins::beginning,
    place::Place,
    scenario::{FLOOR, GOOGLE, GOOGLE_LIMITED, OATH, OURS, Scenario, Subject},
    stats::{Samples, quantile},
    system::System,
};

/// No more than that is spent on one module with one number of users.
const PATIENCE: f64 = 20e6;

/// The modules that have users.
pub const MODULES: [Subject; 3] = [OURS, GOOGLE, OATH];

/// One module with so many users.
#[derive(Clone, Debug)]
pub struct Size {
    /// How many.
    pub users: usize,
    /// The module.
    pub subject: Subject,
    /// A right code.
    pub time: Samples,
    /// The same of a place with one user, in turn with it.
    pub alone: Samples,
    /// What a right code costs the host, above the floor.
    pub memory: Memory,
    /// Instructions of a right code, in a fresh process.
    pub instructions: u64,
}

/// Every module with every number of users up to `most`. Calls `at` for every number.
pub fn measure(
    module: &Path,
    most: usize,
    rounds: usize,
    system: &System,
    mut at: impl FnMut(usize, &Place),
) -> Vec<Size> {
    let mut one = Place::new(&system.dir.join("one"), module);
    one.grow(1);
    let mut many = Place::new(&system.dir.join("many"), module);
    let mut now = beginning();
    let mut sizes = Vec::new();
    for users in [1, 100, 10_000, 100_000, 1_000_000] {
        if users > most {
            break;
        }
        eprintln!("{users} users");
        many.grow(users);
        at(users, &many);
        sizes.extend(of(users, &one, &many, rounds, system, &mut now));
    }
    sizes
}

fn of(
    users: usize,
    one: &Place,
    many: &Place,
    rounds: usize,
    system: &System,
    now: &mut u64,
) -> Vec<Size> {
    let size = |subject| Size {
        users,
        subject,
        time: Samples::default(),
        alone: Samples::default(),
        memory: Memory::default(),
        instructions: 0,
    };
    let mut sizes = MODULES.map(size);
    let mut spent = [0.0; 3];
    for _ in 0..rounds {
        *now += STEP;
        for (size, spent) in sizes.iter_mut().zip(&mut spent) {
            if *spent < PATIENCE {
                size.alone
                    .push(Scenario::Right.run(one, size.subject, *now).microseconds);
                let took = Scenario::Right.run(many, size.subject, *now).microseconds;
                size.time.push(took);
                *spent += took;
            }
            system.drain_log();
        }
    }
    for size in &mut sizes {
        *now += STEP;
        let profile = callgrind::profile(many, Scenario::Right, size.subject, *now, &system.dir);
        size.instructions = profile.total;
        *now += STEP;
        system.drain_log();
        size.memory = system
            .with_log_reader(|| above_floor(many, size.subject, now, |now| child::codes(now, 1)));
    }
    sizes.into()
}

/// How often memory is measured: where the kernel maps a module decides how many of its pages come along.
const HOSTS: usize = 15;

/// The memory of a host after the answers of a time, above what it takes without any module: medians.
pub fn above_floor(
    place: &Place,
    subject: Subject,
    now: &mut u64,
    answers: impl Fn(u64) -> Vec<String>,
) -> Memory {
    let mut hosts = [subject, FLOOR].map(|_| Vec::new());
    for _ in 0..HOSTS {
        let answers = answers(*now);
        for (hosts, subject) in hosts.iter_mut().zip([subject, FLOOR]) {
            hosts.push(child::memory(place, subject, &answers, *now));
        }
        *now += (answers.len() as u64 + 1) * STEP;
    }
    let above = |size: fn(&Memory) -> i64| {
        let [with, floor] = hosts.each_ref().map(|hosts: &Vec<Memory>| {
            quantile(
                hosts.iter().map(|memory| size(memory) as f64).collect(),
                0.5,
            ) as i64
        });
        with - floor
    };
    Memory {
        peak: above(|memory| memory.peak),
        retained: above(|memory| memory.retained),
        anonymous: above(|memory| memory.anonymous),
    }
}

/// In the settings that keep the most of what a user did.
const PILING: [Subject; 3] = [OURS, GOOGLE_LIMITED, OATH];

/// A user's state after many logins.
#[derive(Clone, Debug)]
pub struct Pile {
    /// After what.
    pub after: String,
    /// Of each module: files, and their bytes.
    pub state: [(usize, u64); 3],
    /// Of each module: a right code.
    pub time: [Samples; 3],
}

/// Many logins and failures of one user, in memory, for it is not the disk that is asked here.
pub fn pile_up(module: &Path, logins: u64, failures: u64, system: &System) -> Vec<Pile> {
    eprintln!("{logins} logins and {failures} failures of one user");
    let mut place = Place::new(&system.dir.join("memory/place"), module);
    place.grow(10);
    let mut now = beginning();
    let look = |after: &str, now: &mut u64| {
        let mut time = [(); 3].map(|()| Samples::default());
        for _ in 0..50 {
            *now += 3 * STEP;
            for (subject, samples) in PILING.into_iter().zip(&mut time) {
                samples.push(right(&place, subject, *now));
                system.drain_log();
            }
        }
        Pile {
            after: after.to_owned(),
            state: place.piled_up(),
            time,
        }
    };
    let mut piles = vec![look("50 logins", &mut now)];
    for _ in 0..logins {
        now += STEP;
        for subject in PILING {
            Scenario::Right.run(&place, subject, now);
            system.drain_log();
        }
    }
    piles.push(look(&format!("{logins} logins"), &mut now));
    for _ in 0..failures {
        now += 3 * STEP;
        for subject in PILING {
            Scenario::Wrong.run(&place, subject, now);
            system.drain_log();
        }
    }
    let state = place.piled_up();
    let mut after = look(&format!("{failures} failures more"), &mut now);
    after.state = state;
    piles.push(after);
    piles
}

/// As many codes in a row as are asked for at most: ours wants three after many failures.
fn right(place: &Place, subject: Subject, now: u64) -> f64 {
    let ended = Scenario::Right.run_with(place, subject, now, |answer| match subject == OURS {
        true => format!(
            "{} {} {answer}",
            code::at(now - 2 * STEP),
            code::at(now - STEP)
        ),
        false => answer,
    });
    ended.microseconds
}
