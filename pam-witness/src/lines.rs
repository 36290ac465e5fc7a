//! Which module says what. libpam does not tell, but it asks dlsym(3) for the function of each line:
//! here it gets one of ours, which calls the module's and tells what that says. The service's own
//! files, all of libpam and the modules are as in any other program.
//!
//! For libpam calls the `dlsym` of the program before that of the C library (ld.so(8)).

#![expect(unsafe_code, reason = "stands between libpam and its modules")]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::mem::transmute;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use pam_witness::{Event, Kind};

use crate::wire::tell;

/// `pam_sm_authenticate`, `pam_sm_acct_mgmt`.
type Function = unsafe extern "C" fn(*mut c_void, c_int, c_int, *const *const c_char) -> c_int;

/// The modules' functions by line; none where a module lacks it.
static FUNCTIONS: Mutex<Vec<Option<Function>>> = Mutex::new(Vec::new());

/// Whether libpam is reading the service.
static FOLLOWING: AtomicBool = AtomicBool::new(false);

/// Does what has libpam read a service, whose lines are followed from then on.
pub fn followed<T>(start: impl FnOnce() -> T) -> T {
    FOLLOWING.store(true, Ordering::Relaxed);
    let started = start();
    FOLLOWING.store(false, Ordering::Relaxed);
    started
}

/// Whether there are lines that cannot be followed.
pub fn are_too_many() -> bool {
    let functions = FUNCTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    functions.len() > STAND_INS.as_flattened().len()
}

/// Stands in for that of the C library.
///
/// # Safety
/// As for dlsym(3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void {
    // SAFETY: both are handed on as they came.
    let found = unsafe { real_dlsym(handle, symbol) };
    if !FOLLOWING.load(Ordering::Relaxed) {
        return found;
    }
    // SAFETY: whoever calls dlsym gives a C string.
    let kind = match unsafe { CStr::from_ptr(symbol) }.to_bytes() {
        b"pam_sm_authenticate" => Kind::Auth,
        b"pam_sm_acct_mgmt" => Kind::Account,
        _ => return found,
    };
    let function = match found.is_null() {
        true => None,
        // SAFETY: by its name it is such a function.
        false => Some(unsafe { transmute::<*mut c_void, Function>(found) }),
    };
    let mut functions = FUNCTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    let stand_in = STAND_INS.as_flattened().get(functions.len());
    functions.push(function);
    drop(functions);
    // SAFETY: libpam has the handle from dlopen(3), and it is open.
    let module = unsafe { file(handle) };
    tell(&Event::Loaded {
        kind,
        module,
        callable: function.is_some(),
    });
    match (function, stand_in) {
        (Some(_), Some(stand_in)) => *stand_in as *mut c_void,
        _ => found,
    }
}

/// The C library's. "The next one" (`RTLD_NEXT`) is a question about who asks, and libraries that are
/// preloaded ask it; so that the answer is not about us, it is what all of them look for.
unsafe fn real_dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void {
    type Dlsym = unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void;
    // Of glibc 2.34 and later, and of each architecture before.
    let versions = [
        c"GLIBC_2.34",
        c"GLIBC_2.2.5",
        c"GLIBC_2.17",
        c"GLIBC_2.27",
        c"GLIBC_2.36",
        c"GLIBC_2.4",
        c"GLIBC_2.2",
        c"GLIBC_2.0",
    ];
    let real = versions.into_iter().find_map(|version| {
        // SAFETY: both are C strings.
        let real = unsafe { libc::dlvsym(libc::RTLD_NEXT, c"dlsym".as_ptr(), version.as_ptr()) };
        (!real.is_null()).then_some(real)
    });
    let Some(real) = real else {
        return ptr::null_mut();
    };
    // SAFETY: by its name it is dlsym(3).
    let real = unsafe { transmute::<*mut c_void, Dlsym>(real) };
    if handle == libc::RTLD_NEXT {
        // SAFETY: the C library is there, and stays.
        let found = unsafe {
            let library = libc::dlopen(c"libc.so.6".as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD);
            real(library, symbol)
        };
        if !found.is_null() {
            return found;
        }
    }
    // SAFETY: both are handed on as they came.
    unsafe { real(handle, symbol) }
}

/// The beginning of `struct link_map` (dlinfo(3)).
#[repr(C)]
struct LinkMap {
    address: usize,
    name: *const c_char,
}

/// The file of an open library.
///
/// # Safety
/// The handle is one of dlopen(3).
unsafe fn file(handle: *mut c_void) -> PathBuf {
    let mut map: *const LinkMap = ptr::null();
    // SAFETY: the handle is open, and the request is for such a pointer, which lives as long.
    unsafe {
        let failed = libc::dlinfo(handle, libc::RTLD_DI_LINKMAP, (&raw mut map).cast());
        if failed != 0 || map.is_null() || (*map).name.is_null() {
            return PathBuf::new();
        }
        OsStr::from_bytes(CStr::from_ptr((*map).name).to_bytes()).into()
    }
}

/// What libpam calls in place of the module of a line.
unsafe extern "C" fn stand_in<const LINE: usize>(
    handle: *mut c_void,
    flags: c_int,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    let functions = FUNCTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    let function = functions.get(LINE).copied().flatten();
    drop(functions);
    let Some(function) = function else {
        return crate::libpam::MODULE_UNKNOWN;
    };
    tell(&Event::Called(LINE));
    // SAFETY: it is called as libpam would.
    let code = unsafe { function(handle, flags, count, arguments) };
    tell(&Event::Returned(code));
    code
}

/// The stand-ins of the lines `16 * $row` to `16 * $row + 15`, for each row.
macro_rules! rows {
    ($($row:literal)*) => {[$([
        stand_in::<{ 16 * $row }>, stand_in::<{ 16 * $row + 1 }>,
        stand_in::<{ 16 * $row + 2 }>, stand_in::<{ 16 * $row + 3 }>,
        stand_in::<{ 16 * $row + 4 }>, stand_in::<{ 16 * $row + 5 }>,
        stand_in::<{ 16 * $row + 6 }>, stand_in::<{ 16 * $row + 7 }>,
        stand_in::<{ 16 * $row + 8 }>, stand_in::<{ 16 * $row + 9 }>,
        stand_in::<{ 16 * $row + 10 }>, stand_in::<{ 16 * $row + 11 }>,
        stand_in::<{ 16 * $row + 12 }>, stand_in::<{ 16 * $row + 13 }>,
        stand_in::<{ 16 * $row + 14 }>, stand_in::<{ 16 * $row + 15 }>,
    ]),*]};
}

/// One for each line: a function in C knows nothing but what it is called with.
static STAND_INS: [[Function; 16]; 16] = rows!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
