//! The calls of the C library that a login makes: the real ones, unless the script says otherwise.
//!
//! The linker prefers these to those of the C library. Only the module meets faults: for the fuzzer
//! and for the harness everything is real.
//!
//! Every pointer here comes from somebody who would hand it to the C library, and is used as that
//! would use it.

use std::ffi::{CStr, OsStr, c_char, c_int, c_long, c_uint, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

use libc::{
    DIR, dirent, gid_t, group, mode_t, passwd, rlimit, size_t, socklen_t, ssize_t, stat, timespec,
};

use crate::accounts::{self, uid_of};
use crate::scenario::{Names, Odd};
use crate::stage::{self, Fate, What, before};

fn fail<T: From<i8>>(errno: c_int) -> T {
    // SAFETY: it is this thread's own.
    unsafe { *libc::__errno_location() = errno };
    T::from(-1)
}

/// SAFETY: the caller got `path` from a caller of the C library.
unsafe fn path_at<'p>(path: *const c_char) -> &'p Path {
    Path::new(OsStr::from_bytes(
        unsafe { CStr::from_ptr(path) }.to_bytes(),
    ))
}

/// A system call that returns an int, after `before` had its say.
macro_rules! call {
    ($what:expr, $number:ident $(, $argument:expr)*) => {
        match before($what) {
            Fate::Fails(errno) => fail(errno),
            _ => unsafe { libc::syscall(libc::$number $(, $argument)*) as c_int },
        }
    };
}

/// The same for one that returns how many bytes it moved of `length`.
macro_rules! transfer {
    ($what:expr, $length:ident, $number:ident $(, $argument:expr)*) => {{
        let $length = match before($what) {
            Fate::Fails(errno) => return fail(errno),
            Fate::Short(bytes) => $length.min(bytes),
            Fate::Real => $length,
        };
        unsafe { libc::syscall(libc::$number $(, $argument)*) as ssize_t }
    }};
}

#[unsafe(no_mangle)]
unsafe extern "C" fn openat(dir: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    let name = unsafe { path_at(path) };
    if !stage::may_see(name) {
        return fail(libc::ENOENT);
    }
    let what = match flags & (libc::O_CREAT | libc::O_RDWR) {
        0 => What::Reads,
        _ => What::Names(dir, name),
    };
    call!(what, SYS_openat, dir, path, flags, mode)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    unsafe { openat(libc::AT_FDCWD, path, flags, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mkdirat(dir: c_int, path: *const c_char, mode: mode_t) -> c_int {
    let name = unsafe { path_at(path) };
    if !stage::may_see(name) {
        return fail(libc::ENOENT);
    }
    call!(What::Names(dir, name), SYS_mkdirat, dir, path, mode)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    unsafe { mkdirat(libc::AT_FDCWD, path, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlinkat(dir: c_int, path: *const c_char, flags: c_int) -> c_int {
    let what = What::Names(dir, unsafe { path_at(path) });
    call!(what, SYS_unlinkat, dir, path, flags)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn renameat2(
    from_dir: c_int,
    from: *const c_char,
    to_dir: c_int,
    to: *const c_char,
    flags: c_uint,
) -> c_int {
    let what = What::Names(from_dir, unsafe { path_at(from) });
    call!(what, SYS_renameat2, from_dir, from, to_dir, to, flags)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fstat(fd: c_int, buffer: *mut stat) -> c_int {
    call!(What::Reads, SYS_fstat, fd, buffer)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn lstat(path: *const c_char, buffer: *mut stat) -> c_int {
    if !stage::may_see(unsafe { path_at(path) }) {
        return fail(libc::ENOENT);
    }
    let (dir, flags) = (libc::AT_FDCWD, libc::AT_SYMLINK_NOFOLLOW);
    call!(What::Reads, SYS_newfstatat, dir, path, buffer, flags)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fchmod(fd: c_int, mode: mode_t) -> c_int {
    call!(What::Writes(fd), SYS_fchmod, fd, mode)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    call!(What::Writes(fd), SYS_fsync, fd)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    call!(What::Writes(fd), SYS_fdatasync, fd)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fcntl(fd: c_int, command: c_int, argument: c_long) -> c_int {
    call!(What::Reads, SYS_fcntl, fd, command, argument)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn flock(fd: c_int, operation: c_int) -> c_int {
    let held = stage::is_active() && stage::with(|running| running.odd == Some(Odd::LockHeld));
    if held && operation & libc::LOCK_UN == 0 {
        return fail(libc::EWOULDBLOCK);
    }
    call!(What::Locks, SYS_flock, fd, operation)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn read(fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t {
    transfer!(What::Reads, length, SYS_read, fd, buffer, length)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    offset: i64,
) -> ssize_t {
    transfer!(
        What::Writes(fd),
        length,
        SYS_pwrite64,
        fd,
        buffer,
        length,
        offset
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, length: size_t) -> ssize_t {
    if unsafe { logged(fd, buffer, length) } {
        return length as ssize_t;
    }
    transfer!(What::Writes(fd), length, SYS_write, fd, buffer, length)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn send(
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    flags: c_int,
) -> ssize_t {
    if unsafe { logged(fd, buffer, length) } {
        return length as ssize_t;
    }
    unsafe { libc::sendto(fd, buffer, length, flags, std::ptr::null(), 0) }
}

/// The log of the machine that the fuzzer runs on is left alone.
#[unsafe(no_mangle)]
unsafe extern "C" fn connect(
    fd: c_int,
    address: *const libc::sockaddr,
    length: socklen_t,
) -> c_int {
    if !stage::is_active() {
        return unsafe { libc::syscall(libc::SYS_connect, fd, address, length) as c_int };
    }
    match before(What::Reads) {
        Fate::Fails(errno) => fail(errno),
        _ => {
            stage::with(|running| running.log_socket = fd);
            0
        }
    }
}

/// SAFETY: `buffer` holds `length` bytes.
unsafe fn logged(fd: c_int, buffer: *const c_void, length: size_t) -> bool {
    let is_log = stage::is_active() && stage::with(|running| running.log_socket == fd);
    if is_log {
        let line = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), length) };
        stage::with(|running| {
            running.log.push_str(&String::from_utf8_lossy(line));
            running.log.push('\n');
        });
    }
    is_log
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fdopendir(fd: c_int) -> *mut DIR {
    static REAL: OnceLock<usize> = OnceLock::new();
    match before(What::Reads) {
        Fate::Fails(errno) => {
            fail::<c_int>(errno);
            std::ptr::null_mut()
        }
        _ => {
            let real = *REAL.get_or_init(|| real(c"fdopendir"));
            // SAFETY: it has this signature.
            let real: unsafe extern "C" fn(c_int) -> *mut DIR =
                unsafe { std::mem::transmute(real) };
            unsafe { real(fd) }
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn readdir(dir: *mut DIR) -> *mut dirent {
    static REAL: OnceLock<usize> = OnceLock::new();
    match before(What::Reads) {
        Fate::Fails(errno) => {
            fail::<c_int>(errno);
            std::ptr::null_mut()
        }
        _ => {
            let real = *REAL.get_or_init(|| real(c"readdir"));
            // SAFETY: it has this signature.
            let real: unsafe extern "C" fn(*mut DIR) -> *mut dirent =
                unsafe { std::mem::transmute(real) };
            unsafe { real(dir) }
        }
    }
}

fn real(name: &CStr) -> usize {
    // SAFETY: the name is a C string.
    unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) as usize }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut timespec) -> c_int {
    if stage::is_active() && clock == libc::CLOCK_REALTIME {
        let (tv_sec, tv_nsec) = (stage::now(), 0);
        unsafe { time.write(timespec { tv_sec, tv_nsec }) };
        return 0;
    }
    unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as c_int }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn clock_nanosleep(
    clock: libc::clockid_t,
    flags: c_int,
    time: *const timespec,
    left: *mut timespec,
) -> c_int {
    if stage::is_active() {
        let time = unsafe { &*time };
        stage::sleep(time.tv_sec, time.tv_nsec);
        return 0;
    }
    match unsafe { libc::syscall(libc::SYS_clock_nanosleep, clock, flags, time, left) } {
        0 => 0,
        _ => unsafe { *libc::__errno_location() },
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getrlimit(resource: c_uint, limit: *mut rlimit) -> c_int {
    let result = call!(What::Reads, SYS_getrlimit, resource, limit);
    let small = stage::is_active() && stage::with(|running| running.odd == Some(Odd::SmallFiles));
    if small && resource == libc::RLIMIT_FSIZE {
        unsafe { (*limit).rlim_cur = 1000 };
    }
    result
}

/// Whether a look-up fails. The C library leaves the number in `errno`, too.
fn look_up(names: Names) -> c_int {
    let always = |running: &mut stage::Running| running.always_lost == Some(names);
    let errno = match before(What::Reads) {
        Fate::Fails(errno) if names != Names::GroupsOfUser => errno,
        _ if stage::is_active() && stage::with(always) => libc::EIO,
        _ => return 0,
    };
    stage::with(|running| running.lost = true);
    fail::<c_int>(errno);
    errno
}

/// SAFETY: the caller got `name` from a caller of the C library.
unsafe fn bytes_of<'n>(name: *const c_char) -> &'n [u8] {
    unsafe { CStr::from_ptr(name) }.to_bytes()
}

/// See [`crate::accounts`].
#[unsafe(no_mangle)]
unsafe extern "C" fn getpwnam_r(
    name: *const c_char,
    entry: *mut passwd,
    _: *mut c_char,
    _: size_t,
    result: *mut *mut passwd,
) -> c_int {
    unsafe { result.write(std::ptr::null_mut()) };
    let failed = look_up(Names::User);
    if let Some(uid) = uid_of(unsafe { bytes_of(name) }).filter(|_| failed == 0) {
        let text = c"".as_ptr().cast_mut();
        unsafe {
            entry.write(passwd {
                pw_name: name.cast_mut(),
                pw_passwd: text,
                pw_uid: uid,
                pw_gid: uid,
                pw_gecos: text,
                pw_dir: text,
                pw_shell: text,
            });
            result.write(entry);
        }
    }
    failed
}

/// See [`crate::accounts`].
#[unsafe(no_mangle)]
unsafe extern "C" fn getgrnam_r(
    name: *const c_char,
    entry: *mut group,
    _: *mut c_char,
    _: size_t,
    result: *mut *mut group,
) -> c_int {
    unsafe { result.write(std::ptr::null_mut()) };
    let failed = look_up(Names::Group);
    let found = accounts::group(unsafe { bytes_of(name) });
    if let Some((gr_gid, members)) = found.filter(|_| failed == 0) {
        unsafe {
            entry.write(group {
                gr_name: name.cast_mut(),
                gr_passwd: c"".as_ptr().cast_mut(),
                gr_gid,
                gr_mem: members.as_ptr(),
            });
            result.write(entry);
        }
    }
    failed
}

/// See [`crate::accounts`]. It fails as often as it is called, or not at all: a single failure
/// looks like an array that is too small.
#[unsafe(no_mangle)]
unsafe extern "C" fn getgrouplist(
    user: *const c_char,
    gid: gid_t,
    gids: *mut gid_t,
    count: *mut c_int,
) -> c_int {
    if look_up(Names::GroupsOfUser) != 0 {
        return -1;
    }
    let further = accounts::further_group(unsafe { bytes_of(user) });
    let all: Vec<gid_t> = [Some(gid), further].into_iter().flatten().collect();
    let (needed, room) = (all.len(), unsafe { count.read() });
    unsafe { count.write(needed as c_int) };
    if usize::try_from(room).is_ok_and(|room| room < needed) {
        return -1;
    }
    unsafe { gids.copy_from_nonoverlapping(all.as_ptr(), needed) };
    needed as c_int
}
