//! What `pam-bindings` does not have: the only place with `unsafe`.

#![expect(unsafe_code, reason = "calls into libpam and the C library")]

use std::ffi::{c_int, c_uint};

use pam::module::PamHandle;

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_fail_delay(pamh: *mut PamHandle, usec: c_uint) -> c_int;
}

/// Asks the application to wait after a failure, so many microseconds (`pam_fail_delay(3)`).
pub fn fail_delay(pamh: &mut PamHandle, microseconds: u32) {
    // SAFETY: libpam gave us the handle for the time of this call, and nobody else uses it now.
    // The result is of no use: without a delay the verdict is the same.
    let _ = unsafe { pam_fail_delay(pamh, microseconds) };
}

/// Returns the memory that the C library keeps after a large allocation (`malloc_trim(3)`).
pub fn give_back_memory() {
    // SAFETY: it may be called at any time, from any thread.
    let _ = unsafe { libc::malloc_trim(0) };
}
