//! The files of sshd_config(5): where a setting stands. What holds is for sshd itself to say.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use mfa_core::paths::Root;

use crate::doctor::Finding;

/// Where it begins, and where a name without a slash in front lies.
const FOLDER: &str = "etc/ssh";

/// How deep files may take in one another (sshd's own limit).
const DEEPEST: usize = 16;

/// What a block may name that is known of a user, whatever his connection (sshd_config(5)).
const OF_USERS: [&str; 3] = ["user", "group", "all"];

/// A keyword and what stands behind it.
pub struct Line {
    file: PathBuf,
    number: usize,
    keyword: String,
    values: Vec<String>,
}

/// All that sshd reads, in its order; of a keyword the first counts.
pub fn read(root: &Root) -> Vec<Line> {
    let mut lines = Vec::new();
    take_in(root, &root.below(FOLDER).join("sshd_config"), 0, &mut lines);
    lines
}

fn take_in(root: &Root, file: &Path, depth: usize, lines: &mut Vec<Line>) {
    let text = fs::read_to_string(file).unwrap_or_default();
    for (number, line) in (1..).zip(text.lines()) {
        let words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
        let mut words = words.map(|word| word.trim_matches('"').to_owned());
        let Some(keyword) = words.next().filter(|word| !word.starts_with('#')) else {
            continue;
        };
        let (keyword, values) = (keyword.to_ascii_lowercase(), words.collect::<Vec<_>>());
        if keyword == "include" && depth < DEEPEST {
            let files = values.iter().flat_map(|name| matching(root, name));
            files.for_each(|file| take_in(root, &file, depth + 1, lines));
        } else {
            let file = file.to_path_buf();
            lines.push(Line {
                file,
                number,
                keyword,
                values,
            });
        }
    }
}

/// The files of an `Include`, by name; `*` is understood in the last part of it, as people use it.
fn matching(root: &Root, name: &str) -> Vec<PathBuf> {
    let path = match name.strip_prefix('/') {
        Some(absolute) => root.below(absolute),
        None => root.below(FOLDER).join(name),
    };
    let last = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let Some((begin, end)) = last.as_deref().and_then(|name| name.split_once('*')) else {
        return vec![path];
    };
    let folder = path.parent().and_then(|folder| fs::read_dir(folder).ok());
    let names = folder
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let fits = |name: &String| {
        let rest = name.strip_prefix(begin).filter(|_| !name.starts_with('.'));
        rest.is_some_and(|rest| rest.ends_with(end))
    };
    let mut files: Vec<PathBuf> = names
        .filter(fits)
        .map(|name| path.with_file_name(name))
        .collect();
    files.sort();
    files
}

/// ` (FILE:LINE)` of the first line that gives the keyword this value, or nothing.
pub fn place(lines: &[Line], keyword: &str, value: &str) -> String {
    let gives =
        |line: &&Line| line.keyword == keyword && line.values.join(" ").eq_ignore_ascii_case(value);
    let found = lines.iter().find(gives);
    found.map_or_else(String::new, |line| {
        format!(" ({}:{})", line.file.display(), line.number)
    })
}

/// Keywords that say how somebody gets in.
const METHODS: [&str; 5] = [
    "authenticationmethods",
    "challengeresponseauthentication",
    "kbdinteractiveauthentication",
    "passwordauthentication",
    "pubkeyauthentication",
];

/// `FILE:LINE` of the first such keyword in a `Match` block, but for `AuthenticationMethods publickey`, by
/// which accounts that log in unattended are left out.
pub fn methods_in_blocks(lines: &[Line]) -> Option<String> {
    let mut files = HashSet::new();
    let mut in_blocks = lines.iter().filter(|line| {
        if line.keyword == "match" {
            files.insert(&line.file);
        }
        files.contains(&line.file)
    });
    let found = in_blocks.find(|line| {
        METHODS.contains(&&*line.keyword)
            && !(line.keyword == "authenticationmethods" && line.values == ["publickey"])
    });
    found.map(|line| format!("{}:{}", line.file.display(), line.number))
}

/// `Match` blocks for an address, a host, a port: `sshd -T` is asked about one connection.
pub fn not_looked_at(lines: &[Line]) -> Vec<Finding> {
    let of_connections = lines.iter().filter(|line| {
        let criterion = line.values.first().map(|word| word.to_ascii_lowercase());
        let of_users = criterion.is_some_and(|word| OF_USERS.contains(&&*word));
        line.keyword == "match" && !(of_users && line.values.len() <= 2)
    });
    let told = of_connections.map(|line| {
        let what = format!(
            "the Match block at {}:{} holds for some connections, and was not looked at",
            line.file.display(),
            line.number
        );
        Finding::warning(
            "sshd",
            what,
            "Ask for one of them: sshd -T -C user=alice,addr=ADDRESS",
        )
    });
    told.collect()
}
