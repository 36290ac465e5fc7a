//! The state block: what is read back is what was written, and a write that was torn leaves what
//! was there before.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use mfa_core::block::{OFFSETS, SIZE, SLOT, State, fresh, newest, other};
use mfa_core::record::DEVICES;
use mfa_fuzz::require;
use sha2::{Digest, Sha256};

#[derive(Arbitrary, Debug)]
struct Input {
    first: Written,
    /// What the next logins spend: a device and a step, or a backup code.
    logins: Vec<(u8, u64)>,
    /// How much of the last write reached the disk.
    torn: u16,
    junk: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
struct Written {
    sequence: u64,
    record: [u8; 16],
    set: Option<[u8; 16]>,
    spent: u16,
    granted: i64,
    names: u32,
    steps: Vec<u64>,
}

const CHECKED: usize = SLOT - 32;

fuzz_target!(|input: Input| {
    let first = input.first.into_state();
    let record = first.record;
    let mut block = fresh(&first);
    require!(
        newest(&block, &record) == Some((first.clone(), 0)),
        "{first:?} was not read back"
    );
    require!(
        newest(&block, &record.map(|b| !b)).is_none(),
        "the state of another record was read"
    );

    let mut state = first;
    let mut slot = OFFSETS[0];
    for (device, step) in input.logins {
        let before = state.clone();
        spend(&mut state, device, step);
        let torn = torn(
            &block,
            other(slot),
            &state,
            usize::from(input.torn) % SLOT,
            &input.junk,
        );
        check_torn(&torn, &before, &state);
        slot = other(slot);
        let start = slot as usize;
        block[start..start + SLOT].copy_from_slice(&state.encode());
        require!(
            newest(&block, &record) == Some((state.clone(), slot)),
            "{state:?} was not read back"
        );
        check_merge(&before, &state);
    }
    check_junk(&input.junk, &record);
});

impl Written {
    fn into_state(self) -> State {
        let steps = (0..DEVICES as u8)
            .zip(self.steps)
            .map(|(number, step)| ([number; 8], step));
        State {
            // No user logs in that often.
            sequence: self.sequence >> 1,
            record: self.record,
            set: self.set,
            spent: self.spent,
            granted: self.granted,
            names: self.names,
            steps: steps.collect(),
        }
    }
}

/// As a login does it.
fn spend(state: &mut State, device: u8, step: u64) {
    match device % 16 {
        device if usize::from(device) < DEVICES => state.spend_step([device; 8], step),
        code => state.spend_code(usize::from(code) - DEVICES),
    }
    state.sequence += 1;
}

/// The block with the beginning of the new slot only, and junk in what follows.
fn torn(block: &[u8], offset: u64, state: &State, length: usize, junk: &[u8]) -> Vec<u8> {
    let mut block = block.to_vec();
    let slot = &mut block[offset as usize..offset as usize + SLOT];
    slot[..length].copy_from_slice(&state.encode()[..length]);
    slot[length..]
        .iter_mut()
        .zip(junk)
        .for_each(|(byte, junk)| *byte = *junk);
    block
}

fn check_torn(block: &[u8], before: &State, after: &State) {
    let read = newest(block, &before.record).map(|(state, _)| state);
    let right = read
        .as_ref()
        .is_some_and(|read| read == before || read == after);
    require!(right, "a torn write left {read:?}, and it was {before:?}");
}

fn check_merge(one: &State, two: &State) {
    for merged in [one.clone().merge(two), two.clone().merge(one)] {
        require!(
            merged.spent == one.spent | two.spent,
            "a spent backup code came back"
        );
        for (device, step) in one.steps.iter().chain(&two.steps) {
            require!(
                merged.newest(device) >= Some(*step),
                "a spent step came back"
            );
        }
        require!(
            merged.set.is_none() || one.set == two.set,
            "sets were mixed"
        );
    }
}

/// Junk is no state, even with a checksum that fits; if it is one, then it is written as it was read.
fn check_junk(junk: &[u8], record: &[u8; 16]) {
    if let Some((state, _)) = newest(junk, record) {
        check_read(&state);
    }
    let mut slot = b"pam_mfa1".to_vec();
    slot.extend(junk.iter().take(8));
    slot.extend(record);
    slot.extend(junk.iter().skip(8));
    slot.resize(CHECKED, 0);
    let checksum = Sha256::digest(&slot);
    slot.extend(checksum);
    slot.resize(SIZE, 0);
    if let Some((state, offset)) = newest(&slot, record) {
        require!(offset == 0, "it lies in the first slot");
        check_read(&state);
    }
}

fn check_read(state: &State) {
    require!(
        state.steps.len() <= DEVICES,
        "{} devices",
        state.steps.len()
    );
    let again = newest(&fresh(state), &state.record).map(|(state, _)| state);
    require!(
        again.as_ref() == Some(state),
        "{state:?} was read back as {again:?}"
    );
}
