//! Proof for `mfa-admin stack confirm`: that a service whose PAM stack was changed has let somebody in
//! with a code since.
//!
//! Two names in `/run/pam_mfa/stack`: the command line makes `SERVICE.awaited`, and the first login that
//! is granted renames it to `SERVICE.granted`. To rename needs no space, and costs all other logins one
//! look at a name that is not there.

use std::fs;
use std::path::PathBuf;

use crate::fault::Fault;
use crate::file::{Dir, Privacy};
use crate::paths::Root;

/// The directory below `/run/pam_mfa`.
const DIR: &str = "stack";

/// The longest name of a service (bytes); also the longest that is ever looked for.
const LONGEST: usize = 64;

/// Whether it can be the name of a PAM service in small letters, and so part of a path.
pub fn is_service(name: &str) -> bool {
    let known = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_.".contains(&c);
    (1..=LONGEST).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(known)
}

fn path(root: &Root, service: &str, what: &str) -> PathBuf {
    root.run().join(DIR).join(format!("{service}.{what}"))
}

/// Waits for a login by the service, whatever was granted before.
///
/// # Errors
/// `/run/pam_mfa` cannot be written.
pub fn wait_for(root: &Root, service: &str) -> Result<(), Fault> {
    forget(root, service);
    dir(root)?.create(&format!("{service}.awaited")).map(drop)
}

fn dir(root: &Root) -> Result<Dir, Fault> {
    Dir::make_path(&root.run(), Privacy::Private)?.make(DIR)
}

/// A login by the service was granted. Nothing depends on whether that can be noted.
pub fn granted(root: &Root, service: &str) {
    let service = service.to_ascii_lowercase();
    if is_service(&service) {
        let _ = fs::rename(
            path(root, &service, "awaited"),
            path(root, &service, "granted"),
        );
    }
}

/// Whether a login by the service was granted since it is waited for.
pub fn is_there(root: &Root, service: &str) -> bool {
    path(root, service, "granted").exists()
}

/// Whether a login is waited for, or was seen.
pub fn is_awaited(root: &Root, service: &str) -> bool {
    path(root, service, "awaited").exists() || is_there(root, service)
}

/// Nobody waits any more.
pub fn forget(root: &Root, service: &str) {
    for what in ["awaited", "granted"] {
        let _ = fs::remove_file(path(root, service, what));
    }
}

/// Says that this process waits, and will undo the change with that number.
///
/// # Errors
/// `/run/pam_mfa` cannot be written.
pub fn announce(root: &Root, service: &str, change: u64) -> Result<(), Fault> {
    let dir = dir(root)?;
    let (new, name) = (format!("{service}.new"), format!("{service}.waits"));
    dir.unlink(&new)?;
    let text = format!("{change} {}", std::process::id());
    dir.write_new(&new, text.as_bytes())?;
    dir.rename(&new, &name, true)
}

/// Whether a process that lives has announced that it will undo that change.
pub fn is_announced(root: &Root, service: &str, change: u64) -> bool {
    let text = fs::read_to_string(path(root, service, "waits")).unwrap_or_default();
    text.split_once(' ').is_some_and(|(of, pid)| {
        of == change.to_string() && PathBuf::from("/proc").join(pid).exists()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_login_by_that_service_that_was_waited_for_is_proof() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path()).unwrap();
        fs::create_dir(root.below("run")).unwrap();
        granted(&root, "sshd");
        assert!(!is_there(&root, "sshd"));
        wait_for(&root, "sshd").unwrap();
        granted(&root, "su");
        assert!(!is_there(&root, "sshd"));
        granted(&root, "sshD");
        granted(&root, "sshd");
        assert!(is_there(&root, "sshd"));
        wait_for(&root, "sshd").unwrap();
        assert!(!is_there(&root, "sshd"), "an old login is no proof");
        forget(&root, "sshd");
        granted(&root, "sshd");
        assert!(!is_there(&root, "sshd"));
    }

    #[test]
    fn names_lead_nowhere_else() {
        for name in [
            "",
            ".x",
            "a/b",
            "../x",
            "a b",
            "A",
            "a+b",
            "a@b",
            &"x".repeat(65),
        ] {
            assert!(!is_service(name), "{name}");
        }
        assert!(
            ["sshd", "su-l", "gdm-password", "sudo-i"]
                .iter()
                .all(|name| is_service(name))
        );
    }
}
