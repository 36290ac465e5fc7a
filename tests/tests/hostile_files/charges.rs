//! The names of charges, and names that are none of ours: whatever bears them, it is never opened.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
};

use mfa_tests::{enrolled::NOW, need_root};

use crate::{
    place::Place,
    scene::Scene,
    thing::{COMMON, ROOTS, Repair, Thing},
};

const TODAY: u64 = NOW / 86_400;

/// Makes it the charges of ten days, so that a single code is not enough.
fn charge(scene: &Scene, thing: &Thing) {
    for day in TODAY - 9..=TODAY {
        let name = scene.path(Place::State).join(format!("guess-{day}"));
        (thing.make)(&name, &scene.away());
    }
}

/// It counts, it is not followed, and a login brings its codes in a row all the same.
fn charges_count(things: &[Thing]) {
    let things = things.iter();
    for thing in things.filter(|thing| thing.repair == Repair::MoveAway) {
        println!("{}", thing.name);
        let scene = Scene::new();
        charge(&scene, thing);
        let outcome = scene.sandbox.login("alice", &[&scene.alice.wrong_code()]);
        assert!(
            outcome.prompts[0].starts_with("2 codes in a row"),
            "{outcome:#?}"
        );
        let row = [0, 1].map(|step| scene.alice.code(step)).join(" ");
        assert!(scene.sandbox.login("alice", &[&row]).granted());
        let path = scene.path(Place::State).join(format!("guess-{TODAY}"));
        assert!(fs::symlink_metadata(&path).is_ok());
        unlock(&scene, &path);
        let later = scene.sandbox.at(NOW + 60);
        let outcome = later.login("alice", &[&scene.alice.code(2)]);
        assert!(outcome.granted(), "{outcome:#?}");
        assert_eq!(outcome.prompts.len(), 1);
    }
}

/// Removes them; a directory it names, with the repair.
fn unlock(scene: &Scene, path: &std::path::Path) {
    let done = scene.sandbox.admin(&["unlock", "alice"]);
    if fs::symlink_metadata(path).is_ok_and(|there| there.is_dir()) {
        let state = scene.path(Place::State).display().to_string();
        scene.assert_says(
            &done.failed().stderr,
            &[&*state, "guess-", "is a directory", "move it away"],
        );
        for day in TODAY - 9..=TODAY {
            fs::remove_dir(path.with_file_name(format!("guess-{day}"))).expect("move it away");
        }
        scene.sandbox.admin(&["unlock", "alice"]).ok();
    } else {
        done.ok();
    }
    assert!(fs::symlink_metadata(path).is_err());
}

#[test]
fn whatever_bears_the_name_of_a_charge_counts_as_one() {
    charges_count(&COMMON);
}

#[test]
fn a_device_that_bears_the_name_of_a_charge_counts_as_one() {
    need_root!();
    charges_count(&ROOTS);
}

#[test]
fn nothing_behind_a_link_is_touched() {
    let scene = Scene::new();
    let (there, nowhere) = (scene.sandbox.path("there"), scene.sandbox.path("nowhere"));
    fs::write(&there, "as it was").expect("write a file");
    for (name, target) in [
        ("guess-1", &there),
        ("guess-2", &nowhere),
        ("new-1", &there),
    ] {
        let link = scene.path(Place::State).join(name);
        symlink(target, link).expect("make a link");
    }
    let today = scene
        .path(Place::State)
        .join(format!("guess-{}", TODAY - 9));
    symlink(&nowhere, today).expect("make a link");
    assert!(
        !scene
            .sandbox
            .login("alice", &[&scene.alice.wrong_code()])
            .granted()
    );
    scene.assert_lets_in();
    for command in ["unlock", "status"] {
        scene.sandbox.admin(&[command, "alice"]).ok();
    }
    scene.sandbox.admin(&["disable", "alice", "--yes"]).ok();
    assert_eq!(fs::read_to_string(there).expect("read it"), "as it was");
    assert!(!nowhere.exists() && !scene.path(Place::State).exists());
}

#[test]
fn names_that_are_none_of_ours_harm_nobody_and_go_with_the_user() {
    let scene = Scene::new();
    let long = "x".repeat(255);
    for name in [
        "guess-",
        "pair-1",
        "guess-1\n2",
        "guess-\u{1b}[2J",
        "new-",
        "block-",
        "x y",
        &long,
    ] {
        fs::write(scene.path(Place::State).join(name), "junk").expect("make a file");
    }
    scene.assert_lets_in();
    scene.sandbox.admin(&["status", "alice"]).ok();
    scene.sandbox.admin(&["disable", "alice", "--yes"]).ok();
    assert!(!scene.path(Place::State).exists());
}

#[test]
fn what_disable_cannot_remove_is_named_with_the_repair() {
    let scene = Scene::new();
    let state = scene.path(Place::State);
    let odd = state.join(OsStr::from_bytes(b"\xff"));
    fs::write(&odd, "").expect("make a file");
    let done = scene.sandbox.admin(&["disable", "alice", "--yes"]).ok();
    assert!(!scene.path(Place::Record).exists());
    let words = [
        format!("{} has something in it", state.display()),
        "move it away".to_owned(),
    ];
    scene.assert_says(&done.stderr, &words);
    fs::rename(state, scene.away()).expect("move it away");
    scene.sandbox.enroll("alice");
    scene.sandbox.admin(&["disable", "alice", "--yes"]).ok();
}

#[test]
fn what_lies_where_a_new_record_is_written_is_removed_or_named() {
    for thing in &COMMON {
        println!("{}", thing.name);
        let scene = Scene::new();
        let new = scene.path(Place::Record).with_file_name(".2001.toml");
        (thing.make)(&new, &scene.away());
        let regenerate = ["regenerate", "alice", "--yes", "--json"];
        let done = scene.sandbox.admin(&regenerate);
        if done.code() == 1 {
            let words = [
                format!("{} is a directory", new.display()),
                "move it away".to_owned(),
            ];
            scene.assert_says(&done.stderr, &words);
            fs::remove_dir(&new).expect("move it away");
            scene.sandbox.admin(&regenerate).ok();
        }
        scene.assert_lets_in();
    }
}

#[test]
fn what_is_no_record_of_ours_hides_nobody() {
    let scene = Scene::new();
    let users = scene.path(Place::Users);
    for name in [
        "x.toml",
        "02001.toml",
        "-1.toml",
        "4294967296.toml",
        "2001.toml~",
        ".9.toml",
    ] {
        fs::write(users.join(name), "junk").expect("make a file");
    }
    let fifo = COMMON
        .iter()
        .find(|thing| thing.name == "a FIFO")
        .expect("a FIFO");
    (fifo.make)(&users.join("9999.toml"), &scene.away());
    scene.assert_lets_in();
    let done = scene.sandbox.admin(&["list"]).failed();
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(
        lines[1].starts_with("alice ") && lines[2].starts_with("uid 9999: "),
        "{lines:#?}"
    );
    scene.assert_says(lines[2], &["9999.toml is not a regular file"]);
}
