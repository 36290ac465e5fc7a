//! Spending: the one place where a one-time code is used up, and where "yes" comes from.
//!
//! Under the lock of the user's state directory the record, its state and the time are read again
//! and the code is judged again; what is not newer or already spent is refused; the use is on the
//! disk before anybody is let in.

use crate::Clock;
use crate::block::State;
use crate::fault::Fault;
use crate::judge::{Match, Presented, judge};
use crate::lock::{LOGIN_PATIENCE, Lock};
use crate::record::Record;
use crate::state::{Reading, StateDir};
use crate::store::Store;
use crate::verdict::{Grant, Method, Refusal};

/// How many codes in a row are asked for while it is not known which were used.
pub const RUN_WITHOUT_STATE: usize = 3;

/// Spends the code that `judged` said is right.
///
/// # Errors
/// Whatever stands against it. Unless it is `Ok`, nobody may be let in.
pub fn spend(
    store: &Store,
    clock: &dyn Clock,
    judged: &Record,
    presented: &Presented,
) -> Result<Grant, Refusal> {
    let dir = store.state_dir_or_new(judged.uid)?;
    let lock = dir.lock(LOGIN_PATIENCE)?;
    let record = store.record(judged.uid)?.ok_or(Refusal::RecordChanged)?;
    if record.id != judged.id {
        return Err(Refusal::RecordChanged);
    }
    let now = clock.now();
    match dir.read(&record.id)? {
        Some(reading) => spend_from(&dir, &lock, &record, reading, presented, now),
        None => spend_anew(&dir, &lock, &record, presented, now),
    }
}

fn spend_from(
    dir: &StateDir,
    lock: &Lock,
    record: &Record,
    mut reading: Reading,
    presented: &Presented,
    now: i64,
) -> Result<Grant, Refusal> {
    let matched = judge(record, &reading.state, presented, now)?;
    mark(&mut reading.state, record, matched, now);
    let only_in_run = match dir.write(lock, &reading) {
        Ok(()) => {
            // The block knows all that the twin knew; a twin that stays does no harm.
            let _ = dir.drop_twin(lock, &record.id);
            None
        }
        Err(fault) => Some(write_in_run(dir, lock, &reading.state, matched, fault)?),
    };
    Ok(Grant {
        method: method(record, &reading.state, matched),
        only_in_run,
    })
}

/// Only for a verification code, only if the disk is to blame: its window ends by itself, where a
/// backup code would come back to life with the next reboot.
fn write_in_run(
    dir: &StateDir,
    lock: &Lock,
    state: &State,
    matched: Match,
    fault: Fault,
) -> Result<Fault, Refusal> {
    if !fault.is_disk() || !matches!(matched, Match::Totp { .. }) {
        return Err(fault.into());
    }
    dir.write_twin(lock, state)?;
    Ok(fault)
}

/// Nothing is known of what was used: only a run of codes is taken, and the new block has no set,
/// so that no spent backup code comes back to life.
fn spend_anew(
    dir: &StateDir,
    lock: &Lock,
    record: &Record,
    presented: &Presented,
    now: i64,
) -> Result<Grant, Refusal> {
    let mut state = State::new(record.id, None);
    let matched = judge(record, &state, presented, now)?;
    match presented {
        Presented::Codes(codes) if codes.len() >= RUN_WITHOUT_STATE => {}
        _ => return Err(Refusal::RecordChanged),
    }
    mark(&mut state, record, matched, now);
    dir.prepare(lock, &state)?;
    dir.settle(lock, &record.id)?;
    Ok(Grant {
        method: method(record, &state, matched),
        only_in_run: None,
    })
}

fn mark(state: &mut State, record: &Record, matched: Match, now: i64) {
    match matched {
        Match::Totp { device, step } => {
            let device = record.devices.get(device).map(|device| device.id);
            device.into_iter().for_each(|id| state.spend_step(id, step));
        }
        Match::Backup { code } => state.spend_code(code),
    }
    state.sequence = state.sequence.saturating_add(1);
    state.granted = now;
}

fn method(record: &Record, state: &State, matched: Match) -> Method {
    match matched {
        Match::Totp { device, .. } => Method::Totp {
            device: record
                .devices
                .get(device)
                .map(|device| device.label.clone())
                .unwrap_or_default(),
        },
        Match::Backup { .. } => Method::Backup { left: state.left() },
    }
}
