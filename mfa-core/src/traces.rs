//! The stack: what worked with secrets leaves copies there that nothing wipes, above all the padded
//! keys of HMAC. They would stay for as long as the application lives, and whatever is moved to the
//! heap with unused room in it takes some of them along.

use zeroize::zeroize_stack;

/// More than anything of ours uses, in bytes.
const ROOM: usize = 32 * 1024;

/// Does the work and wipes what it left below our caller on the stack.
pub fn without_traces<T>(work: impl FnOnce() -> T) -> T {
    let result = apart(work);
    zeroize_stack::<ROOM>();
    result
}

/// In a frame of its own, which is gone when the room is wiped.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}
