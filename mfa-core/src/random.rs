//! Random bytes, from the kernel alone.
//!
//! A user-space generator is no choice inside a PAM application: it is not reseeded after a fork,
//! and its thread-local state would outlive the module.

use rand::TryRng;
use rand::rngs::SysRng;

use crate::fault::Fault;

/// `N` random bytes from `getrandom(2)`.
pub fn bytes<const N: usize>() -> Result<[u8; N], Fault> {
    let mut buffer = [0; N];
    fill(&mut buffer)?;
    Ok(buffer)
}

/// Fills `buffer` with random bytes from `getrandom(2)`.
pub fn fill(buffer: &mut [u8]) -> Result<(), Fault> {
    SysRng.try_fill_bytes(buffer).map_err(|_| Fault::NoRandom)
}
