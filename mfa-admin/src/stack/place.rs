//! Where our lines go: directly below the password.

use std::path::Path;

use anyhow::{Result, bail};
use mfa_core::paths::Root;
use pam_stack::Stack;

use crate::doctor::stack::{passwords, wrong_password, wrong_with};

/// See "The two lines" in docs/pam.md.
const LINES: &str = "\
auth  [success=ok ignore=ignore default=die]  pam_mfa.so
auth  required                                pam_permit.so
";

/// See "sshd: key or password, then code" in docs/pam.md: who came with a key is asked for no password.
const KEYS: &str = r#"auth  [success=ignore default=2]              pam_exec.so quiet /bin/sh -c [case "$SSH_AUTH_INFO_0" in publickey*) exit 0;; esac; exit 1]
auth  [success=ok ignore=ignore default=die]  pam_mfa.so
auth  sufficient                              pam_permit.so
"#;

/// The new text of a service's file, and what was put into it.
pub struct Placed {
    /// In its order.
    pub put_in: Vec<String>,
    /// The whole.
    pub text: String,
    /// What is not as good as it could be.
    pub caution: Option<String>,
}

/// Puts the lines in. `others` take in the same file. `keys`: sshd may have seen a key before.
///
/// # Errors
/// No line of the file asks for a password, or below it is no right place, for this service or for one
/// of the others.
pub fn place(
    root: &Root,
    service: &str,
    others: &[String],
    file: &Path,
    text: &str,
    keys: bool,
) -> Result<Placed> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let by_hand =
        format!("Put the lines there by hand: see pam.md; then run: mfa-admin doctor {service}");
    let at = below_the_password(root, service, file, &lines).unwrap_or_default();
    let (before, below) = lines.split_at(at);
    let Some((password, above)) = before.split_last() else {
        bail!(
            "no line of {} asks for a password. {by_hand}",
            file.display()
        );
    };
    let (above, below) = (above.concat(), below.concat());
    let note = format!("# To undo: mfa-admin stack disable {service}\n");
    let keys = keys.then(|| format!("{note}{KEYS}"));
    // The last line may have no end.
    let ours = match password.ends_with('\n') {
        true => format!("{note}{LINES}"),
        false => format!("\n{note}{}", LINES.trim_end()),
    };
    let first = keys.as_deref().unwrap_or_default();
    let text = format!("{above}{first}{password}{ours}{below}");
    let read = |name: &str| Stack::read_if(&root.below(""), name, file, &text);
    for name in others.iter().map(String::as_str).chain([service]) {
        if let Some(what) = wrong_with(name, &read(name)?) {
            bail!(
                "with these lines below the password {name} would not be safe: {what}. {by_hand}"
            );
        }
    }
    let caution = wrong_password(service, &read(service)?);
    Ok(Placed {
        put_in: keys.into_iter().chain([ours]).collect(),
        caution: caution.map(|finding| format!("{}.\n{}", finding.what, finding.mend)),
        text,
    })
}

/// After how many lines of the file all that it has of password modules is there.
fn below_the_password(root: &Root, service: &str, file: &Path, lines: &[&str]) -> Option<usize> {
    let passwords_in = |count: usize| {
        let some = lines.get(..count)?.concat();
        // A file without a line would not be used at all.
        let some = format!("auth optional pam_permit.so\n{some}");
        let stack = Stack::read_if(&root.below(""), service, file, &some).ok()?;
        Some(passwords(&stack))
    };
    let all = passwords_in(lines.len()).filter(|all| *all > 0)?;
    (1..=lines.len()).find(|count| passwords_in(*count) == Some(all))
}
