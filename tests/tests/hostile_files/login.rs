//! Through the real libpam.

use std::fs;

use mfa_tests::need_root;

use crate::{
    place::Place,
    scene::{Hostile, Scene},
    thing::{COMMON, FLAWS, ROOTS, Thing},
};

#[test]
fn a_store_in_which_nothing_is_hostile_lets_alice_in() {
    Scene::new().assert_lets_in();
}

#[test]
fn anything_else_in_place_of_a_file_or_directory_of_ours_is_refused_at_once() {
    everywhere(&COMMON);
}

#[test]
fn a_file_or_directory_that_is_not_as_we_made_it_is_refused_at_once() {
    everywhere(&FLAWS);
}

#[test]
fn devices_and_foreign_owners_are_refused_at_once() {
    need_root!();
    everywhere(&ROOTS);
}

/// Where the kernel lets him, anybody can give a second name to a file of root's that he can see.
#[test]
fn a_second_name_of_a_file_stops_nobody() {
    let scene = Scene::new();
    for place in Place::FILES {
        let second = scene.sandbox.path(&format!("{place:?}"));
        fs::hard_link(place.path(&scene.sandbox), second).expect("link");
    }
    scene.assert_lets_in();
}

fn everywhere(things: &[Thing]) {
    for thing in things {
        let places = Place::ALL.into_iter().filter(|place| (thing.fits)(*place));
        places.for_each(|place| at(thing, place));
    }
}

/// Alice is refused, unless her record is all that it takes; bob, who is not enrolled, if nothing can be known
/// of him.
fn at(thing: &Thing, place: Place) {
    let Hostile { scene, path, words } = Hostile::new(thing, place);
    match place.met_by() {
        "alice" => scene.assert_fault("alice", &words),
        _ => scene.assert_lets_in(),
    }
    if place.is_everybodys() {
        scene.assert_fault("bob", &words);
    } else {
        let outcome = scene.sandbox.login("bob", &["123456"; 3]);
        assert_eq!(outcome.errors, ["Wrong code."; 3]);
    }
    // Nothing was taken away.
    assert!(fs::symlink_metadata(path).is_ok());
}
