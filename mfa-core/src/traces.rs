//! The stack: what worked with secrets leaves copies there that nothing wipes, above all the padded
//! keys of HMAC. They would stay for as long as the application lives, and whatever is moved to the
//! heap with unused room in it takes some of them along.

use std::hint::black_box;

use zeroize::Zeroize;

/// More than anything of ours uses, in words of eight bytes.
const ROOM: usize = 32 * 1024 / 8;

/// Does the work and wipes what it left below our caller on the stack.
pub fn without_traces<T>(work: impl FnOnce() -> T) -> T {
    let result = apart(work);
    wipe();
    result
}

/// In a frame of its own, which is gone when the room is wiped.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[inline(never)]
fn wipe() {
    let mut room = [0u64; ROOM];
    room.zeroize();
    black_box(&mut room);
}
