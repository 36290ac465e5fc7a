//! Whoever does what the line says gets alice in again: with a backup, and without one.

use std::{fs, path::Path, process::Command};

use mfa_tests::{command::run, enrolled::NOW, need_root, pam, sandbox::Sandbox};

use crate::{
    place::Place,
    scene::{Hostile, Scene},
    thing::{COMMON, FLAWS, ROOTS, Repair, Thing},
};

fn called(things: &'static [Thing], name: &str) -> &'static Thing {
    let found = things.iter().find(|thing| thing.name == name);
    found.expect("a thing of this name")
}

/// A FIFO in place of one of ours, as an example of all that is to be moved away.
fn fifo(place: Place) -> Hostile {
    Hostile::new(called(&COMMON, "a FIFO"), place)
}

/// What the log says about a login that could not be decided.
#[track_caller]
fn told(scene: &Scene, words: &[&str]) -> String {
    told_of("alice", scene, words)
}

#[track_caller]
fn told_of(user: &str, scene: &Scene, words: &[&str]) -> String {
    scene.assert_fault(user, words);
    scene.sandbox.log().pop().expect("a line")
}

/// Enrolls alice, who then gets in.
#[track_caller]
fn enroll_anew(sandbox: &Sandbox) {
    let alice = sandbox.enroll("alice");
    let outcome = sandbox.login("alice", &[&alice.code(0)]);
    assert!(outcome.granted(), "{outcome:#?}");
}

fn remove(path: &Path) {
    fs::remove_file(path).expect("remove a file");
}

/// Runs what stands in the line after "then: ".
fn obey(thing: &Thing) {
    for place in Place::ALL.into_iter().filter(|place| (thing.fits)(*place)) {
        let hostile = Hostile::new(thing, place);
        let line = told_of(place.met_by(), &hostile.scene, &["then: "]);
        let command = line.rsplit("then: ").next().expect("a command");
        let command = command.strip_suffix('"').expect("the end of the line");
        run(Command::new("sh").args(["-c", command]), "").ok();
        hostile.scene.assert_lets_in();
    }
}

#[test]
fn the_named_chmod_is_the_repair() {
    let things = FLAWS.iter().filter(|thing| thing.repair == Repair::Chmod);
    things.for_each(obey);
}

#[test]
fn the_named_chown_is_the_repair() {
    need_root!();
    obey(called(&ROOTS, "a foreign owner"));
}

#[test]
fn what_is_moved_away_and_brought_back_from_a_backup_works_again() {
    for place in Place::ALL {
        let Hostile { scene, path, .. } = fifo(place);
        remove(&path);
        fs::rename(scene.away(), path).expect("bring ours back");
        scene.assert_lets_in();
    }
}

#[test]
fn without_a_backup_the_configuration_and_the_twins_are_not_missed() {
    for place in [Place::Config, Place::Run, Place::RunState, Place::Twin] {
        let Hostile { scene, path, .. } = fifo(place);
        remove(&path);
        scene.assert_lets_in();
    }
}

#[test]
fn without_a_backup_of_the_state_regenerate_is_named_and_is_the_repair() {
    for place in [Place::States, Place::State, Place::Block] {
        let Hostile { scene, path, .. } = fifo(place);
        remove(&path);
        let outcome = scene
            .sandbox
            .login("alice", &[&scene.alice.backup_codes[0]]);
        assert!(!outcome.granted());
        let log = scene.sandbox.log().join("\n");
        assert!(log.contains("mfa-admin regenerate"), "{log}");
        scene
            .sandbox
            .admin(&["regenerate", "alice", "--yes", "--json"])
            .ok();
        let outcome = scene
            .sandbox
            .at(NOW + 60)
            .login("alice", &[&scene.alice.code(2)]);
        assert!(outcome.granted(), "{outcome:#?}");
    }
}

#[test]
fn without_a_backup_of_a_record_enroll_is_named_and_is_the_repair() {
    let Hostile { scene, path, .. } = fifo(Place::Record);
    remove(&path);
    told(&scene, &["is missing", "mfa-admin enroll"]);
    enroll_anew(&scene.sandbox);
}

#[test]
fn without_a_backup_of_the_mark_a_new_store_keeps_the_records() {
    let Hostile { scene, path, .. } = fifo(Place::Mark);
    remove(&path);
    told_of("bob", &scene, &["no store", "mfa-admin init --new-store"]);
    scene.sandbox.admin(&["init", "--new-store"]).ok();
    scene.assert_lets_in();
}

#[test]
fn without_a_backup_of_the_store_a_new_one_begins_empty() {
    for (place, then) in [
        (Place::Users, pam::AUTHINFO_UNAVAIL),
        (Place::Data, pam::AUTH_ERR),
    ] {
        let Hostile { scene, path, .. } = fifo(place);
        remove(&path);
        told(&scene, &["no store", "mfa-admin init --new-store"]);
        scene.sandbox.admin(&["init", "--new-store"]).ok();
        // Where her state is left, the record is known to be lost.
        let outcome = scene
            .sandbox
            .login("alice", &[scene.alice.code(0).as_str(); 3]);
        assert_eq!(outcome.code, then, "{outcome:#?}");
        enroll_anew(&scene.sandbox);
    }
}

/// The records go, too: nobody can read them.
fn begin_anew_without_key(scene: &Scene) {
    let said = scene.sandbox.admin(&["init"]).failed().stderr;
    scene.assert_says(&said, &["remove them", "run mfa-admin init"]);
    remove(&scene.path(Place::Record));
    scene.sandbox.admin(&["init"]).ok();
    told(scene, &["is missing", "mfa-admin enroll"]);
    enroll_anew(&scene.sandbox);
}

#[test]
fn without_a_backup_of_the_key_everybody_is_enrolled_anew() {
    for place in [Place::Key, Place::Etc] {
        let Hostile { scene, path, .. } = fifo(place);
        remove(&path);
        told(&scene, &["there is no key", "mfa-admin init"]);
        begin_anew_without_key(&scene);
    }
}

#[test]
fn a_damaged_key_without_a_backup_is_removed() {
    let scene = Scene::new();
    fs::write(scene.path(Place::Key), "junk").expect("spoil the key");
    told(
        &scene,
        &[
            "is not a key",
            "remove them and this file, then run mfa-admin init",
        ],
    );
    remove(&scene.path(Place::Key));
    begin_anew_without_key(&scene);
}

#[test]
fn a_damaged_mark_without_a_backup_is_made_anew() {
    let scene = Scene::new();
    fs::write(scene.path(Place::Mark), "junk").expect("spoil the mark");
    told_of(
        "bob",
        &scene,
        &["remove this file and make it anew with: mfa-admin init --new-store"],
    );
    remove(&scene.path(Place::Mark));
    scene.sandbox.admin(&["init", "--new-store"]).ok();
    scene.assert_lets_in();
}

#[test]
fn a_damaged_record_without_a_backup_is_disabled_and_enrolled_anew() {
    let scene = Scene::new();
    fs::write(scene.path(Place::Record), "junk").expect("spoil the record");
    told(
        &scene,
        &["remove it (mfa-admin disable) and make a new one (mfa-admin enroll)"],
    );
    let said = scene
        .sandbox
        .admin(&["enroll", "alice", "--no-verify", "--yes"])
        .failed();
    scene.assert_says(&said.stderr, &["mfa-admin disable"]);
    scene.sandbox.admin(&["disable", "alice", "--yes"]).ok();
    enroll_anew(&scene.sandbox);
}

/// Where the mark is lost as well, `disable` finds no store: "remove it" is meant as it is said.
#[test]
fn a_damaged_record_in_a_store_without_a_mark_is_removed_by_hand() {
    let scene = Scene::new();
    fs::write(scene.path(Place::Record), "junk").expect("spoil the record");
    remove(&scene.path(Place::Mark));
    let said = scene
        .sandbox
        .admin(&["init", "--new-store"])
        .failed()
        .stderr;
    scene.assert_says(&said, &["2001.toml is damaged", "remove it"]);
    remove(&scene.path(Place::Record));
    scene.sandbox.admin(&["init", "--new-store"]).ok();
    enroll_anew(&scene.sandbox);
}

const OTHER_KEY: [&str; 2] = ["another key", "Bring back the key"];

#[test]
fn the_key_that_is_brought_back_is_the_repair() {
    let (scene, other) = (Scene::new(), Sandbox::new());
    let key = scene.path(Place::Key);
    fs::rename(&key, scene.away()).expect("keep the key");
    fs::copy(Place::Key.path(&other), &key).expect("copy a key");
    told(&scene, &OTHER_KEY);
    fs::rename(scene.away(), key).expect("bring the key back");
    scene.assert_lets_in();
}

#[test]
fn where_the_other_key_is_gone_the_store_is_made_anew() {
    let (scene, other) = (Scene::new(), Sandbox::new());
    fs::copy(Place::Key.path(&other), scene.path(Place::Key)).expect("copy a key");
    told(
        &scene,
        &["remove them and this file, then run mfa-admin init --new-store"],
    );
    remove(&scene.path(Place::Mark));
    // Not before the records are gone.
    let said = scene
        .sandbox
        .admin(&["init", "--new-store"])
        .failed()
        .stderr;
    scene.assert_says(
        &said,
        &["2001.toml was made under another key", "remove it"],
    );
    remove(&scene.path(Place::Record));
    scene.sandbox.admin(&["init", "--new-store"]).ok();
    told(&scene, &["is missing", "mfa-admin enroll"]);
    enroll_anew(&scene.sandbox);
}

#[test]
fn one_record_under_another_key_is_disabled_and_enrolled_anew() {
    let (scene, foreign) = (Scene::new(), Sandbox::new());
    let [_] = foreign.enroll_cheaply("alice", 2001, NOW);
    fs::copy(Place::Record.path(&foreign), scene.path(Place::Record)).expect("copy a record");
    let words = [OTHER_KEY[0], OTHER_KEY[1], "remove it (mfa-admin disable)"];
    told(&scene, &words);
    scene.sandbox.admin(&["disable", "alice", "--yes"]).ok();
    enroll_anew(&scene.sandbox);
}
