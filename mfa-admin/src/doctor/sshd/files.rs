//! The files of sshd_config(5): where a setting stands. What holds is for sshd itself to say.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
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
    /// Whether it holds for some people or connections only.
    in_block: bool,
}

/// All that sshd reads.
#[derive(Default)]
pub struct Read {
    /// In its order; of a keyword the first counts.
    pub lines: Vec<Line>,
    /// What may say something else, for it could not be read.
    pub unread: Vec<Finding>,
}

/// Reads what sshd reads.
pub fn read(root: &Root) -> Read {
    let mut read = Read::default();
    let file = root.below(FOLDER).join("sshd_config");
    take_in(root, &file, 0, false, &mut read);
    read
}

const BLANKS: [char; 2] = [' ', '\t'];

fn take_in(root: &Root, file: &Path, depth: usize, mut in_block: bool, read: &mut Read) {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        // To sshd an Include of nothing is none.
        Err(error) if error.kind() == ErrorKind::NotFound => return,
        Err(error) => {
            let what = format!("{} cannot be read ({error})", file.display());
            let mend = "Look at it, or take its Include out";
            read.unread.push(Finding::warning("sshd", what, mend));
            return;
        }
    };
    // Comments may be in any encoding.
    let text = String::from_utf8_lossy(&bytes);
    for (number, line) in (1..).zip(text.lines()) {
        let words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
        let mut words = words.map(|word| word.trim_matches('"').to_owned());
        let Some(keyword) = words.next().filter(|word| !word.starts_with('#')) else {
            continue;
        };
        let keyword = keyword.to_ascii_lowercase();
        if keyword == "include" && depth < DEEPEST {
            let behind = line.trim_start_matches(BLANKS).split_once([' ', '\t', '=']);
            let names = behind.map_or("", |(_, names)| names.trim_start_matches([' ', '\t', '=']));
            let names = names.split(BLANKS).filter(|name| !name.is_empty());
            for name in names.take_while(|name| !name.starts_with('#')) {
                let Some(files) = matching(root, name) else {
                    let place = format!("{}:{number}", file.display());
                    let what =
                        format!("the Include at {place} is not understood, and was not followed");
                    let mend =
                        "Write a path there without quotes, and at most one * in its last part";
                    read.unread.push(Finding::warning("sshd", what, mend));
                    continue;
                };
                files
                    .iter()
                    .for_each(|file| take_in(root, file, depth + 1, in_block, read));
            }
            continue;
        }
        // A block ends with its file at the latest.
        in_block |= keyword == "match";
        read.lines.push(Line {
            file: file.to_path_buf(),
            number,
            keyword,
            values: words.collect(),
            in_block,
        });
    }
}

/// The files of an `Include`, by name. Of glob(7) one `*` in the last part is understood, as people use it;
/// `None` for more.
fn matching(root: &Root, name: &str) -> Option<Vec<PathBuf>> {
    let quoted = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'));
    let name = quoted.unwrap_or(name);
    let path = match name.strip_prefix('/') {
        Some(absolute) => root.below(absolute),
        None => root.below(FOLDER).join(name),
    };
    let (folder, last) = name.rsplit_once('/').unwrap_or(("", name));
    if name.contains(['"', '\'', '\\', '?', '[']) || folder.contains('*') {
        return None;
    }
    let Some((begin, end)) = last.split_once('*') else {
        return Some(vec![path]);
    };
    if end.contains('*') {
        return None;
    }
    let folder = path.parent().and_then(|folder| fs::read_dir(folder).ok());
    let names = folder.into_iter().flatten().filter_map(Result::ok);
    let fits = |name: &OsString| {
        let rest = name.as_bytes().strip_prefix(begin.as_bytes());
        // What is hidden has to be named as such.
        let shown = !begin.is_empty() || !name.as_bytes().starts_with(b".");
        shown && rest.is_some_and(|rest| rest.ends_with(end.as_bytes()))
    };
    let names = names.map(|entry| entry.file_name()).filter(fits);
    let mut files: Vec<PathBuf> = names.map(|name| path.with_file_name(name)).collect();
    files.sort();
    Some(files)
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
    let found = lines.iter().find(|line| {
        line.in_block
            && METHODS.contains(&&*line.keyword)
            && !(line.keyword == "authenticationmethods" && line.values == ["publickey"])
    });
    found.map(|line| format!("{}:{}", line.file.display(), line.number))
}

/// Whether users may differ.
pub fn has_blocks(lines: &[Line]) -> bool {
    lines.iter().any(|line| line.keyword == "match")
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
