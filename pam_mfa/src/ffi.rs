//! What `pam-bindings` does not have: the only place with `unsafe`.

#![expect(unsafe_code, reason = "calls into libpam and the C library")]

use std::ffi::{CString, c_int, c_uint, c_void};

use pam::items::ItemType;
use pam::module::PamHandle;
use zeroize::Zeroizing;

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_fail_delay(pamh: *mut PamHandle, usec: c_uint) -> c_int;
    fn pam_set_item(pamh: *mut PamHandle, item_type: c_int, item: *const c_void) -> c_int;
}

/// Asks the application to wait after a failure, so many microseconds (`pam_fail_delay(3)`).
pub fn fail_delay(pamh: &mut PamHandle, microseconds: u32) {
    // SAFETY: libpam gave us the handle for the time of this call, and nobody else uses it now.
    // The result is of no use: without a delay the verdict is the same.
    let _ = unsafe { pam_fail_delay(pamh, microseconds) };
}

/// Sets `PAM_AUTHTOK` for the modules behind us (`pam_set_item(3)`); libpam keeps a copy.
pub fn hand_on(pamh: &mut PamHandle, password: &[u8]) {
    // What came as a C string has no NUL inside.
    let Ok(password) = CString::new(password).map(CString::into_bytes_with_nul) else {
        return;
    };
    let password = Zeroizing::new(password);
    // SAFETY: libpam gave us the handle for the time of this call, and the text ends with a NUL.
    // If it fails, the modules behind us find no password, and refuse or ask.
    let _ = unsafe { pam_set_item(pamh, ItemType::AuthTok as c_int, password.as_ptr().cast()) };
}
