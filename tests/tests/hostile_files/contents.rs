//! Files of ours with something else in them.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
};

use mfa_core::block::{self, State};
use mfa_tests::{command::run, enrolled::NOW, need, pam, trace::under};

use crate::{
    place::Place,
    scene::{Hostile, Scene},
    thing::FLAWS,
};

/// Stands in junk, and may stand in no line about it.
const CANARY: &str = "canary-in-a-coal-mine";

/// What a text of ours can become.
fn spoiled(text: &[u8]) -> Vec<Vec<u8>> {
    let cut = |part: usize| text[..text.len() * part / 7].to_vec();
    vec![
        Vec::new(),
        vec![0],
        vec![0; text.len()],
        b"\n".to_vec(),
        CANARY.into(),
        format!("{CANARY} = \"{CANARY}\"\n").into(),
        b"\xff\xfe\x80".to_vec(),
        text[1..].to_vec(),
        text[..text.len() - 1].to_vec(),
        cut(1),
        cut(3),
        cut(5),
        [text, b"\n"].concat(),
        [text, &[0]].concat(),
        text.to_ascii_uppercase(),
        [&text[..text.len() / 2], &[0], &text[text.len() / 2 + 1..]].concat(),
    ]
}

/// Every way in which a file can be spoiled is refused with these words after its path.
fn assert_spoiled(place: Place, code: i32, words: &[&str]) {
    let scene = Scene::new();
    let path = scene.path(place);
    let text = fs::read(&path).expect("read a file of ours");
    let name = path.display().to_string();
    let words = [&[&*name], words].concat();
    let mut spoiled = spoiled(&text);
    if place == Place::Key {
        // Whoever types the key may leave blanks around it.
        spoiled.retain(|junk| junk.trim_ascii() != text.trim_ascii());
    }
    for junk in spoiled {
        println!("{place:?}: {:?}", String::from_utf8_lossy(&junk));
        fs::write(&path, junk).expect("spoil a file of ours");
        scene.assert_refused(place.met_by(), code, &words);
        let line = scene.sandbox.log().pop().expect("a line");
        assert!(!line.contains(CANARY), "{line}");
        let done = scene.sandbox.admin(&["status", "alice"]);
        assert_eq!(
            (done.code(), done.stderr.lines().count()),
            (1, 1),
            "{done:?}"
        );
        scene.assert_says(&done.stderr, &words);
        assert!(!done.stderr.contains(CANARY), "{done:?}");
    }
    fs::write(&path, text).expect("mend it");
    scene.assert_lets_in();
}

#[test]
fn a_key_with_anything_else_in_it_is_refused() {
    assert_spoiled(Place::Key, pam::AUTHINFO_UNAVAIL, &[" from a backup"]);
}

#[test]
fn a_mark_with_anything_else_in_it_is_refused() {
    let words = [
        " is damaged",
        "backup",
        "remove this file",
        "init --new-store",
    ];
    assert_spoiled(Place::Mark, pam::AUTHINFO_UNAVAIL, &words);
}

#[test]
fn a_record_with_anything_else_in_it_is_refused() {
    let words = [
        " is damaged",
        "backup",
        "mfa-admin disable",
        "mfa-admin enroll",
    ];
    assert_spoiled(Place::Record, pam::AUTHINFO_UNAVAIL, &words);
}

#[test]
fn a_configuration_that_is_junk_is_refused_with_the_line() {
    let scene = Scene::new();
    let path = scene.path(Place::Config);
    for (junk, what) in [
        (&b"\0"[..], "line 1"),
        (b"# nothing\ntries = 3\0\n", "line 2"),
        (b"tries = 3\nsuspend_af", "line 2"),
        (b"tries = ", "line 1"),
        (b"tries = 3\ntries = 4\n", "line 2"),
        (b"tries = -1\n", "line 1"),
        (b"# \xff\n", "line 1: the file is not UTF-8 text"),
    ] {
        fs::write(&path, junk).expect("spoil the configuration");
        let words = [format!("{}: {what}", path.display())];
        scene.assert_refused("alice", pam::SERVICE_ERR, &words);
        let done = scene.sandbox.admin(&["status", "alice"]);
        assert_eq!(
            (done.code(), done.stderr.lines().count()),
            (1, 1),
            "{done:?}"
        );
        scene.assert_says(&done.stderr, &words);
    }
    fs::write(&path, "").expect("empty the configuration");
    scene.assert_lets_in();
}

