//! Who a login name is, as the name service has it.

use crate::fault::Fault;

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
    match nix::unistd::User::from_name(name) {
        Ok(user) => Ok(user.map(|user| user.uid.as_raw())),
        Err(errno) => Err(Fault::NameService {
            error: errno.into(),
        }),
    }
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
