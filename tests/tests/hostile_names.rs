//! User names: hostile ones are refused like anybody's wrong code, odd ones work if the name
//! service knows them.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use mfa_tests::{
    PASSWORD_HASH,
    command::{Finished, run},
    enrolled::{Enrolled, NOW},
    log::of_module,
    outcome::Outcome,
    pam,
    sandbox::Sandbox,
};

/// No user has them, whatever the name service says.
fn hostile() -> Vec<Vec<u8>> {
    let texts = [
        "",
        ".",
        "..",
        "/",
        "a/b",
        "/etc/passwd",
        "../alice",
        "../../../../etc/pam_mfa/key",
        "alice/",
        "2001/../2001",
        "alice\n",
        "\nalice",
        "alice\nroot",
        "alice\r",
        "a\tb",
        "\u{1b}[2Jalice",
        "alice\u{7f}",
        "alice\u{85}",
        "\u{9b}2Jalice",
        "\u{1}",
    ];
    let bytes: [&[u8]; 5] = [
        b"alice\xff",
        b"\xff\xfe",
        // Overlong, a surrogate, cut off.
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"j\xc3",
    ];
    let long = [257, 10_000].map(|length| vec![b'x'; length]);
    let texts = texts.into_iter().map(str::as_bytes).chain(bytes);
    texts.map(<[u8]>::to_vec).chain(long).collect()
}

/// Accounts in which every name that a line can hold leads to alice's uid.
fn accounts(sandbox: &Sandbox, names: &[Vec<u8>]) -> PathBuf {
    let mut text = Vec::new();
    for name in names.iter().filter(|name| !name.contains(&b'\n')) {
        text.extend(name);
        text.extend(format!(":{PASSWORD_HASH}:2001:2001::/:/bin/sh\n").bytes());
    }
    text.extend(format!("alice:{PASSWORD_HASH}:2001:2001::/:/bin/sh\n").bytes());
    let path = sandbox.path("../passwd");
    fs::write(&path, text).expect("write the accounts");
    path
}

/// Every file and directory of ours, with its mode and content.
fn files(sandbox: &Sandbox) -> BTreeMap<PathBuf, (u32, Option<Vec<u8>>)> {
    let mut files = BTreeMap::new();
    let mut folders = vec![sandbox.root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("list a folder") {
            let path = entry.expect("an entry").path();
            let kind = fs::symlink_metadata(&path).expect("look at a file");
            let content = kind
                .is_file()
                .then(|| fs::read(&path).expect("read a file"));
            if kind.is_dir() {
                folders.push(path.clone());
            }
            files.insert(path, (kind.permissions().mode(), content));
        }
    }
    files
}

/// One line about nobody, in which nothing of the name stands.
#[track_caller]
fn assert_unnamed(sandbox: &Sandbox, before: usize) {
    let lines = of_module(&sandbox.log().split_off(before));
    let missed = "pam_mfa(test:auth): missed user=(unknown) reason=unknown-user rhost= tty=";
    let thrice = "unknown-user,unknown-user,unknown-user";
    let refused = format!("pam_mfa(test:auth): refused user=(unknown) reason={thrice} rhost= tty=");
    assert_eq!(lines, [missed, missed, &refused]);
}

#[test]
fn a_hostile_name_is_refused_with_the_words_for_anybody_whoever_it_leads_to() {
    let (sandbox, alice) = Sandbox::with_alice();
    let usual = sandbox.login("bob", &["123456"; 3]).shown();
    let names = hostile();
    let accounts = accounts(&sandbox, &names);
    let accounts = accounts.to_str().expect("a path in UTF-8");
    let before = files(&sandbox);
    // Alice's own right codes do not help.
    let answers = [&alice.code(0), &alice.backup_codes[0], &alice.code(1)];
    let answers = answers.map(|answer| &**answer);
    for name in &names {
        let name = OsStr::from_bytes(name);
        let client = || sandbox.client(name);
        for client in [
            client().env("NSS_WRAPPER_PASSWD", accounts),
            client().real_accounts(),
        ] {
            let lines = sandbox.log().len();
            let outcome = client.login(&answers);
            assert_eq!(
                (outcome.code, &*outcome.shown()),
                (pam::AUTH_ERR, &*usual),
                "{name:?}"
            );
            assert!(outcome.delay_usec.is_some());
            assert_unnamed(&sandbox, lines);
        }
    }
    assert!(before == files(&sandbox), "something was made");
    // The accounts are those that they are meant to be.
    let client = sandbox.client("alice").env("NSS_WRAPPER_PASSWD", accounts);
    assert!(client.login(&[&alice.code(0)]).granted());
}

#[test]
fn a_name_of_the_greatest_length_works() {
    let (sandbox, _) = Sandbox::with_alice();
    let name = "x".repeat(256);
    let [enrolled] = sandbox.enroll_cheaply(&name, 2001, NOW);
    let accounts = accounts(&sandbox, &[name.clone().into_bytes()]);
    let accounts = accounts.to_str().expect("a path in UTF-8");
    let client = sandbox.client(&name).env("NSS_WRAPPER_PASSWD", accounts);
    assert!(client.login(&[&enrolled.code(0)]).granted());
}

