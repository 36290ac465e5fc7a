//! The store is not mounted, half restored, or another machine's: everybody is refused, nothing is
//! made, and the messages name the repair.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use mfa_tests::{
    enrolled::{ENROLL, Enrolled, REPLACE},
    full_disk::{small_disk, unmount, with_own_mounts},
    need_root, pam,
    sandbox::Sandbox,
};

const DATA: &str = "var/lib/pam_mfa";
const RECORD: &str = "var/lib/pam_mfa/users/2001.toml";
const MARK: &str = "var/lib/pam_mfa/users/.store";
const STATE: &str = "var/lib/pam_mfa/state/2001";
const KEY: &str = "etc/pam_mfa/key";

const NEWCOMER: &[&str] = &["enroll", "bob", "--no-verify", "--yes", "--json"];
const INIT: &[&str] = &["init"];
const REGENERATE: &[&str] = &["regenerate", "alice", "--json"];
const DISABLE: &[&str] = &["disable", "alice", "--yes"];
const UNLOCK: &[&str] = &["unlock", "alice"];
const STATUS: &[&str] = &["status", "alice"];
const LIST: &[&str] = &["list"];

/// All that may not make anything where there is no store.
const COMMANDS: [&[&str]; 9] = [
    ENROLL, REPLACE, NEWCOMER, INIT, REGENERATE, DISABLE, UNLOCK, STATUS, LIST,
];

/// Every file and directory below the root, with its mode and content.
fn tree(sandbox: &Sandbox) -> BTreeMap<PathBuf, (u32, Option<Vec<u8>>)> {
    let mut tree = BTreeMap::new();
    collect(&sandbox.root(), &mut tree);
    tree
}

fn collect(folder: &Path, tree: &mut BTreeMap<PathBuf, (u32, Option<Vec<u8>>)>) {
    for entry in fs::read_dir(folder).expect("list a folder") {
        let path = entry.expect("an entry").path();
        let kind = fs::symlink_metadata(&path).expect("look at a file");
        let content = || fs::read(&path).expect("read a file");
        let mode = kind.permissions().mode();
        tree.insert(path.clone(), (mode, kind.is_file().then(content)));
        if kind.is_dir() {
            collect(&path, tree);
        }
    }
}

/// The command fails, makes nothing, hands nothing out, and says all these words.
#[track_caller]
fn assert_refuses(sandbox: &Sandbox, arguments: &[&str], words: &[&str]) {
    let before = tree(sandbox);
    let finished = sandbox.admin(arguments).failed();
    for word in words {
        let said = &finished.stderr;
        assert!(said.contains(word), "{arguments:?}: no {word:?} in {said}");
    }
    assert_eq!(finished.stdout, "", "{arguments:?}");
    assert!(before == tree(sandbox), "{arguments:?} made something");
}

/// Nobody gets in or is asked anything, nothing is made, and the log says all these words.
#[track_caller]
fn assert_nobody_gets_in(sandbox: &Sandbox, alice: &Enrolled, words: &[&str]) {
    let before = tree(sandbox);
    let row = [-1, 0, 1].map(|step| alice.code(step)).join(" ");
    for (user, answer) in [
        ("alice", &alice.code(0)),
        ("alice", &row),
        ("alice", &alice.backup_codes[0]),
        ("bob", &alice.code(0)),
    ] {
        let outcome = sandbox.login(user, &[answer]);
        assert_eq!(outcome.code, pam::AUTHINFO_UNAVAIL, "{user}: {outcome:#?}");
        assert_eq!(outcome.prompts.len(), 0, "{user}: {outcome:#?}");
        let line = sandbox.decisions().pop().expect("a line");
        for word in words {
            assert!(line.contains(word), "{user}: no {word:?} in {line}");
        }
    }
    assert!(before == tree(sandbox), "a login made something");
}

/// All is as it was: what was used is used, the rest gets in.
#[track_caller]
fn assert_whole(sandbox: &Sandbox, alice: &Enrolled) {
    assert!(!sandbox.login("alice", &[&alice.code(-1)]).granted());
    assert!(sandbox.login("alice", &[&alice.code(0)]).granted());
    let left = sandbox.login("alice", &[&alice.backup_codes[1]]).infos;
    assert_eq!(left, ["8 backup codes are left."]);
}

/// A store in which something was used.
fn used() -> (Sandbox, Enrolled) {
    let (sandbox, alice) = Sandbox::with_alice();
    for answer in [&alice.code(-1), &alice.backup_codes[0]] {
        assert!(sandbox.login("alice", &[answer]).granted());
    }
    (sandbox, alice)
}

/// An empty directory with the mode of a mount point.
fn empty_dir(path: &Path, mode: u32) {
    fs::create_dir(path).expect("make a directory");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("set its mode");
}

/// What is to be seen where a file system is not mounted.
type MountPoint = fn(&Path);

