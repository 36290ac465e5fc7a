//! What our own lines say: their arguments, and which file they name.

use std::path::PathBuf;

use mfa_core::arguments::Arguments;
use mfa_core::options::FirstPass;
use mfa_core::paths::Root;
use pam_stack::{Entry, Stack, What};

use super::Finding;
use super::stack::{is_ours, place};

/// All of them together.
#[derive(Debug, Default)]
pub struct Ours {
    /// How they name the module.
    pub modules: Vec<String>,
    /// Whether one takes password and code in one answer.
    pub combined: bool,
    /// The service whose policy holds, if one says so (`service=`).
    pub policy: Option<String>,
}

fn arguments(entry: &Entry) -> Arguments {
    let words = match &entry.what {
        What::Module(_, words) => words.as_slice(),
        What::Substack | What::Unreadable => &[],
    };
    Arguments::parse(words.iter().map(|word| word.as_bytes()))
}

/// Reads them as the module does.
pub fn examine(root: &Root, name: &str, stack: &Stack, findings: &mut Vec<Finding>) -> Ours {
    let mut ours = Ours::default();
    for entry in stack.entries.iter().filter(|entry| is_ours(entry)) {
        let arguments = arguments(entry);
        findings.extend(problems(name, entry, &arguments));
        findings.extend(elsewhere(root, name, entry, &arguments));
        if let What::Module(module, _) = &entry.what {
            ours.modules.push(module.clone());
        }
        let options = arguments.options;
        ours.combined |= options.forward_pass || options.first_pass != FirstPass::No;
        ours.policy = ours.policy.or(options.service);
    }
    ours
}

fn problems(name: &str, entry: &Entry, arguments: &Arguments) -> Option<Finding> {
    (!arguments.problems.is_empty()).then(|| {
        let what = format!(
            "every login is refused, for pam_mfa.so does not understand its line ({}): {}",
            place(entry),
            arguments.problems.join("; ").escape_debug()
        );
        Finding::fault(
            name,
            what,
            "Mend that line: man pam_mfa has all that may stand there",
        )
    })
}

/// What else is looked at lies below the root that was named to us.
fn elsewhere(root: &Root, name: &str, entry: &Entry, arguments: &Arguments) -> Option<Finding> {
    // Without the slash at the end.
    let plain = |root: &Root| root.below("").components().collect::<PathBuf>();
    let (there, here) = (plain(&arguments.root), plain(root));
    let is_default = !matches!(&entry.what, What::Module(_, words)
        if words.iter().any(|word| word.starts_with("root=")));
    (!is_default && there != here).then(|| {
        let what = format!(
            "its line takes key, policy and records from {} ({}), and those were not looked at",
            there.display(),
            place(entry)
        );
        let mend = format!(
            "Take root= out of that line, or run: mfa-admin --root {} doctor",
            there.display()
        );
        Finding::warning(name, what, mend)
    })
}