/// With no valid slot nothing is known of what was used. That takes three codes in a row, and never
/// a backup code.
fn counts_as_lost(place: Place) {
    let scene = Scene::new();
    let path = scene.path(place);
    let own = fs::read(&path).expect("read the block");
    let [_] = scene.sandbox.enroll_cheaply("bob", 2002, NOW);
    let bobs = fs::read_dir(scene.sandbox.path("var/lib/pam_mfa/state/2002"));
    let bobs = bobs.expect("list bob's state").next().expect("a block");
    let bobs = fs::read(bobs.expect("a block").path()).expect("read bob's block");
    let mut blocks = spoiled(&own[..512]);
    // These have a valid slot in the right place, or none at all.
    blocks.retain(|block| !block.starts_with(&own[..512]));
    blocks.extend([bobs, vec![0; own.len()], vec![0xff; own.len()]]);
    let state = scene.path(Place::State).display().to_string();
    let words = [&*state, "mfa-admin regenerate"];
    for block in blocks {
        fs::write(&path, block).expect("spoil the block");
        let before = scene.sandbox.log().len();
        let answers = scene.answers();
        let outcome = scene
            .sandbox
            .login("alice", &answers.each_ref().map(|a| &**a));
        assert!(!outcome.granted(), "{outcome:#?}");
        assert!(
            outcome.prompts[0].starts_with("3 codes in a row"),
            "{outcome:#?}"
        );
        let lines = scene.sandbox.log().split_off(before);
        scene.assert_says(&lines.join("\n"), &words);
    }
    scene
        .sandbox
        .admin(&["regenerate", "alice", "--yes", "--json"])
        .ok();
    let later = NOW + 60;
    let outcome = scene
        .sandbox
        .at(later)
        .login("alice", &[&scene.alice.code(2)]);
    assert!(outcome.granted(), "{outcome:#?}");
}

#[test]
fn a_block_with_anything_else_in_it_counts_as_lost() {
    counts_as_lost(Place::Block);
}

/// It may have been all that knew of a use.
#[test]
fn a_twin_with_anything_else_in_it_counts_as_lost() {
    counts_as_lost(Place::Twin);
}

/// The block's tests of mfa-core flip one bit; these flip every one.
#[test]
fn a_bit_flipped_anywhere_in_a_slot_is_noticed_and_leaves_the_other() {
    let older = State::new([1; 16], Some([2; 16]));
    let mut newer = older.clone();
    newer.sequence = 1;
    let mut block = block::fresh(&older);
    block[4096..].copy_from_slice(&newer.encode());
    for bit in 0..8 * block.len() {
        block[bit / 8] ^= 1 << (bit % 8);
        let left = match bit / 8 {
            ..4096 => &newer,
            _ => &older,
        };
        let newest = block::newest(&block, &[1; 16]).map(|(state, _)| state);
        assert_eq!(newest.as_ref(), Some(left), "bit {bit}");
        block[bit / 8] ^= 1 << (bit % 8);
    }
}

/// See lost_state.rs for what comes of one torn slot, and of two.
#[test]
fn one_torn_slot_of_a_block_takes_one_code() {
    for torn in [0, 4096] {
        let scene = Scene::new();
        // Each login writes the older slot: after two of them both were written.
        for step in [-1, 0] {
            assert!(
                scene
                    .sandbox
                    .login("alice", &[&scene.alice.code(step)])
                    .granted()
            );
        }
        let block = File::options().write(true).open(scene.path(Place::Block));
        let block = block.expect("open the block");
        block
            .write_all_at(b"torn", torn + 256)
            .expect("tear a slot");
        let outcome = scene.sandbox.login("alice", &[&scene.alice.code(1)]);
        assert!(outcome.granted(), "{torn}: {outcome:#?}");
        assert_eq!(outcome.prompts.len(), 1, "{torn}");
    }
}

/// All that a process reads, in bytes. Not by file: strace may not look into an `mfa-admin` that keeps
/// its secrets out of core dumps.
fn bytes_read(log: &Path) -> u64 {
    let log = fs::read_to_string(log).expect("the log of strace");
    assert!(
        !log.contains(", 1073741824, "),
        "a gigabyte is mapped: {log}"
    );
    let reads = log.lines().filter(|line| line.contains("read"));
    reads
        .filter_map(|call| call.rsplit("= ").next()?.parse::<u64>().ok())
        .sum()
}

#[test]
fn a_file_of_a_gigabyte_is_not_read() {
    const MOST: u64 = 1 << 20;
    need!("/usr/bin/strace");
    let gigabyte = FLAWS.iter().find(|thing| thing.name == "a gigabyte");
    for place in Place::FILES {
        let hostile = Hostile::new(gigabyte.expect("a gigabyte"), place);
        let sandbox = &hostile.scene.sandbox;
        let log = sandbox.path("strace");
        let log_name = log.to_str().expect("a path in UTF-8");
        let trace = "trace=read,pread64,readv,preadv,mmap";
        let strace = ["strace", "-f", "-qq", "-o", log_name, "-e", trace];
        let user = place.met_by();
        let outcome = sandbox.client(user).under(&strace).login(&[]);
        assert_eq!(outcome.code, pam::AUTHINFO_UNAVAIL);
        let read = bytes_read(&log);
        assert!((1..MOST).contains(&read), "{read}");
        let mut status = under(&strace, &sandbox.admin_command(&["status", "alice"]));
        run(&mut status, "").failed();
        let read = bytes_read(&log);
        assert!((1..MOST).contains(&read), "{read}");
    }
}
