//! Backup codes: ten, each good for one login, kept as digests.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use constant_time_eq::constant_time_eq;
use hmac::Mac;
use zeroize::{Zeroize, Zeroizing};

use crate::fault::Fault;
use crate::key;
use crate::random;

/// How many codes a set has.
pub const CODES: usize = 10;
/// Symbols of a code: 60 bits.
pub const LENGTH: usize = 12;
/// 32 symbols that no two fonts confuse: without 0 and o, 1 and l.
pub const ALPHABET: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";

/// Sixteen random bytes that tell sets apart.
pub type SetId = [u8; 16];

/// What one digest costs (RFC 9106).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// KiB of memory, 8 to 65,536.
    pub memory: u32,
    /// Passes over it, 1 to 10.
    pub iterations: u32,
    /// Lanes, 1 to 4.
    pub parallelism: u32,
}

impl Default for Cost {
    /// What OWASP recommends for passwords; our codes are stronger than those.
    fn default() -> Cost {
        Cost {
            memory: 19_456,
            iterations: 2,
            parallelism: 1,
        }
    }
}

impl Cost {
    /// Whether a login may be made to pay it. A damaged or hostile record must not eat the memory.
    pub fn is_allowed(&self) -> bool {
        (8..=65_536).contains(&self.memory)
            && (1..=10).contains(&self.iterations)
            && (1..=4).contains(&self.parallelism)
            && self.memory >= 8 * self.parallelism
    }
}

/// A backup code as somebody typed it or as we made it: twelve symbols, lower case. In one place: each
/// move of an array leaves a copy behind.
#[derive(Clone, PartialEq, Eq)]
pub struct BackupCode(Box<Zeroizing<[u8; LENGTH]>>);

impl BackupCode {
    /// Takes twelve symbols of the alphabet in any case, with at least one letter (so that it
    /// cannot be taken for verification codes).
    pub fn parse(symbols: &str) -> Option<BackupCode> {
        let bytes: &[u8; LENGTH] = symbols.as_bytes().try_into().ok()?;
        let mut code = Box::new(Zeroizing::new([0; LENGTH]));
        code.copy_from_slice(bytes);
        code.make_ascii_lowercase();
        let known = code.iter().all(|byte| ALPHABET.contains(byte));
        let letter = code.iter().any(u8::is_ascii_alphabetic);
        (known && letter).then_some(BackupCode(code))
    }

    fn generate() -> Result<BackupCode, Fault> {
        loop {
            let mut code = Box::new(Zeroizing::new([0; LENGTH]));
            random::fill(code.as_mut_slice())?;
            // 256 is a multiple of 32, so every symbol is equally likely.
            code.iter_mut().for_each(|byte| *byte = symbol(*byte));
            if code.iter().any(u8::is_ascii_alphabetic) {
                return Ok(BackupCode(code));
            }
        }
    }

    /// As it is shown: `xxxx-xxxx-xxxx`.
    pub fn shown(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(LENGTH + 2));
        for (place, byte) in self.0.iter().enumerate() {
            if place > 0 && place % 4 == 0 {
                text.push('-');
            }
            text.push(char::from(*byte));
        }
        text
    }
}

fn symbol(byte: u8) -> u8 {
    ALPHABET
        .get(usize::from(byte % 32))
        .copied()
        .unwrap_or(b'2')
}

/// What is stored of one code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Argon2id of the code under the set's salt and cost.
    pub digest: [u8; 32],
    /// The first two bytes of an HMAC of the code under the set's key: tells a typing error or a
    /// guess in microseconds, where the digest would take milliseconds and megabytes.
    pub tag: [u8; 2],
}

/// What is stored of a user's backup codes.
pub struct BackupSet {
    /// Tells it apart from every other set.
    pub id: SetId,
    /// When it was made, in seconds since 1970.
    pub made: i64,
    /// One salt for all its codes, so that a login computes one digest and not ten.
    pub salt: [u8; 16],
    /// What a digest costs.
    pub cost: Cost,
    /// The key of the tags, in one place: each move of an array leaves a copy behind.
    pub tag_key: Box<Zeroizing<[u8; 32]>>,
    /// The codes.
    pub digests: Vec<Digest>,
}

/// So many blocks, 33 MiB, the C library always takes from the kernel, and gives back as soon as they are freed
/// (`M_MMAP_THRESHOLD` in mallopt(3) grows to 32 MiB at most). What is not touched of them is never there.
const FROM_KERNEL: usize = 33 * 1024 * 1024 / size_of::<Block>();