fn admin(sandbox: &Sandbox, accounts: &Path, words: &[&str], name: &OsStr) -> Finished {
    let mut command = sandbox.admin_command(words);
    command
        .arg("--")
        .arg(name)
        .env("NSS_WRAPPER_PASSWD", accounts);
    run(&mut command, "")
}

const ENROLL: [&str; 4] = ["enroll", "--no-verify", "--yes", "--json"];

/// All that take a name.
const COMMANDS: [&[&str]; 6] = [
    &ENROLL,
    &["enroll", "--replace", "--no-verify", "--yes", "--json"],
    &["regenerate", "--yes", "--json"],
    &["disable", "--yes"],
    &["unlock"],
    &["status"],
];

/// Nothing of it moves a cursor, or looks like a line of ours.
#[track_caller]
fn assert_tame(text: &str) {
    let wild = |c: char| c.is_control() && c != '\n' || INVISIBLE.contains(&c);
    assert!(!text.contains(wild), "{text:?}");
}

/// They turn the direction of writing, end a line, or are not seen.
const INVISIBLE: [char; 8] = [
    '\u{202e}', '\u{2066}', '\u{2028}', '\u{2029}', '\u{200b}', '\u{200f}', '\u{feff}', '\u{ad}',
];

#[test]
fn no_command_takes_a_hostile_name_whoever_it_leads_to() {
    let (sandbox, _) = Sandbox::with_alice();
    let names = hostile();
    let accounts = accounts(&sandbox, &names);
    let before = files(&sandbox);
    for name in &names {
        let name = OsStr::from_bytes(name);
        for words in COMMANDS {
            let done = admin(&sandbox, &accounts, words, name);
            // What is not UTF-8 is a wrong command line.
            let code = if name.to_str().is_some() { 1 } else { 2 };
            assert_eq!(
                (done.code(), &*done.stdout),
                (code, ""),
                "{words:?} {name:?}: {done:?}"
            );
            assert_tame(&done.stderr);
            if code == 1 {
                assert!(
                    done.stderr.starts_with("mfa-admin: there is no user "),
                    "{done:?}"
                );
                assert_eq!(done.stderr.lines().count(), 1, "{done:?}");
            }
        }
    }
    assert!(before == files(&sandbox), "something was made");
}

/// Names that some name service has, as the log and as `list` and `status` show them.
const ODD: [[&str; 3]; 16] = [
    ["DOMAIN\\user", "DOMAIN\\x5cuser", "'DOMAIN\\user'"],
    ["user@domain", "user@domain", "user@domain"],
    ["Anna Lena", "Anna\\x20Lena", "'Anna Lena'"],
    ["jürgen", "jürgen", "jürgen"],
    ["ALICE", "ALICE", "ALICE"],
    ["日本", "日本", "日本"],
    ["host$", "host$", "'host$'"],
    ["-x", "-x", "-x"],
    ["--json", "--json", "--json"],
    ["a=b", "a\\x3db", "'a=b'"],
    ["o'neil", "o'neil", "'o'\\''neil'"],
    ["a\"b", "a\\x22b", "'a\"b'"],
    ["%s%n", "%s%n", "'%s%n'"],
    ["$(id)", "$(id)", "'$(id)'"],
    ["2001", "2001", "2001"],
    ["a rhost=x", "a\\x20rhost\\x3dx", "'a rhost=x'"],
];

fn enrolled(json: &str) -> Enrolled {
    serde_json::from_str(json).expect("the JSON of enroll")
}

#[test]
fn an_odd_name_that_the_name_service_knows_works_from_enroll_to_disable() {
    let (sandbox, alice) = Sandbox::with_alice();
    for ([name, in_log, shown], uid) in ODD.into_iter().zip(3001..) {
        sandbox.add_account(name, uid);
        let on = |words: &[&str]| {
            let done = sandbox.admin(&[words, &["--", name]].concat());
            assert_tame(&format!("{}{}", done.stdout, done.stderr));
            done
        };
        let user = enrolled(&on(&ENROLL).ok().stdout);
        let outcome = sandbox.login(name, &[&user.code(0)]);
        assert!(outcome.granted(), "{name}: {outcome:#?}");
        let line = sandbox.decisions().pop().expect("a line");
        let text = format!("granted user={in_log} method=totp device=phone rhost= tty=");
        assert!(line.ends_with(&text), "{line}");
        assert!(!sandbox.login(name, &[&alice.code(0)]).granted());
        let status = on(&["status"]).ok().stdout;
        assert!(
            status.starts_with(&format!("{shown} (uid {uid})\n")),
            "{status}"
        );
        let list = sandbox.admin(&["list"]).ok().stdout;
        assert!(
            list.lines()
                .any(|line| line.starts_with(&format!("{shown} "))),
            "{list}"
        );
        let record = sandbox.path(&format!("var/lib/pam_mfa/users/{uid}.toml"));
        assert!(record.exists());
        on(&["disable", "--yes"]).ok();
        assert!(!record.exists());
        let outcome = sandbox.login(name, &[user.code(1).as_str(); 3]);
        assert_eq!((outcome.code, outcome.prompts.len()), (pam::AUTH_ERR, 3));
    }
    // None of them was anybody else's.
    assert!(sandbox.login("alice", &[&alice.code(0)]).granted());
}

