//! What `mfa-admin` says about the same: one line that names the file and the repair.

use std::fs;

use mfa_tests::{
    command::Finished,
    enrolled::{NOW, REPLACE},
    need_root, pam,
};

use crate::{
    place::Place,
    scene::Hostile,
    thing::{COMMON, FLAWS, ROOTS, Thing},
};

const STATUS: &[&str] = &["status", "alice"];
const LIST: &[&str] = &["list"];
const UNLOCK: &[&str] = &["unlock", "alice"];
const REGENERATE: &[&str] = &["regenerate", "alice", "--yes", "--json"];
const NEWCOMER: &[&str] = &["enroll", "bob", "--no-verify", "--yes", "--json"];
const DISABLE: &[&str] = &["disable", "alice", "--yes"];

/// Of the things that are told apart in the same place, one that would make somebody wait.
const ONE_OF_EACH: [&str; 3] = ["a FIFO", "writable by the group", "a device without end"];

#[test]
fn every_command_names_whatever_is_in_place_of_ours_and_the_repair() {
    everywhere(&COMMON);
}

#[test]
fn every_command_names_what_is_wrong_with_ours_and_the_repair() {
    everywhere(&FLAWS);
}

#[test]
fn every_command_names_devices_and_foreign_owners_and_the_repair() {
    need_root!();
    everywhere(&ROOTS);
}

fn everywhere(things: &[Thing]) {
    for thing in things {
        let places = Place::ALL.into_iter().filter(|place| (thing.fits)(*place));
        places.for_each(|place| at(thing, place));
    }
}

fn at(thing: &Thing, place: Place) {
    let hostile = Hostile::new(thing, place);
    match place {
        Place::Config => {
            hostile.assert_fails_at_the_end(STATUS);
            hostile.assert_fails_at_the_end(LIST);
            hostile.assert_warns(UNLOCK);
        }
        place => {
            hostile.assert_fails(STATUS);
            match place.is_everybodys() {
                true => hostile.assert_fails(LIST),
                false => hostile.assert_lists(),
            }
            hostile.assert_fails(UNLOCK);
        }
    }
    // These have nothing to do with the configuration, and what is wrong with alice alone they find
    // after they made ten backup codes, which takes its time.
    let is_tried = place.is_everybodys() || ONE_OF_EACH.contains(&thing.name);
    if place != Place::Config && is_tried {
        hostile.assert_fails(REGENERATE);
        hostile.assert_fails(REPLACE);
    }
    if place != Place::Config && place.is_everybodys() {
        hostile.assert_fails(NEWCOMER);
    }
    // Nothing was taken away.
    assert!(fs::symlink_metadata(&hostile.path).is_ok());
    hostile.disable(place);
}

impl Hostile {
    fn run(&self, arguments: &[&str]) -> Finished {
        let done = self.scene.sandbox.admin(arguments);
        // 101 would be a panic.
        assert!(matches!(done.code(), 0 | 1), "{arguments:?} {done:?}");
        done
    }

    #[track_caller]
    fn assert_told(&self, arguments: &[&str], done: &Finished) {
        assert_eq!(done.stdout, "", "{arguments:?}");
        self.assert_named(arguments, done);
    }

    /// In one line.
    #[track_caller]
    fn assert_named(&self, arguments: &[&str], done: &Finished) {
        assert_eq!(done.code(), 1, "{arguments:?}");
        assert!(done.stderr.starts_with("mfa-admin: "), "{}", done.stderr);
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        self.scene.assert_says(&done.stderr, &self.words);
    }

    #[track_caller]
    fn assert_fails(&self, arguments: &[&str]) {
        self.assert_told(arguments, &self.run(arguments));
    }

    /// What is known all the same is told.
    #[track_caller]
    fn assert_fails_at_the_end(&self, arguments: &[&str]) {
        let done = self.run(arguments);
        assert!(done.stdout.contains("alice"), "{arguments:?} {done:?}");
        self.assert_named(arguments, &done);
    }

    /// What can be done all the same is done.
    #[track_caller]
    fn assert_warns(&self, arguments: &[&str]) {
        let done = self.run(arguments).ok();
        self.scene.assert_says(&done.stderr, &self.words);
    }

    /// What is wrong with one user hides no other.
    #[track_caller]
    fn assert_lists(&self) {
        let done = self.run(LIST);
        assert_eq!(done.code(), 1, "{done:?}");
        let lines: Vec<&str> = done.stdout.lines().collect();
        assert!(
            lines.len() == 1 && lines[0].starts_with("uid 2001: "),
            "{done:?}"
        );
        self.scene.assert_says(lines[0], &self.words);
        assert!(done.stderr.contains("cannot be used: 1"), "{done:?}");
    }

    /// Either names it, before or after the record is gone, or removes it: then alice can be enrolled anew.
    #[track_caller]
    fn disable(self, place: Place) {
        let (done, sandbox) = (self.run(DISABLE), &self.scene.sandbox);
        let is_gone = !self.scene.path(Place::Record).exists();
        match (done.code(), place) {
            (0, Place::Config) => return,
            (0, _) if done.stderr.is_empty() => assert!(is_gone && !place.is_everybodys()),
            (1, place) if place.is_everybodys() => return self.assert_told(DISABLE, &done),
            (code, place) => {
                assert_eq!(code == 0, is_gone, "{done:?}");
                // What is in the place of a file can be removed, unless it is a directory.
                let what = if place.is_file() {
                    "is a directory"
                } else {
                    &self.words[0]
                };
                return self
                    .scene
                    .assert_says(&done.stderr, &[what, &self.words[1]]);
            }
        }
        let answers = self.scene.answers();
        let outcome = sandbox.login("alice", &answers.each_ref().map(|a| &**a));
        assert_eq!((outcome.code, outcome.prompts.len()), (pam::AUTH_ERR, 3));
        let [alice] = sandbox.enroll_cheaply("alice", 2001, NOW);
        assert!(sandbox.login("alice", &[&alice.code(0)]).granted());
    }
}
