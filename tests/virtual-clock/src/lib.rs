//! Preloaded into a process, it sets the clock that this process sees (`ld.so(8)`, `LD_PRELOAD`).
//!
//! `VIRTUAL_CLOCK` holds seconds since 1970, or the absolute path of a file that does and is read at
//! every look at the clock; `broken`, and every look at it fails. Other clocks stay real. Unlike libfaketime it makes no files, which a
//! process that is killed would leave behind and which a later one with its number would meet.

#![expect(unsafe_code, reason = "takes the place of a function of the C library")]

use std::{env, ffi::c_int, fs, mem, sync::OnceLock};

use libc::{CLOCK_REALTIME, CLOCK_REALTIME_COARSE, clockid_t, time_t, timespec};

type ClockGettime = unsafe extern "C" fn(clockid_t, *mut timespec) -> c_int;

/// `clock_gettime(2)`.
///
/// # Safety
/// As of the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    let virtual_clock = matches!(clock, CLOCK_REALTIME | CLOCK_REALTIME_COARSE)
        .then(|| env::var("VIRTUAL_CLOCK").ok())
        .flatten();
    match virtual_clock.as_deref() {
        // SAFETY: as promised to us.
        None => unsafe { real()(clock, time) },
        Some("broken") => -1,
        Some(setting) => {
            let tv_sec = seconds(setting);
            // SAFETY: the caller promises a place for it.
            unsafe { time.write(timespec { tv_sec, tv_nsec: 0 }) };
            0
        }
    }
}

fn seconds(setting: &str) -> time_t {
    let seconds = match setting.starts_with('/') {
        true => fs::read_to_string(setting).expect("the file of the virtual clock"),
        false => setting.to_owned(),
    };
    seconds.trim().parse().expect("seconds since 1970")
}

fn real() -> ClockGettime {
    static REAL: OnceLock<ClockGettime> = OnceLock::new();
    *REAL.get_or_init(|| {
        // SAFETY: the name is a C string, and what has this name is such a function.
        unsafe {
            let real = libc::dlsym(libc::RTLD_NEXT, c"clock_gettime".as_ptr());
            mem::transmute::<*mut libc::c_void, ClockGettime>(real)
        }
    })
}
