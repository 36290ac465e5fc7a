//! Who a login name is, as the name service has it.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::{hint, io};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{Gid, Group, User, getgrouplist, pipe2};

use crate::fault::Fault;
use crate::policy::{Directory, Membership};

/// The longest login name in bytes that is looked up (`LOGIN_NAME_MAX` of Linux).
const LONGEST: usize = 256;

/// The user id of a login name; `None` if there is no such user.
///
/// A name with a slash, a control character or of absurd length is nobody's: it is not even asked
/// for.
///
/// # Errors
/// `NameService` if the look-up failed, so that nothing is known.
pub fn uid_of(name: &str) -> Result<Option<u32>, Fault> {
    if !is_plausible(name) {
        return Ok(None);
    }
    match User::from_name(name) {
        Ok(user) => Ok(user.map(|user| user.uid.as_raw())),
        Err(errno) => Err(failed(errno)),
    }
}

fn failed(errno: nix::Error) -> Fault {
    Fault::NameService {
        error: errno.into(),
    }
}

/// The name service of this system.
pub struct NameService;

impl Directory for NameService {
    fn uid_of(&self, user: &str) -> Result<Option<u32>, Fault> {
        uid_of(user)
    }

    fn has_group(&self, group: &str) -> Result<bool, Fault> {
        Ok(group_of(group)?.is_some())
    }

    /// By the list of the group, by the primary group, and by `getgrouplist(3)`, which alone cannot
    /// tell "no" from a failure.
    fn membership(&self, user: &str, group: &str) -> Result<Membership, Fault> {
        let Some(group) = group_of(group)? else {
            return Ok(Membership::Unknown);
        };
        let Some(account) = User::from_name(user).map_err(failed)? else {
            // He was there a moment ago.
            return Err(failed(nix::Error::ENOENT));
        };
        if account.gid == group.gid || group.mem.contains(&account.name) {
            return Ok(Membership::Member);
        }
        check_room()?;
        let name = CString::new(account.name).unwrap_or_default();
        let gids = getgrouplist(&name, account.gid).map_err(failed)?;
        Ok(match gids.contains(&group.gid) {
            true => Membership::Member,
            false if gids.into_iter().any(|gid| may_be_called(gid, &group.name)) => {
                Membership::Namesake
            }
            false => Membership::Outsider,
        })
    }
}

fn group_of(name: &str) -> Result<Option<Group>, Fault> {
    Group::from_name(name).map_err(|errno| match errno {
        Errno::ERANGE => Fault::GroupTooLarge { group: shown(name) },
        errno => failed(errno),
    })
}

/// Whether a group of that number has that name, or cannot be looked up. What does not fit into memory has
/// members by the ten thousand, and is refused where the policy names it.
fn may_be_called(gid: Gid, name: &str) -> bool {
    match Group::from_gid(gid) {
        Ok(group) => group.is_some_and(|group| group.name == name),
        Err(errno) => errno != Errno::ERANGE,
    }
}

/// What a look-up needs at the most, and more: descriptors, and bytes.
const ROOM: (usize, usize) = (16, 1 << 20);

/// A source of the name service that gets no descriptor or no memory leaves its groups out of
/// `getgrouplist(3)` and says nothing. Whoever calls a setuid program decides how much there is.
fn check_room() -> Result<(), Fault> {
    let no_room = |error| Fault::NameService { error };
    let (any, _) = pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
    let descriptors = (0..ROOM.0).map(|_| any.try_clone());
    descriptors
        .collect::<io::Result<Vec<OwnedFd>>>()
        .map_err(no_room)?;
    let mut memory = Vec::<u8>::new();
    let reserved = memory.try_reserve_exact(ROOM.1);
    // Unused memory would not be asked for.
    hint::black_box(&memory);
    reserved.map_err(|_| no_room(io::ErrorKind::OutOfMemory.into()))
}

/// A name for people: as a shell takes it, and without characters that steer a terminal.
pub fn shown(name: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-' | ':' | '/');
    if name
        .chars()
        .all(|c| plain(c) || (!c.is_ascii() && c.is_alphanumeric()))
    {
        return name.to_owned();
    }
    let escaped = name.chars().map(|c| match c {
        '\'' => "'\\''".to_owned(),
        '"' | '\\' => c.to_string(),
        c => c.escape_debug().to_string(),
    });
    format!("'{}'", escaped.collect::<String>())
}

fn is_plausible(name: &str) -> bool {
    let fits = !name.is_empty() && name.len() <= LONGEST;
    fits && name != "." && name != ".." && !name.contains(|c: char| c == '/' || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_zero_and_nobody_else_is_made_up() {
        assert_eq!(uid_of("root").unwrap(), Some(0));
        assert_eq!(uid_of("no-such-user-here").unwrap(), None);
    }

    #[test]
    fn names_are_shown_as_a_shell_takes_them() {
        for (name, text) in [
            ("alice", "alice"),
            ("user@domain", "user@domain"),
            ("jürgen", "jürgen"),
            ("Anna Lena", "'Anna Lena'"),
            ("DOMAIN\\user", "'DOMAIN\\user'"),
            ("a'b", "'a'\\''b'"),
            ("$(reboot)", "'$(reboot)'"),
            ("al\u{202e}ice", "'al\\u{202e}ice'"),
            ("a\u{1b}[2J", "'a\\u{1b}[2J'"),
        ] {
            assert_eq!(shown(name), text);
        }
    }

    #[test]
    fn names_that_no_user_can_have() {
        let long = "a".repeat(10_000);
        for name in ["", ".", "..", "../root", "a/b", "root\n", "ro\0ot", &long] {
            assert!(!is_plausible(name), "{name:?}");
        }
        for name in [
            "alice",
            "DOMAIN\\user",
            "user@domain",
            "Anna Lena",
            "jürgen",
            "-x",
        ] {
            assert!(is_plausible(name), "{name:?}");
        }
    }
}
