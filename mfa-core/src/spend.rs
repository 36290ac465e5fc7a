//! Spending: the one place where a one-time code is used up, and where "yes" comes from.
//!
//! Under the lock of the user's state directory the record, its state and the time are read again
//! and the code is judged again; what is not newer or already spent is refused; the use is on the
//! disk before anybody is let in.

use crate::Clock;
use crate::block::State;
use crate::charge::{self, Claimed};
use crate::fault::{Fault, absent_as_none};
use crate::file::Kept;
use crate::judge::{Match, Presented, judge};
use crate::lock::{LOGIN_PATIENCE, Lock};
use crate::record::Record;
use crate::state::{Reading, StateDir};
use crate::store::Store;
use crate::throttle::{Countable, ENOUGH, failures_since};
use crate::verdict::{Grant, Method, Refusal};

/// What was judged right.
pub struct Judged<'j> {
    /// The record, as it was read before.
    pub record: &'j Record,
    /// Its file.
    pub kept: &'j Kept,
    /// The answer.
    pub presented: &'j Presented,
    /// The state and its directory, as they were found since the answer came.
    pub found: Option<&'j Countable>,
}

/// Spends the code that was judged right. `charged` are the names that this login was charged: they are
/// no failures.
///
/// # Errors
/// Whatever stands against it. Unless it is `Ok`, nobody may be let in.
pub fn spend(
    store: &Store,
    clock: &dyn Clock,
    judged: &Judged,
    charged: &[String],
) -> Result<Grant, Refusal> {
    let uid = judged.record.uid;
    let opened;
    let dir = match judged.found {
        Some(found) => &found.dir,
        None => {
            opened = store.state_dir_or_new(uid)?;
            &opened
        }
    };
    let lock = absent_as_none(dir.lock(LOGIN_PATIENCE))?.ok_or(Refusal::RecordChanged)?;
    if !store.is_current(judged.record, judged.kept)? {
        store.drop_empty_state(uid);
        return Err(Refusal::RecordChanged);
    }
    let earlier = judged.found.map(|found| &found.reading);
    let reading = dir.read(&judged.record.id, earlier)?;
    let listed;
    let claimed = match (judged.found, &reading) {
        // Nobody was let in since, and nobody unlocked. A name that was claimed since counts from now on.
        (Some(found), Some(reading)) if found.reading.state.sequence == reading.state.sequence => {
            &found.claimed
        }
        _ => {
            listed = dir.claimed()?;
            &listed
        }
    };
    let spending = Spending {
        dir,
        lock: &lock,
        record: judged.record,
        presented: judged.presented,
        claimed,
        charged,
        now: clock.now(),
    };
    match reading {
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
    claimed: &'s Claimed,
    charged: &'s [String],
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
        let prepared = self.dir.prepare(self.lock, Some(&self.record.id), &state);
        let only_in_run = match prepared.and_then(|()| self.dir.settle(self.lock, &self.record.id))
        {
            Ok(()) => None,
            Err(fault) => Some(self.write_in_run(&state, matched, fault)?),
        };
        Ok(self.grant(&state, matched, failures, only_in_run))
    }

    /// Judges again, and marks in the state what was found right. Where the state does not know all
    /// that was used, only a run of codes is good enough.
    fn mark(&self, state: &mut State, complete: bool) -> Result<(Match, usize), Refusal> {
        let matched = judge(self.record, state, self.presented, self.now)?;
        if !complete && self.presented.run() < ENOUGH {
            return Err(Refusal::RecordChanged);
        }
        let of_others = self.claimed.count_but(self.charged);
        let failures = failures_since(state, of_others, self.record);
        let removed = self.tidy(matched);
        match matched {
            Match::Totp { device, step } => {
                let device = self.record.devices.get(device).map(|device| device.id);
                device.into_iter().for_each(|id| state.spend_step(id, step));
            }
            Match::Backup { code } => state.spend_code(code),
        }
        state.sequence = state.sequence.saturating_add(1);
        state.granted = self.now;
        state.names = u32::try_from(of_others.saturating_sub(removed)).unwrap_or(u32::MAX);
        Ok((matched, failures))
    }

    /// Names that do not count any more are removed when a right verification code was typed, and at no other
    /// time: a clock that is wrong for a while must not set anybody's guesses free, and a backup code tells
    /// nothing of the clock. Says how many of others.
    fn tidy(&self, matched: Match) -> usize {
        let outdated = match matched {
            Match::Totp { .. } => self.claimed.outdated(charge::day_of(self.now)),
            Match::Backup { .. } => Vec::new(),
        };
        let removed = outdated
            .iter()
            .filter(|name| self.dir.release(name).is_ok());
        removed.filter(|name| !self.charged.contains(name)).count()
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
