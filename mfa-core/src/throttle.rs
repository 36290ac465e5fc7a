//! Guessing is slowed down by asking for more codes in a row, never by locking anybody out.
//!
//! | codes in a row | free tries | chance for a guess, one device |
//! |---|---|---|
//! | one | one a day, saved up to ten | 3 in 10⁶ |
//! | two | ten a day, saved up to a hundred | 3 in 10¹² |
//! | three | always | 3 in 10¹⁸ |
//!
//! A try is charged before it is judged (see [`crate::charge`]). What a login was charged is given
//! back when that same login is granted.

use crate::Clock;
use crate::answer::Code;
use crate::block::State;
use crate::charge::{self, Claimed, Kind};
use crate::device::WINDOW;
use crate::fault::Fault;
use crate::record::Record;
use crate::state::{Reading, StateDir};
use crate::store::Store;

/// How many codes in a row are always enough, whatever was guessed and whatever is not known.
pub const ENOUGH: usize = 3;

/// What one login is held to, and what it was charged.
pub struct Throttle<'e> {
    store: &'e Store,
    record: &'e Record,
    clock: &'e dyn Clock,
    charges: Vec<String>,
    /// How many charges there were before the last try.
    before: usize,
    /// Whether some of them may be in `/run`.
    in_run: bool,
    caution: Option<Fault>,
}

/// What follows from the codes that were typed.
pub enum Toll {
    /// They may be judged: they are paid for, with what names were counted by; or as many as are always enough.
    Paid(Option<Box<Countable>>),
    /// Another one is asked for.
    More,
}

/// What is free for a user at some time.
#[derive(Debug, PartialEq, Eq)]
pub struct Free {
    /// Tries with one code.
    pub guesses: usize,
    /// Tries with two codes in a row.
    pub pairs: usize,
}

impl Free {
    /// How many codes in a row a login has to bring.
    pub fn run(&self) -> usize {
        match self {
            Free { guesses: 1.., .. } => 1,
            Free { pairs: 1.., .. } => 2,
            _ => ENOUGH,
        }
    }
}

/// The same without counting what is not asked for.
fn run_of(claimed: &Claimed, record: &Record, now: i64) -> usize {
    let (today, price) = (charge::day_of(now), price(record));
    match claimed.free(Kind::Guess, today).len() >= price {
        true => 1,
        false => free_of(claimed, record, now).run(),
    }
}