const MOUNT_POINTS: [MountPoint; 4] = [
    |_| {},
    |path| empty_dir(path, 0o700),
    // As `mkdir` makes it.
    |path| empty_dir(path, 0o755),
    |path| {
        empty_dir(path, 0o700);
        empty_dir(&path.join("users"), 0o700);
        empty_dir(&path.join("state"), 0o700);
    },
];

const NO_STORE: [&str; 3] = ["no store", "mounted?", "init --new-store"];

/// Every command and every login while `folder` is not mounted.
fn without(folder: &str, mount_point: impl Fn(&Path)) {
    let (sandbox, alice) = used();
    let (there, away) = (sandbox.path(folder), sandbox.path("away"));
    fs::rename(&there, &away).expect("move it away");
    mount_point(&there);
    let mark = sandbox.path(MARK).display().to_string();
    let words = [&[mark.as_str()], &NO_STORE[..]].concat();
    for arguments in COMMANDS {
        assert_refuses(&sandbox, arguments, &words);
    }
    assert_nobody_gets_in(&sandbox, &alice, &words);
    if there.exists() {
        fs::remove_dir_all(&there).expect("remove the mount point");
    }
    fs::rename(&away, &there).expect("move it back");
    assert_whole(&sandbox, &alice);
}

#[test]
fn while_the_store_is_not_mounted_nothing_is_made() {
    without(DATA, MOUNT_POINTS[0]);
}

#[test]
fn an_empty_mount_point_is_no_empty_store() {
    without(DATA, MOUNT_POINTS[1]);
}

#[test]
fn an_empty_mount_point_that_everybody_may_read_names_the_mount() {
    without(DATA, MOUNT_POINTS[2]);
}

#[test]
fn empty_folders_of_a_store_are_no_store() {
    without(DATA, MOUNT_POINTS[3]);
}

#[test]
fn while_var_is_not_mounted_nothing_is_made() {
    without("var", MOUNT_POINTS[0]);
    without("var", |path| empty_dir(path, 0o755));
    without("var/lib", |path| empty_dir(path, 0o755));
}

#[test]
fn a_file_system_that_was_mounted_over_the_store_hides_it_and_harms_nothing() {
    need_root!();
    with_own_mounts(|| {
        let (sandbox, alice) = used();
        let var = sandbox.path("var");
        small_disk(&var);
        for arguments in COMMANDS {
            assert_refuses(&sandbox, arguments, &NO_STORE);
        }
        assert_nobody_gets_in(&sandbox, &alice, &NO_STORE);
        unmount(&var);
        assert_whole(&sandbox, &alice);
    });
}

#[test]
fn a_new_store_in_place_of_an_unmounted_one_takes_the_word_of_the_administrator() {
    let (sandbox, alice) = used();
    let (there, away) = (sandbox.path(DATA), sandbox.path("away"));
    fs::rename(&there, &away).expect("move it away");
    sandbox.admin(&["init", "--new-store"]).ok();
    // In the new store nobody is enrolled, and that is no way in.
    let outcome = sandbox.login("alice", &[&alice.code(0)]);
    assert_eq!(outcome.code, pam::AUTH_ERR, "{outcome:#?}");
    fs::remove_dir_all(&there).expect("remove the new store");
    fs::rename(&away, &there).expect("move it back");
    assert_whole(&sandbox, &alice);
}

