//! What takes the place of the C library's functions, and what only it can do. The one file here with
//! `unsafe`.

#![allow(unsafe_code)]

use std::{
    ffi::{CStr, c_int},
    panic::{self, AssertUnwindSafe},
    process::exit,
    ptr,
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst},
    time::{Duration, Instant},
};

use libc::{CLOCK_REALTIME, CLOCK_REALTIME_COARSE, clockid_t, pid_t, time_t, timespec};

static NOW: AtomicI64 = AtomicI64::new(0);

/// Sets the time that this process and the modules in it see, in seconds since 1970.
pub fn set_clock(time: u64) {
    NOW.store(time.cast_signed(), SeqCst);
}

/// `clock_gettime(2)`: the real one but for the time of day.
///
/// # Safety
/// As of the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    match clock {
        CLOCK_REALTIME | CLOCK_REALTIME_COARSE => {
            let tv_sec = NOW.load(SeqCst);
            // SAFETY: the caller promises a place for it.
            unsafe { time.write(timespec { tv_sec, tv_nsec: 0 }) };
            0
        }
        // SAFETY: as promised to us.
        _ => unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as c_int },
    }
}

/// `time(2)`.
///
/// # Safety
/// As of the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn time(place: *mut time_t) -> time_t {
    let now = NOW.load(SeqCst);
    if !place.is_null() {
        // SAFETY: the caller promises a place for it, or none.
        unsafe { place.write(now) };
    }
    now
}

/// A system call that nobody else makes: what lies between two of them in a trace is ours.
pub fn mark() {
    // SAFETY: it has no arguments.
    unsafe { libc::getppid() };
}

/// How long it takes to load a module as libpam does; none if it cannot be loaded.
pub fn load(module: &CStr) -> Option<Duration> {
    let start = Instant::now();
    // SAFETY: a path; what the modules do when they are loaded is their business.
    let handle = unsafe { libc::dlopen(module.as_ptr(), libc::RTLD_NOW) };
    (!handle.is_null()).then(|| start.elapsed())
}

/// What the workers of [`fork`] share: memory that begins as zeros.
#[derive(Debug)]
pub struct Shared {
    /// They begin.
    pub go: AtomicBool,
    /// They end.
    pub stop: AtomicBool,
    /// The next time step.
    pub step: AtomicU64,
    /// Logins that were let in.
    pub granted: AtomicU64,
    /// Logins that were refused.
    pub refused: AtomicU64,
}

/// New shared memory; it stays until the process ends.
pub fn shared() -> &'static Shared {
    let (read_write, shared) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_SHARED | libc::MAP_ANONYMOUS,
    );
    // SAFETY: new memory of sufficient size, aligned to a page, and zeros are a valid value of the type.
    unsafe {
        let page = libc::mmap(
            ptr::null_mut(),
            size_of::<Shared>(),
            read_write,
            shared,
            -1,
            0,
        );
        assert_ne!(page, libc::MAP_FAILED, "no shared memory");
        &*page.cast()
    }
}

/// A child of this process.
#[derive(Debug)]
pub struct Child(pid_t);

/// Does the work in a process of its own.
pub fn fork(work: impl FnOnce()) -> Child {
    // SAFETY: this program has one thread when it forks.
    match unsafe { libc::fork() } {
        -1 => panic!("no more processes"),
        0 => {
            // A panic must not unwind into what the parent has still to do.
            let done = panic::catch_unwind(AssertUnwindSafe(work));
            exit(i32::from(done.is_err()))
        }
        pid => Child(pid),
    }
}

impl Child {
    /// Ends it.
    pub fn kill(self) {
        let mut status = 0;
        // SAFETY: the process is a child that nobody has waited for, so that the number is still its own.
        unsafe {
            libc::kill(self.0, libc::SIGKILL);
            libc::waitpid(self.0, &mut status, 0);
        }
    }

    /// Waits for its end, which must be a good one.
    pub fn join(self) {
        let mut status = 0;
        // SAFETY: a place for the status.
        let waited = unsafe { libc::waitpid(self.0, &mut status, 0) };
        assert_eq!((waited, status), (self.0, 0), "a worker failed");
    }
}
