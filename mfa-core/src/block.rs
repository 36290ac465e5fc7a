//! The state block of a user: what his logins *did*.
//!
//! Two slots of 512 bytes, each with a sequence number and a checksum; the newest valid one
//! counts, and a write overwrites the older. They lie 4096 bytes apart, so that no sector or page
//! of a disk holds both and a write torn by a power cut leaves one of them whole.

use sha2::{Digest, Sha256};

use crate::backup::{CODES, SetId};
use crate::device::{DeviceId, Step};
use crate::record::{DEVICES, RecordId};

/// Bytes of a slot.
pub const SLOT: usize = 512;
/// Where the two slots begin.
pub const OFFSETS: [u64; 2] = [0, 4096];
/// Bytes of a block.
pub const SIZE: usize = 4096 + SLOT;

const MAGIC: &[u8; 8] = b"pam_mfa1";
const CHECKED: usize = SLOT - 32;

/// What a user's logins did since his record was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Counts the writes.
    pub sequence: u64,
    /// The record that it belongs to.
    pub record: RecordId,
    /// The set whose spent codes it keeps; none once the state was lost, and then no backup code
    /// is taken.
    pub set: Option<SetId>,
    /// One bit a spent backup code.
    pub spent: u16,
    /// When somebody was last let in, in seconds since 1970; 0 for never.
    pub granted: i64,
    /// How many names of charges were left when somebody was last let in; those above are failures.
    pub names: u32,
    /// For each device the newest step whose code was spent.
    pub steps: Vec<(DeviceId, Step)>,
}

impl State {
    /// A state in which nothing happened yet.
    pub fn new(record: RecordId, set: Option<SetId>) -> State {
        State {
            sequence: 0,
            record,
            set,
            spent: 0,
            granted: 0,
            names: 0,
            steps: Vec::new(),
        }
    }

    /// The newest step of the device whose code was spent.
    pub fn newest(&self, device: &DeviceId) -> Option<Step> {
        self.steps
            .iter()
            .find(|(id, _)| id == device)
            .map(|(_, step)| *step)
    }

    /// Spends every code of the device up to `step`.
    pub fn spend_step(&mut self, device: DeviceId, step: Step) {
        match self.steps.iter_mut().find(|(id, _)| *id == device) {
            Some((_, newest)) => *newest = step.max(*newest),
            None => self.steps.push((device, step)),
        }
    }

    /// Whether the backup code was spent.
    pub fn is_spent(&self, code: usize) -> bool {
        self.spent & (1 << code) != 0
    }

    /// Spends the backup code.
    pub fn spend_code(&mut self, code: usize) {
        self.spent |= 1 << code;
    }

    /// How many backup codes are left.
    pub fn left(&self) -> usize {
        match self.set {
            Some(_) => CODES.saturating_sub(self.spent.count_ones() as usize),
            None => 0,
        }
    }

    /// Both count: the maximum of steps, the union of spent codes.
    pub fn merge(mut self, other: &State) -> State {
        other
            .steps
            .iter()
            .for_each(|(device, step)| self.spend_step(*device, *step));
        self.spent |= other.spent;
        if other.sequence > self.sequence {
            self.names = other.names;
        }
        self.sequence = self.sequence.max(other.sequence);
        self.granted = self.granted.max(other.granted);
        self.set = self.set.filter(|set| other.set == Some(*set));
        self
    }

    /// The slot that holds this state.
    pub fn encode(&self) -> Vec<u8> {
        let mut slot = Vec::with_capacity(SLOT);
        slot.extend(MAGIC);
        slot.extend(self.sequence.to_le_bytes());
        slot.extend(self.record);
        slot.extend([
            u8::from(self.set.is_some()),
            self.steps.len().min(DEVICES) as u8,
        ]);
        slot.extend(self.spent.to_le_bytes());
        slot.extend(self.granted.to_le_bytes());
        slot.extend(self.names.to_le_bytes());
        slot.extend(self.set.unwrap_or_default());
        for (device, step) in self.steps.iter().take(DEVICES) {
            slot.extend(device);
            slot.extend(step.to_le_bytes());
        }
        slot.resize(CHECKED, 0);
        let checksum = Sha256::digest(&slot);
        slot.extend(checksum);
        slot
    }