#[test]
fn a_record_that_was_not_restored_beside_its_block_is_a_lost_one() {
    let (sandbox, alice) = used();
    let (record, away) = (sandbox.path(RECORD), sandbox.path("away"));
    fs::rename(&record, &away).expect("move the record away");
    let path = record.display().to_string();
    let words = [
        &*path,
        "is missing",
        "the record was lost",
        "backup",
        "mfa-admin enroll",
        "mfa-admin disable",
    ];
    for arguments in [UNLOCK, STATUS] {
        assert_refuses(&sandbox, arguments, &words);
    }
    let before = tree(&sandbox);
    // The others are listed; that one is missing must be seen, and fails the command.
    let list = sandbox.admin(LIST).failed();
    assert!(list.stdout.contains("the record was lost"), "{list:?}");
    // There are key and store: nothing to be made.
    sandbox.admin(INIT).ok();
    assert!(before == tree(&sandbox), "init or list made something");

    for answer in [&alice.code(0), &alice.backup_codes[1]] {
        let outcome = sandbox.login("alice", &[answer]);
        assert_eq!(outcome.code, pam::AUTHINFO_UNAVAIL, "{outcome:#?}");
        assert_eq!(outcome.prompts.len(), 0);
        let line = sandbox.decisions().pop().expect("a line");
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
    // Who never was enrolled is not lost: he is asked like anybody.
    let outcome = sandbox.login("bob", &[&alice.code(0)]);
    assert_eq!(outcome.code, pam::AUTH_ERR, "{outcome:#?}");
    assert!(before == tree(&sandbox), "a login made something");

    fs::rename(&away, &record).expect("bring the record back");
    assert_whole(&sandbox, &alice);
}

#[test]
fn regenerate_for_a_lost_record_says_that_it_is_lost() {
    let (sandbox, _) = used();
    fs::remove_file(sandbox.path(RECORD)).expect("lose the record");
    let path = sandbox.path(RECORD).display().to_string();
    assert_refuses(
        &sandbox,
        REGENERATE,
        &[&path, "the record was lost", "backup"],
    );
}

#[test]
fn each_repair_of_a_lost_record_works() {
    for repair in [&[ENROLL][..], &[REPLACE], &[DISABLE, ENROLL]] {
        let (sandbox, alice) = used();
        fs::remove_file(sandbox.path(RECORD)).expect("lose the record");
        let mut new = String::new();
        for command in repair {
            new = sandbox.admin(command).ok().stdout;
        }
        let new: Enrolled = serde_json::from_str(&new).expect("the JSON of enroll");
        for old in [&alice.code(0), &alice.backup_codes[1]] {
            assert!(!sandbox.login("alice", &[old]).granted());
        }
        assert!(sandbox.login("alice", &[&new.code(0)]).granted());
        let left = fs::read_dir(sandbox.path(STATE)).expect("the state");
        let blocks = left.filter(|entry| {
            let name = entry.as_ref().expect("an entry").file_name();
            name.to_string_lossy().starts_with("block-")
        });
        assert_eq!(blocks.count(), 1);
    }
}

#[test]
fn an_old_record_beside_a_newer_block_takes_no_code_that_was_used_before() {
    let (sandbox, alice) = used();
    let record = fs::read(sandbox.path(RECORD)).expect("read the record");
    sandbox.admin(REGENERATE).ok();
    // The record comes out of a backup, the state does not.
    fs::write(sandbox.path(RECORD), record).expect("restore the record");
    let row = [-1, 0, 1].map(|step| alice.code(step)).join(" ");
    for refused in [
        &alice.code(0),
        &alice.backup_codes[0],
        &alice.backup_codes[1],
    ] {
        assert!(!sandbox.login("alice", &[refused]).granted());
    }
    let log = sandbox.decisions().join("\n");
    assert!(log.contains("mfa-admin regenerate"), "{log}");
    assert!(sandbox.login("alice", &[&row]).granted());
    assert!(!sandbox.login("alice", &[&row]).granted());
}

#[test]
fn a_store_under_another_key_is_refused_and_names_the_key() {
    let (sandbox, alice) = used();
    let key = fs::read(sandbox.path(KEY)).expect("read the key");
    fs::copy(Sandbox::new().path(KEY), sandbox.path(KEY)).expect("copy a key");
    let mark = sandbox.path(MARK).display().to_string();
    let words = [&*mark, "another key", "Bring back the key"];
    for arguments in COMMANDS {
        assert_refuses(&sandbox, arguments, &words);
    }
    assert_refuses(&sandbox, &["init", "--new-store"], &words);
    assert_nobody_gets_in(&sandbox, &alice, &words);
    fs::write(sandbox.path(KEY), key).expect("bring the key back");
    assert_whole(&sandbox, &alice);
}

#[test]
fn a_record_under_another_key_is_refused_and_names_the_key() {
    let (sandbox, alice) = used();
    // The store of another machine, with one record of ours.
    let other = Sandbox::new();
    other.at(mfa_tests::enrolled::NOW);
    for file in [RECORD, STATE] {
        fs::rename(sandbox.path(file), other.path(file)).expect("move a file");
    }
    let words = ["another key", "Bring back the key"];
    for arguments in [ENROLL, REPLACE, REGENERATE, UNLOCK, STATUS] {
        assert_refuses(&other, arguments, &words);
    }
    let list = other.admin(LIST).failed();
    assert!(list.stdout.contains("another key"), "{list:?}");
    let outcome = other.login("alice", &[&alice.code(0)]);
    assert_eq!(outcome.code, pam::AUTHINFO_UNAVAIL, "{outcome:#?}");
    for file in [RECORD, STATE] {
        fs::rename(other.path(file), sandbox.path(file)).expect("move a file back");
    }
    assert_whole(&sandbox, &alice);
}

#[test]
fn where_etc_was_not_restored_no_key_is_made_over_records() {
    let (sandbox, alice) = used();
    let (etc, away) = (sandbox.path("etc/pam_mfa"), sandbox.path("away"));
    fs::rename(&etc, &away).expect("move the key away");
    let key = sandbox.path(KEY).display().to_string();
    for arguments in [ENROLL, REPLACE, NEWCOMER, INIT, &["init", "--new-store"]] {
        let words = [&*key, "Bring the key back from a backup"];
        assert_refuses(&sandbox, arguments, &words);
    }
    for arguments in [REGENERATE, DISABLE, UNLOCK, STATUS, LIST] {
        assert_refuses(&sandbox, arguments, &[&*key, "no key"]);
    }
    assert_nobody_gets_in(&sandbox, &alice, &[&*key, "no key"]);
    fs::rename(&away, &etc).expect("bring the key back");
    assert_whole(&sandbox, &alice);
}
