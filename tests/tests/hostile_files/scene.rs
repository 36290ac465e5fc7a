//! A store in which every file and directory of ours is there, and what must come of it when one
//! of them is hostile.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
};

use mfa_tests::{enrolled::Enrolled, pam, sandbox::Sandbox};

use crate::{place::Place, thing::Thing};

pub const OUT_OF_ORDER: &str = "The verification code cannot be checked now. The administrator finds the reason in the system log.\n";

pub struct Scene {
    pub sandbox: Sandbox,
    pub alice: Enrolled,
    /// What stands in our files.
    content: Vec<String>,
}

impl Scene {
    /// With a configuration and with twins in `/run`, too.
    pub fn new() -> Scene {
        let (sandbox, alice) = Sandbox::with_alice();
        sandbox.write("etc/pam_mfa/config.toml", "tries = 3\n");
        let run = Place::RunState.path(&sandbox);
        let mut private = DirBuilder::new();
        private.mode(0o700).recursive(true);
        private.create(run).expect("make the directories in /run");
        let (block, twin) = (Place::Block.path(&sandbox), Place::Twin.path(&sandbox));
        fs::copy(block, twin).expect("make a twin");
        let mut scene = Scene {
            sandbox,
            alice,
            content: Vec::new(),
        };
        for place in [Place::Key, Place::Mark, Place::Record] {
            let text = fs::read_to_string(scene.path(place)).expect("read a file of ours");
            let words = text.split(|c: char| !c.is_alphanumeric());
            // The id of a record is in the name of its block.
            let block = scene.path(Place::Block).display().to_string();
            let long = words.filter(|word| word.len() >= 8 && !block.ends_with(word));
            scene.content.extend(long.map(str::to_owned));
        }
        scene
    }

    pub fn path(&self, place: Place) -> PathBuf {
        place.path(&self.sandbox)
    }

    /// Where lies what was replaced.
    pub fn away(&self) -> PathBuf {
        self.sandbox.path("away")
    }

    /// A right code, and a right backup code: whoever asked would let in.
    pub fn answers(&self) -> [String; 2] {
        [self.alice.code(0), self.alice.backup_codes[0].clone()]
    }

    /// Refused without a prompt; one line, which holds these words and nothing of our files.
    #[track_caller]
    pub fn assert_refused(&self, user: &str, code: i32, words: &[impl AsRef<str>]) {
        let before = self.sandbox.log().len();
        let answers = self.answers();
        let outcome = self.sandbox.login(user, &answers.each_ref().map(|a| &**a));
        assert_eq!((outcome.code, &*outcome.shown()), (code, OUT_OF_ORDER));
        assert_eq!((outcome.setcred, &*outcome.stderr), (None, ""));
        let lines = self.sandbox.log().split_off(before);
        assert_eq!(lines.len(), 1, "{lines:#?}");
        self.assert_says(&lines[0], words);
    }

    /// A line of the log or of a command.
    #[track_caller]
    pub fn assert_says(&self, line: &str, words: &[impl AsRef<str>]) {
        for word in words.iter().map(AsRef::as_ref) {
            assert!(line.contains(word), "no {word:?} in {line}");
        }
        let told = self.content.iter().find(|word| line.contains(&***word));
        assert_eq!(told, None, "{line}");
    }

    /// The same, of a fault of the store.
    #[track_caller]
    pub fn assert_fault(&self, user: &str, words: &[impl AsRef<str>]) {
        self.assert_refused(user, pam::AUTHINFO_UNAVAIL, words);
    }

    #[track_caller]
    pub fn assert_lets_in(&self) {
        let outcome = self.sandbox.login("alice", &[&self.alice.code(0)]);
        assert!(outcome.granted(), "{outcome:#?} {:#?}", self.sandbox.log());
    }
}

/// A scene with something hostile in it.
pub struct Hostile {
    pub scene: Scene,
    /// Where it is.
    pub path: PathBuf,
    /// What every line about it must say: the file, what is wrong with it, the repair.
    pub words: Vec<String>,
}

impl Hostile {
    pub fn new(thing: &Thing, place: Place) -> Hostile {
        println!("{} in place of {place:?}", thing.name);
        let scene = Scene::new();
        let path = scene.path(place);
        thing.put(&path, &scene.away());
        let words = match (thing.name, place) {
            // Behind a link to nowhere there is no mark: something may not be mounted.
            ("a link to nowhere", Place::Data | Place::Users) => [
                format!("no store ({})", scene.path(Place::Mark).display()),
                "init --new-store".to_owned(),
            ],
            _ => [
                format!("{} {}", path.display(), thing.what(place)),
                thing.repair_of(place, &path),
            ],
        };
        Hostile {
            scene,
            path,
            words: words.into(),
        }
    }
}
