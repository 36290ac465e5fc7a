//! Many logins at once.

use std::{
    sync::atomic::Ordering::SeqCst,
    thread,
    time::{Duration, Instant},
};

use crate::{
    code::{self, STEP},
    growth::MODULES,
    login::Login,
    place::{self, Place},
    raw::{self, Shared},
    scenario::Subject,
};

/// How many at once.
pub const WORKERS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The module.
    pub subject: Subject,
    /// Everybody is the same user.
    pub one_user: bool,
    /// How many at once.
    pub workers: usize,
    /// Logins a second that were let in.
    pub rate: f64,
    /// Right codes that were refused, of all.
    pub refused: f64,
}

/// Every module with every number of processes.
pub fn measure(place: &Place, seconds: f64, now: &mut u64) -> Vec<Load> {
    let mut loads = Vec::new();
    for one_user in [false, true] {
        for workers in WORKERS {
            eprintln!(
                "{workers} at once, {}",
                if one_user {
                    "one user"
                } else {
                    "different users"
                }
            );
            for subject in MODULES {
                loads.push(load(place, subject, one_user, workers, seconds, now));
            }
        }
    }
    loads
}

fn load(
    place: &Place,
    subject: Subject,
    one_user: bool,
    workers: usize,
    seconds: f64,
    now: &mut u64,
) -> Load {
    let shared = raw::shared();
    shared.step.store(*now / STEP + 1, SeqCst);
    let work = |worker: usize| {
        let user = place::name(if one_user { 0 } else { worker });
        raw::fork(move || log_in_until_stopped(place, subject, &user, shared))
    };
    let children: Vec<_> = (0..workers).map(work).collect();
    shared.go.store(true, SeqCst);
    let start = Instant::now();
    thread::sleep(Duration::from_secs_f64(seconds));
    shared.stop.store(true, SeqCst);
    children.into_iter().for_each(raw::Child::join);
    let took = start.elapsed().as_secs_f64();
    *now = (shared.step.load(SeqCst) + 1) * STEP;
    let (granted, refused) = (
        shared.granted.load(SeqCst) as f64,
        shared.refused.load(SeqCst) as f64,
    );
    Load {
        subject,
        one_user,
        workers,
        rate: granted / took,
        refused: refused / (granted + refused),
    }
}

/// Each login has a step that nobody else has.
fn log_in_until_stopped(place: &Place, subject: Subject, user: &str, shared: &Shared) {
    let confdir = place.confdir();
    while !shared.go.load(SeqCst) {
        thread::yield_now();
    }
    while !shared.stop.load(SeqCst) {
        let now = shared.step.fetch_add(1, SeqCst) * STEP;
        raw::set_clock(now);
        let answer = code::at(now);
        let login = Login {
            confdir: &confdir,
            service: subject.service,
            user,
            answer: &answer,
        };
        let counter = match login.run().granted() {
            true => &shared.granted,
            false => &shared.refused,
        };
        counter.fetch_add(1, SeqCst);
    }
}
