//! The accounts of the machine. `alias` is `alice` by another name, and `bob` is not enrolled.

use std::ffi::{CStr, c_char};
use std::ptr::null_mut;

/// Names that a policy may have; the last one is nobody's.
pub const USERS: [&str; 4] = ["alice", "alias", "bob", "ghost"];
pub const GROUPS: [&str; 4] = ["staff", "wheel", "alice", "nowhere"];

pub const ALICE: u32 = 1000;
const BOB: u32 = 1001;
const STAFF: u32 = 2000;
const WHEEL: u32 = 2001;

/// What `getpwnam_r` finds. The primary group has the same number.
pub fn uid_of(name: &[u8]) -> Option<u32> {
    match name {
        b"alice" | b"alias" => Some(ALICE),
        b"bob" => Some(BOB),
        _ => None,
    }
}

/// The members that a group lists, as a C array.
pub struct Members([*mut c_char; 2]);

// SAFETY: nobody writes to it.
unsafe impl Sync for Members {}

impl Members {
    const fn new(member: Option<&'static CStr>) -> Members {
        match member {
            Some(name) => Members([name.as_ptr().cast_mut(), null_mut()]),
            None => Members([null_mut(), null_mut()]),
        }
    }

    pub fn as_ptr(&'static self) -> *mut *mut c_char {
        self.0.as_ptr().cast_mut()
    }
}

/// What `getgrnam_r` finds.
pub fn group(name: &[u8]) -> Option<(u32, &'static Members)> {
    static ALONE: Members = Members::new(Some(c"alice"));
    static NOBODY: Members = Members::new(None);
    match name {
        b"staff" => Some((STAFF, &ALONE)),
        b"wheel" => Some((WHEEL, &NOBODY)),
        b"alice" => Some((ALICE, &NOBODY)),
        _ => None,
    }
}

/// What `getgrouplist` finds besides the primary group.
pub fn further_group(user: &[u8]) -> Option<u32> {
    matches!(user, b"alice" | b"bob").then_some(WHEEL)
}

/// Who belongs to what: listed, by `getgrouplist`, or by the primary group.
pub fn belongs(user: &str, group: &str) -> bool {
    match group {
        "staff" => user == "alice",
        "wheel" => user == "alice" || user == "bob",
        "alice" => user == "alice" || user == "alias",
        _ => false,
    }
}