    fn decode(slot: &[u8]) -> Option<State> {
        let (body, checksum) = slot.split_at_checked(CHECKED)?;
        (Sha256::digest(body).as_slice() == checksum).then_some(())?;
        let mut fields = Fields(body);
        (&fields.take::<8>()? == MAGIC).then_some(())?;
        let sequence = u64::from_le_bytes(fields.take()?);
        let record = fields.take()?;
        let [has_set, devices] = fields.take()?;
        let spent = u16::from_le_bytes(fields.take()?);
        let granted = i64::from_le_bytes(fields.take()?);
        let names = u32::from_le_bytes(fields.take()?);
        let set = fields.take()?;
        let mut device = || Some((fields.take()?, u64::from_le_bytes(fields.take()?)));
        let steps = (0..devices).map(|_| device()).collect::<Option<Vec<_>>>()?;
        let set = (has_set == 1).then_some(set);
        (steps.len() <= DEVICES).then_some(State {
            sequence,
            record,
            set,
            spent,
            granted,
            names,
            steps,
        })
    }
}

/// Takes fields of known size off the front.
struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
}

/// The newest valid state of `record` in a block, and the offset of its slot.
pub fn newest(block: &[u8], record: &RecordId) -> Option<(State, u64)> {
    let slots = OFFSETS.into_iter().filter_map(|offset| {
        let start = usize::try_from(offset).ok()?;
        let state = State::decode(block.get(start..start + SLOT)?)?;
        (state.record == *record).then_some((state, offset))
    });
    slots.max_by_key(|(state, _)| state.sequence)
}

/// A whole block whose only valid slot is `state`.
pub fn fresh(state: &State) -> Vec<u8> {
    let mut block = state.encode();
    block.resize(SIZE, 0);
    block
}

/// The slot to overwrite while the one at `offset` counts.
pub fn other(offset: u64) -> u64 {
    let [first, second] = OFFSETS;
    if offset == first { second } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn state() -> State {
        let mut state = State::new([3; 16], Some([4; 16]));
        state.sequence = 9;
        state.granted = -5;
        state.spend_code(9);
        state.spend_step(*b"device-1", 59_333_333);
        state
    }

    fn block(slots: [&State; 2]) -> Vec<u8> {
        let mut block = fresh(slots[0]);
        block[4096..].copy_from_slice(&slots[1].encode());
        block
    }

    #[test]
    fn a_state_survives_its_slot() {
        assert_eq!(State::decode(&state().encode()), Some(state()));
        assert_eq!(state().encode().len(), SLOT);
    }

    #[test]
    fn one_torn_slot_leaves_the_other() {
        let newer = State {
            sequence: 10,
            ..state()
        };
        let mut block = block([&state(), &newer]);
        assert_eq!(newest(&block, &[3; 16]), Some((newer, 4096)));
        block[4096 + 100] ^= 1;
        assert_eq!(newest(&block, &[3; 16]), Some((state(), 0)));
        block[300] ^= 1;
        assert_eq!(newest(&block, &[3; 16]), None);
    }

    #[test]
    fn the_block_of_another_record_does_not_count() {
        assert_eq!(newest(&fresh(&state()), &[5; 16]), None);
    }

    #[test]
    fn merging_forgets_nothing() {
        let mut twin = State::new([3; 16], Some([4; 16]));
        twin.spend_code(0);
        twin.spend_step(*b"device-1", 59_333_334);
        twin.spend_step(*b"device-2", 7);
        let merged = state().merge(&twin);
        assert!(merged.is_spent(0) && merged.is_spent(9));
        assert_eq!(merged.left(), 8);
        assert_eq!(merged.newest(b"device-1"), Some(59_333_334));
        assert_eq!(merged.newest(b"device-2"), Some(7));
        assert_eq!(twin.merge(&state()).newest(b"device-1"), Some(59_333_334));
    }

    #[test]
    fn a_state_without_a_set_keeps_it_away_from_the_other() {
        let lost = State::new([3; 16], None);
        assert_eq!(state().merge(&lost).set, None);
        assert_eq!(lost.merge(&state()).left(), 0);
    }

    proptest! {
        #[test]
        fn junk_is_no_state(slot in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert_eq!(State::decode(&slot), None);
        }
    }
}