#[test]
fn no_name_of_a_file_comes_from_a_name_of_a_user() {
    let sandbox = Sandbox::new();
    sandbox.at(NOW);
    for ([name, ..], uid) in ODD.into_iter().zip(3001..) {
        sandbox.add_account(name, uid);
        let [user] = sandbox.enroll_cheaply(name, uid, NOW);
        assert!(sandbox.login(name, &[&user.code(0)]).granted(), "{name}");
    }
    let is_ours = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    for path in files(&sandbox).into_keys() {
        let name = path.file_name().and_then(OsStr::to_str).expect("a name");
        assert!(name.chars().all(is_ours), "{path:?}");
    }
}

#[test]
fn names_with_one_uid_meet_in_one_record() {
    let (sandbox, alice) = Sandbox::with_alice();
    let names = ["ALICE", "DOMAIN\\alice", "alice@domain", "Alice Smith"];
    for name in names {
        sandbox.add_account(name, 2001);
    }
    let used = |outcome: Outcome| outcome.errors[0].contains("already used");
    for (name, step) in names.into_iter().zip(-1..) {
        let code = &alice.code(step);
        // The window is one step either side.
        let sandbox = sandbox.at(NOW.saturating_add_signed(30 * step));
        assert!(sandbox.login(name, &[code]).granted(), "{name}");
        for other in names.into_iter().chain(["alice"]) {
            assert!(used(sandbox.login(other, &[code])), "{other}");
        }
        let said = sandbox
            .admin(&[&ENROLL[..], &[name]].concat())
            .failed()
            .stderr;
        assert!(said.contains("already enrolled"), "{said}");
        let status = sandbox.admin(&["status", name]).ok().stdout;
        assert!(status.starts_with("alice (uid 2001)"), "{status}");
    }
    let list = sandbox.admin(&["list"]).ok().stdout;
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(sandbox.login(names[0], &[&alice.backup_codes[0]]).granted());
    assert!(used(sandbox.login("alice", &[&alice.backup_codes[0]])));
    sandbox.admin(&["disable", names[1], "--yes"]).ok();
    assert!(!sandbox.login("alice", &[&alice.backup_codes[1]]).granted());
}

/// Nobody has these names now, or not with this uid.
#[test]
fn a_hostile_name_in_a_record_is_shown_tame_and_can_be_removed() {
    let names = ["\u{1b}[2Jroot", "a\nb", "../x", "a\u{202e}b", "a\u{2028}b"];
    for name in names {
        let (sandbox, _) = Sandbox::with_alice();
        if !name.contains(['/', '\n']) {
            sandbox.add_account(name, 3001);
        }
        let [user] = sandbox.enroll_cheaply(name, 2002, NOW);
        let outcome = sandbox.client("bob").login(&[&user.code(0)]);
        assert_eq!(
            (outcome.code, outcome.prompts.len()),
            (pam::AUTHINFO_UNAVAIL, 0)
        );
        let line = sandbox.decisions().pop().expect("a line");
        let list = sandbox.admin(&["list"]).failed().stdout;
        let status = sandbox.admin(&["status", "bob"]).failed().stderr;
        for text in [line, list, status] {
            assert_tame(&text);
            assert!(text.contains("mfa-admin disable --uid 2002"), "{text}");
        }
        sandbox.admin(&["disable", "--uid", "2002", "--yes"]).ok();
        sandbox.admin(&["list"]).ok();
    }
}

/// The name service knows them, so they work; but nobody is to be deceived by how they look.
#[test]
fn list_and_status_show_characters_of_a_name_that_cannot_be_seen() {
    let sandbox = Sandbox::new();
    sandbox.at(NOW);
    for (hidden, uid) in INVISIBLE.into_iter().zip(3001..) {
        let name = &format!("al{hidden}ice");
        sandbox.add_account(name, uid);
        let [user] = sandbox.enroll_cheaply(name, uid, NOW);
        assert!(sandbox.login(name, &[&user.code(0)]).granted(), "{name:?}");
        let shown = format!("al{}ice", hidden.escape_unicode());
        for words in [&["status", name][..], &["list"]] {
            let text = sandbox.admin(words).ok().stdout;
            assert!(text.contains(&shown), "{text}");
            assert_tame(&text);
        }
    }
}