impl<'e> Throttle<'e> {
    /// The throttle of one login.
    pub fn new(store: &'e Store, record: &'e Record, clock: &'e dyn Clock) -> Throttle<'e> {
        Throttle {
            store,
            record,
            clock,
            charges: Vec::new(),
            before: 0,
            in_run: false,
            caution: None,
        }
    }

    /// How many codes in a row would be asked for now. Nothing is charged.
    pub fn run(&mut self) -> Result<usize, Fault> {
        let now = self.clock.now();
        match countable(self.store, self.record, now)? {
            Ok(found) => Ok(run_of(&found.claimed, self.record, now)),
            Err(caution) => {
                self.caution = Some(caution);
                Ok(ENOUGH)
            }
        }
    }

    /// Whether these codes in a row may be judged at `now`. If so they are paid for.
    pub fn allows(&mut self, run: &[Code], now: i64) -> Result<Toll, Fault> {
        self.before = self.charges.len();
        let kind = match run.len() {
            0 => return Ok(Toll::More),
            1 => Kind::Guess,
            2 => Kind::Pair,
            _ => return Ok(Toll::Paid(None)),
        };
        Ok(match countable(self.store, self.record, now)? {
            Ok(found) => match self.claim(&found, kind, charge::day_of(now)) {
                true => Toll::Paid(Some(Box::new(found))),
                false => Toll::More,
            },
            Err(caution) => {
                self.caution = Some(caution);
                Toll::More
            }
        })
    }

    /// Claims as many names as a try costs, the oldest first. If other logins take so many of them at the same
    /// time that too few are left, what was claimed stays claimed and the answer is no.
    fn claim(&mut self, found: &Countable, kind: Kind, today: i64) -> bool {
        let (dir, free) = (&found.dir, found.claimed.free(kind, today));
        let mut missing = price(self.record);
        if free.len() < missing {
            return false;
        }
        for name in free {
            match self.claim_one(dir, &name, kind, today) {
                Ok(true) => {
                    self.charges.push(name);
                    missing -= 1;
                }
                Ok(false) => {}
                Err(fault) => {
                    self.caution = Some(fault);
                    return false;
                }
            }
            if missing == 0 {
                return true;
            }
        }
        false
    }

    /// On a disk that cannot be written today's pairs are claimed in `/run`, and nothing else:
    /// `/run` forgets them with every start of the machine, and a single code must not be guessed
    /// twice a day.
    fn claim_one(
        &mut self,
        dir: &StateDir,
        name: &str,
        kind: Kind,
        today: i64,
    ) -> Result<bool, Fault> {
        match dir.claim(name) {
            Err(fault) if fault.is_disk() && kind == Kind::Pair => {
                let is_todays = charge::day_in(name) == Some(today);
                self.in_run |= is_todays;
                if is_todays {
                    dir.claim_in_run(name)
                } else {
                    Ok(false)
                }
            }
            claimed => claimed,
        }
    }

    /// The names that this login was charged.
    pub fn charged(&self) -> &[String] {
        &self.charges
    }

    /// Why codes in a row are asked for though nobody guessed, if so: for the log.
    pub fn caution(&self) -> Option<&Fault> {
        self.caution.as_ref()
    }

    /// Gives everything back: the login was granted. What cannot be given back stays charged.
    pub fn give_back(&mut self, found: Option<&Countable>) {
        self.give_back_from(0, found);
    }

    /// Gives back what the last try cost: a right code that was used already is no guess.
    pub fn give_back_last(&mut self, found: Option<&Countable>) {
        self.give_back_from(self.before, found);
    }

    fn give_back_from(&mut self, first: usize, found: Option<&Countable>) {
        let charges = self.charges.split_off(first.min(self.charges.len()));
        let opened = match found {
            None if !charges.is_empty() => self.store.state_dir(self.record.uid).ok().flatten(),
            _ => None,
        };
        let Some(dir) = found.map(|found| &found.dir).or(opened.as_ref()) else {
            return;
        };
        for name in charges {
            let _ = match self.in_run {
                true => dir.release(&name),
                false => dir.give_back(&name),
            };
        }
    }

    /// Whether so many tries failed that no verification code is taken; 0 for never.
    pub fn is_suspended(&self, after: usize) -> Result<bool, Fault> {
        Ok(after > 0 && failures(self.store, self.record)? >= after)
    }
}

/// How many tries failed since somebody was last let in, or since an admin command.
pub fn failures(store: &Store, record: &Record) -> Result<usize, Fault> {
    let Some(dir) = store.state_dir(record.uid)? else {
        return Ok(0);
    };
    let state = dir.read_whole(&record.id)?.map(|reading| reading.state);
    let claimed = dir.claimed()?.count();
    Ok(state.map_or(0, |state| failures_since(&state, claimed, record)))
}

/// The tries that were charged since the state was written, if so many names are claimed now.
pub fn failures_since(state: &State, claimed: usize, record: &Record) -> usize {
    let known = usize::try_from(state.names).unwrap_or(usize::MAX);
    claimed.saturating_sub(known) / price(record)
}

/// What is free for a user; and why nothing is though nobody guessed, if so. Nothing is charged.
pub fn free(store: &Store, record: &Record, now: i64) -> Result<(Free, Option<Fault>), Fault> {
    Ok(match countable(store, record, now)? {
        Ok(Countable { claimed, .. }) => (free_of(&claimed, record, now), None),
        Err(caution) => {
            let nothing = Free {
                guesses: 0,
                pairs: 0,
            };
            (nothing, Some(caution))
        }
    })
}

fn free_of(claimed: &Claimed, record: &Record, now: i64) -> Free {
    let (today, price) = (charge::day_of(now), price(record));
    let count = |kind| claimed.free(kind, today).len() / price;
    Free {
        guesses: count(Kind::Guess),
        pairs: count(Kind::Pair),
    }
}

/// What charges are counted by.
pub struct Countable {
    /// Where names are claimed.
    pub dir: StateDir,
    /// Those that were.
    pub claimed: Claimed,
    /// What else was known then.
    pub reading: Reading,
}

/// The directory of the charges and what was claimed; or why nothing is free whatever it holds.
fn countable(store: &Store, record: &Record, now: i64) -> Result<Result<Countable, Fault>, Fault> {
    let no_state = || Fault::NoState {
        path: store.state_path(record.uid),
    };
    let Some(dir) = store.state_dir(record.uid)? else {
        return Ok(Err(no_state()));
    };
    let (reading, claimed) = dir.read_with_claimed(&record.id)?;
    Ok(match reading.filter(|reading| reading.complete) {
        None => Err(no_state()),
        Some(reading) if is_behind(record, &reading.state, now) => Err(Fault::ClockBehind {
            record: store.path_of(record.uid),
        }),
        Some(_) if claimed.is_crowded(charge::day_of(now)) => Err(Fault::Crowded {
            path: dir.path().to_path_buf(),
        }),
        Some(reading) => Ok(Countable {
            dir,
            claimed,
            reading,
        }),
    })
}

fn is_behind(record: &Record, state: &State, now: i64) -> bool {
    let before_record = charge::day_of(now) < charge::day_of(record.written());
    let before_spent = record.devices.iter().any(|device| {
        let latest = device
            .step_at(now)
            .map_or(0, |step| step.saturating_add(WINDOW));
        state
            .newest(&device.id)
            .is_some_and(|newest| newest > latest)
    });
    before_record || before_spent
}

/// What a try costs: one name for every three codes that it could hit. A device of six digits has
/// three at any time; one of eight a hundredth of that, so that up to a hundred cost nothing more.
fn price(record: &Record) -> usize {
    record
        .devices
        .iter()
        .filter(|device| device.shape.digits == 6)
        .count()
        .max(1)
}
