//! How many instructions a login takes, and where.

use std::path::Path;

use crate::{
    child,
    place::Place,
    scenario::{Scenario, Subject},
};

/// The instructions of one login in a fresh process, from `pam_start` to `pam_end`.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// All of them.
    pub total: u64,
    /// By function, with all that it calls.
    functions: Vec<(u64, String)>,
}

/// A login of a kind under callgrind, which writes into a folder.
pub fn profile(
    place: &Place,
    scenario: Scenario,
    subject: Subject,
    now: u64,
    dir: &Path,
) -> Profile {
    let file = dir.join("callgrind.out");
    let file = file.to_string_lossy();
    let valgrind = [
        "valgrind",
        "-q",
        "--vgdb=no",
        "--tool=callgrind",
        "--collect-atstart=no",
        "--toggle-collect=mfa_bench::login::measured*",
        &format!("--callgrind-out-file={file}"),
    ];
    child::login(place, scenario, subject, now, &valgrind);
    let annotate = [
        "callgrind_annotate",
        "--inclusive=yes",
        "--threshold=100",
        "--show-percs=no",
        &file,
    ];
    Profile::parse(&child::run(&[], &annotate.map(str::to_owned)))
}

impl Profile {
    fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| {
            let (number, rest) = line.trim_start().split_once("  ")?;
            Some((
                number.replace(',', "").parse().ok()?,
                rest.trim().to_owned(),
            ))
        });
        let mut functions: Vec<(u64, String)> = lines.collect();
        let totals = functions
            .iter()
            .position(|(_, name)| name == "PROGRAM TOTALS");
        let (total, _) = functions.remove(totals.expect("the total of callgrind"));
        Self { total, functions }
    }

    /// Of the function in whose line that stands, and of all that it calls: the most, if several.
    pub fn within(&self, name: &str) -> u64 {
        let found = self
            .functions
            .iter()
            .filter(|(_, line)| line.contains(name));
        found.map(|(number, _)| *number).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_is_read() {
        let text = "\
Profile data file 'callgrind.out' (creator: callgrind-3.19.0)
--------------------------------------------------------------------------------
Ir
--------------------------------------------------------------------------------
1,234,567  PROGRAM TOTALS

Ir         file:function
1,200,000  ???:dlopen [/usr/lib/libc.so.6]
   34,567  ???:judge [pam_mfa.so]
";
        let profile = Profile::parse(text);
        assert_eq!(profile.total, 1_234_567);
        assert_eq!(profile.within(":judge "), 34_567);
        assert_eq!(profile.within("nowhere"), 0);
    }
}
