//! Spending: the one place where a one-time code is used up, and where "yes" comes from.
//!
//! Under the lock of the user's state directory the record, its state and the time are read again
//! and the code is judged again; what is not newer or already spent is refused; the use is on the
//! disk before anybody is let in.

use crate::Clock;
use crate::block::State;
use crate::charge;
use crate::fault::{Fault, absent_as_none};
use crate::judge::{Match, Presented, judge};
use crate::lock::{LOGIN_PATIENCE, Lock};
use crate::record::Record;
use crate::state::{Reading, StateDir};
use crate::store::Store;
use crate::throttle::{ENOUGH, failures_since};
use crate::verdict::{Grant, Method, Refusal};

/// Spends the code that was judged right against `judged`. `charged` is how many names this login
/// was charged: they are no failures.
///
/// # Errors
/// Whatever stands against it. Unless it is `Ok`, nobody may be let in.
pub fn spend(
    store: &Store,
    clock: &dyn Clock,
    judged: &Record,
    presented: &Presented,
    charged: usize,
) -> Result<Grant, Refusal> {
    let dir = store.state_dir_or_new(judged.uid)?;
    let lock = absent_as_none(dir.lock(LOGIN_PATIENCE))?.ok_or(Refusal::RecordChanged)?;
    let Some(record) = store
        .record(judged.uid)?
        .filter(|record| record.id == judged.id)
    else {
        store.drop_empty_state(judged.uid);
        return Err(Refusal::RecordChanged);
    };
    let now = clock.now();
    let spending = Spending {
        dir: &dir,
        lock: &lock,
        record: &record,
        presented,
        charged,
        now,
    };
    match dir.read(&record.id)? {
        Some(reading) => spending.from(reading),
        None => spending.anew(),
    }
}

/// What is known under the lock.
struct Spending<'s> {
    dir: &'s StateDir,
    lock: &'s Lock,
    record: &'s Record,
    presented: &'s Presented,
    charged: usize,
    now: i64,
}

impl Spending<'_> {
    fn from(&self, mut reading: Reading) -> Result<Grant, Refusal> {
        let (matched, failures) = self.mark(&mut reading.state, reading.complete)?;
        let written = self.dir.write(self.lock, &reading);
        let only_in_run = match written {
            Ok(()) => None,
            Err(fault) => Some(self.write_in_run(&reading.state, matched, fault)?),
        };
        Ok(self.grant(&reading.state, matched, failures, only_in_run))
    }

    /// Nothing is known of what was used: the new block has no set, so that no spent backup code
    /// comes back to life.
    fn anew(&self) -> Result<Grant, Refusal> {
        let mut state = self.dir.remains(&self.record.id)?;
        let (matched, failures) = self.mark(&mut state, false)?;
        self.dir.prepare(self.lock, Some(&self.record.id), &state)?;
        self.dir.settle(self.lock, &self.record.id)?;
        Ok(self.grant(&state, matched, failures, None))
    }

    /// Judges again, and marks in the state what was found right. Where the state does not know all
    /// that was used, only a run of codes is good enough.
    fn mark(&self, state: &mut State, complete: bool) -> Result<(Match, usize), Refusal> {
        let matched = judge(self.record, state, self.presented, self.now)?;
        if !complete && self.presented.run() < ENOUGH {
            return Err(Refusal::RecordChanged);
        }
        let failures = failures_since(state, self.claimed()?, self.record);
        self.tidy(matched)?;
        match matched {
            Match::Totp { device, step } => {
                let device = self.record.devices.get(device).map(|device| device.id);
                device.into_iter().for_each(|id| state.spend_step(id, step));
            }
            Match::Backup { code } => state.spend_code(code),
        }
        state.sequence = state.sequence.saturating_add(1);
        state.granted = self.now;
        state.names = u32::try_from(self.claimed()?).unwrap_or(u32::MAX);
        Ok((matched, failures))
    }

    /// How many names are claimed, without those of this login.
    fn claimed(&self) -> Result<usize, Fault> {
        Ok(self.dir.claimed()?.count().saturating_sub(self.charged))
    }

    /// Names that do not count any more are removed when a right code was typed, and at no other
    /// time: a clock that is wrong for a while must not set anybody's guesses free.
    fn tidy(&self, matched: Match) -> Result<(), Fault> {
        let clock_is_right = matches!(matched, Match::Totp { .. });
        let outdated = self
            .dir
            .claimed()?
            .outdated(charge::day_of(self.now), clock_is_right);
        for name in outdated {
            let _ = self.dir.release(&name);
        }
        Ok(())
    }

    /// Only for a verification code, only if the disk is to blame: its window ends by itself, where
    /// a backup code would come back to life with the next start of the machine.
    fn write_in_run(&self, state: &State, matched: Match, fault: Fault) -> Result<Fault, Refusal> {
        if !fault.is_disk() {
            return Err(fault.into());
        }
        if matches!(matched, Match::Backup { .. }) {
            return Err(Refusal::BackupUnrecordable(fault));
        }
        self.dir.write_twin(self.lock, state)?;
        Ok(fault)
    }

    fn grant(
        &self,
        state: &State,
        matched: Match,
        failures: usize,
        only_in_run: Option<Fault>,
    ) -> Grant {
        let label = |device: usize| {
            self.record
                .devices
                .get(device)
                .map(|device| device.label.clone())
        };
        let method = match matched {
            Match::Totp { device, .. } => Method::Totp {
                device: label(device).unwrap_or_default(),
            },
            Match::Backup { .. } => Method::Backup { left: state.left() },
        };
        Grant {
            method,
            failures,
            only_in_run,
            password: None,
        }
    }
}