impl BackupSet {
    /// A new set, and the codes to show once.
    pub fn generate(cost: Cost, now: i64) -> Result<(BackupSet, Vec<BackupCode>), Fault> {
        let mut set = BackupSet {
            id: random::bytes()?,
            made: now,
            salt: random::bytes()?,
            cost,
            tag_key: Box::new(Zeroizing::new(random::bytes()?)),
            digests: Vec::new(),
        };
        let codes = (0..CODES)
            .map(|_| BackupCode::generate())
            .collect::<Result<Vec<_>, _>>()?;
        for code in &codes {
            let digest = Digest {
                digest: *set.digest(code)?,
                tag: set.tag(code),
            };
            set.digests.push(digest);
        }
        Ok((set, codes))
    }

    /// Which code of the set this is. Compares every tag and every digest, whatever it finds.
    ///
    /// # Errors
    /// `Fault::NoMemory` if the memory for a digest cannot be had.
    pub fn find(&self, code: &BackupCode) -> Result<Option<usize>, Fault> {
        let tag = self.tag(code);
        let known = self
            .digests
            .iter()
            .fold(false, |known, d| known | constant_time_eq(&d.tag, &tag));
        if !known {
            return Ok(None);
        }
        let digest = self.digest(code)?;
        let same = |d: &Digest| constant_time_eq(&d.digest, digest.as_slice());
        let numbered = self.digests.iter().enumerate();
        Ok(numbered.fold(
            None,
            |found, (index, d)| if same(d) { Some(index) } else { found },
        ))
    }

    fn tag(&self, code: &BackupCode) -> [u8; 2] {
        let mac = key::hmac(&self.tag_key).chain_update(code.0.as_slice());
        let [first, second, ..] = mac.finalize().into_bytes().0;
        [first, second]
    }

    /// The memory is wiped before it is given back.
    fn digest(&self, code: &BackupCode) -> Result<Zeroizing<[u8; 32]>, Fault> {
        let cost = &self.cost;
        let params = Params::new(cost.memory, cost.iterations, cost.parallelism, Some(32))
            .map_err(|_| Fault::NoMemory)?;
        let mut memory: Vec<Block> = Vec::new();
        memory
            .try_reserve_exact(params.block_count().max(FROM_KERNEL))
            .map_err(|_| Fault::NoMemory)?;
        memory.resize(params.block_count(), Block::new());
        let mut digest = Zeroizing::new([0; 32]);
        let done = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(
                code.0.as_slice(),
                &self.salt,
                digest.as_mut_slice(),
                &mut memory,
            );
        memory.iter_mut().for_each(Zeroize::zeroize);
        done.map(|()| digest).map_err(|_| Fault::NoMemory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost {
        memory: 8,
        iterations: 1,
        parallelism: 1,
    };

    #[test]
    fn every_code_is_found_in_any_dress_and_no_other() {
        let (set, codes) = BackupSet::generate(CHEAP, 0).unwrap();
        assert_eq!(codes.len(), CODES);
        for (index, code) in codes.iter().enumerate() {
            let typed = code.shown().replace('-', "").to_uppercase();
            assert_eq!(
                set.find(&BackupCode::parse(&typed).unwrap()).unwrap(),
                Some(index)
            );
        }
        let (_, others) = BackupSet::generate(CHEAP, 0).unwrap();
        assert!(others.iter().all(|code| set.find(code).unwrap().is_none()));
    }

    #[test]
    fn what_is_no_backup_code() {
        for wrong in [
            "",
            "abcdefghijk",
            "abcdefghijkmn",
            "222222222222",
            "abcdefghijk0",
            "abcdefghijkl",
            "äbcdefghijk",
        ] {
            assert!(BackupCode::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn costs_are_bounded() {
        assert!(Cost::default().is_allowed());
        for wrong in [
            (7, 1, 1),
            (65_537, 1, 1),
            (8, 0, 1),
            (8, 11, 1),
            (8, 1, 0),
            (64, 1, 5),
            (8, 1, 2),
        ] {
            let (memory, iterations, parallelism) = wrong;
            assert!(
                !Cost {
                    memory,
                    iterations,
                    parallelism
                }
                .is_allowed(),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn the_alphabet_has_32_symbols_without_look_alikes() {
        let unique: std::collections::BTreeSet<u8> = ALPHABET.iter().copied().collect();
        assert_eq!(unique.len(), 32);
        assert!(b"01lo".iter().all(|byte| !ALPHABET.contains(byte)));
    }
}
