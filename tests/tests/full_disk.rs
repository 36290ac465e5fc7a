//! The disk of the state is full, has no inodes left, or is read-only, and so may be `/run`: right codes
//! are let in once, what cannot be recorded is refused, and nothing is lost.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use mfa_tests::{
    command::{Finished, run},
    enrolled::{Enrolled, NOW, REPLACE, STEP},
    full_disk::{empty, unmount, with_own_mounts},
    need_root,
    outcome::Outcome,
    pam,
    sandbox::Sandbox,
};
use nix::mount::{MsFlags, mount};

const ONE: &str = "Verification code or backup code: ";
const NEXT: &str = "Codes in a row are needed. Type the next code as soon as it changes: ";
const USED: &str = "This code was already used. Wait for the next one.";
const UNRECORDABLE: &str =
    "The disk cannot be written, so a backup code cannot be used up. Type a verification code.";
const OUT_OF_ORDER: &str = "The verification code cannot be checked now. The administrator finds the reason in the system log.";

/// What is wrong with a file system.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    /// No bytes are left. Empty files can still be made, and files overwritten.
    Full,
    /// No inodes are left. Files can still be overwritten.
    NoInodes,
    /// Neither.
    FullToTheBrim,
    /// Nothing can be written.
    ReadOnly,
}

use Trouble::{Full, FullToTheBrim, NoInodes, ReadOnly};

const TROUBLES: [Trouble; 4] = [Full, NoInodes, FullToTheBrim, ReadOnly];

impl Trouble {
    fn befall(self, disk: &Path) {
        if matches!(self, Full | FullToTheBrim) {
            let mut file = File::create(disk.join("filler")).expect("create the filler");
            while file.write_all(&[b'x'; 512]).is_ok() {}
        }
        if matches!(self, NoInodes | FullToTheBrim) {
            let file = |n| File::create(disk.join(format!("filler-{n}"))).ok();
            let inodes = (0..).map_while(file).count();
            assert!(inodes < 200, "the file system has no limit");
        }
        if self == ReadOnly {
            remount(disk, MsFlags::MS_RDONLY);
        }
    }

    fn end(self, disk: &Path) {
        match self {
            ReadOnly => remount(disk, MsFlags::empty()),
            _ => empty(disk),
        }
    }

    /// What the system calls it.
    fn words(self) -> &'static str {
        match self {
            ReadOnly => "Read-only file system",
            _ => "No space left on device",
        }
    }
}

fn remount(disk: &Path, flags: MsFlags) {
    let flags = flags | MsFlags::MS_REMOUNT;
    mount(None::<&str>, disk, None::<&str>, flags, None::<&str>).expect("remount the disk");
}

fn resize(disk: &Path, size: &str) {
    let options = format!("size={size}");
    let options = Some(&*options);
    mount(
        None::<&str>,
        disk,
        None::<&str>,
        MsFlags::MS_REMOUNT,
        options,
    )
    .expect("resize the disk");
}

/// Alice in a sandbox whose store lies on a disk of 16 KiB, and whose `/run` is one as well.
struct Small {
    sandbox: Sandbox,
    alice: Enrolled,
    disk: PathBuf,
    run: PathBuf,
}

/// Plays on small disks that nobody else sees.
fn on_small_disks(play: impl FnOnce(&Small) + Send) {
    let (sandbox, alice) = Sandbox::with_alice();
    let small = Small {
        disk: sandbox.path("var/lib/pam_mfa"),
        run: sandbox.path("run"),
        sandbox,
        alice,
    };
    with_own_mounts(|| {
        let saved = small.sandbox.path("saved");
        let copy = |from: &Path, to: &Path| {
            let words = [&from.join("."), to];
            run(Command::new("cp").arg("-a").args(words), "").ok();
        };
        fs::create_dir(&saved).expect("make a directory");
        copy(&small.disk, &saved);
        for disk in [&small.disk, &small.run] {
            let options = Some("size=16k,nr_inodes=150,mode=700");
            mount(
                Some("small"),
                disk,
                Some("tmpfs"),
                MsFlags::empty(),
                options,
            )
            .expect("mount a tmpfs");
        }
        copy(&saved, &small.disk);
        play(&small);
        unmount(&small.disk);
        unmount(&small.run);
    });
}

/// A disk in trouble, and then not any more.
fn in_each_trouble(play: impl Fn(&Small, Trouble) + Sync) {
    for trouble in TROUBLES {
        on_small_disks(|small| {
            trouble.befall(&small.disk);
            play(small, trouble);
        });
    }
}

impl Small {
    /// What no login changes, and how long the blocks are.
    fn contents(&self) -> (BTreeMap<PathBuf, Vec<u8>>, Vec<u64>) {
        let files = |folder: &str| -> Vec<PathBuf> {
            let entries = fs::read_dir(self.disk.join(folder)).expect("list the store");
            entries
                .map(|entry| entry.expect("an entry").path())
                .collect()
        };
        let records = files("users").into_iter();
        let records = records.map(|path| (path.clone(), fs::read(path).expect("read a record")));
        let is_block = |path: &PathBuf| path.to_string_lossy().contains("/block-");
        let blocks = files("state/2001").into_iter().filter(is_block);
        let lengths = blocks.map(|block| fs::metadata(block).expect("a block").len());
        (records.collect(), lengths.collect())
    }

    fn login(&self, answers: &[&str]) -> Outcome {
        self.sandbox.login("alice", answers)
    }

    fn last_line(&self) -> String {
        self.sandbox.decisions().pop().expect("a line")
    }

    #[track_caller]
    fn assert_granted(&self, answers: &[&str], prompts: &[&str]) {
        let outcome = self.login(answers);
        let lines = self.sandbox.decisions();
        assert!(outcome.granted(), "{outcome:#?} {lines:#?}");
        assert_eq!(outcome.prompts, prompts);
    }

    #[track_caller]
    fn assert_unavailable(&self, answers: &[&str], told: &str) {
        let outcome = self.login(answers);
        assert_eq!(outcome.code, pam::AUTHINFO_UNAVAIL, "{outcome:#?}");
        assert_eq!(outcome.errors.last().map(String::as_str), Some(told));
    }

    /// The next code, a step later.
    fn one_step_on(&self) -> &Self {
        self.sandbox.at(NOW + STEP);
        self
    }
}

/// A code that a run ends with is one that was used already.
#[track_caller]
fn assert_used(small: &Small, codes: &[String; 2], trouble: Trouble) {
    for answers in [&[&*codes[1]][..], &[&codes[0], &codes[1]]] {
        let outcome = small.login(answers);
        assert!(!outcome.granted(), "{trouble:?} {outcome:#?}");
    }
}

#[test]
fn right_codes_are_let_in_and_are_good_once() {
    need_root!();
    in_each_trouble(|small, trouble| {
        let before = small.contents();
        let codes = [small.alice.code(-1), small.alice.code(0)];
        let warned = match trouble {
            // An empty file can be made.
            Full => {
                small.assert_granted(&[&codes[1]], &[ONE]);
                false
            }
            // A single guess cannot be charged, so a second code is asked for.
            _ => {
                small.assert_granted(&[&codes[0], &codes[1]], &[ONE, NEXT]);
                trouble == ReadOnly
            }
        };
        let line = small.last_line();
        if warned {
            assert!(line.contains("granted user=alice"), "{line}");
            let warning = format!("warning=\"cannot open {}", small.disk.display());
            assert!(
                line.contains(&warning) && line.contains(trouble.words()),
                "{line}"
            );
        }
        assert_used(small, &codes, trouble);
        assert_eq!(small.contents(), before);
        trouble.end(&small.disk);
        assert_used(small, &codes, trouble);
        assert_eq!(small.login(&[&codes[1]]).errors, [USED]);
        // With room again everything is as it was.
        small.one_step_on();
        small.assert_granted(&[&small.alice.code(1)], &[ONE]);
        small.assert_granted(&[&small.alice.backup_codes[0]], &[ONE]);
        assert_eq!(small.contents(), before);
    });
}

#[test]
fn backup_codes_are_let_in_if_their_use_can_be_recorded() {
    need_root!();
    in_each_trouble(|small, trouble| {
        let before = small.contents();
        let [first, second, ..] = &small.alice.backup_codes[..] else {
            panic!("ten codes");
        };
        if trouble == ReadOnly {
            small.assert_unavailable(&[first, second, first], UNRECORDABLE);
            let line = small.last_line();
            let reason = "reason=backup-code-unrecordable,backup-code-unrecordable,backup-code-unrecordable ";
            assert!(line.contains(reason), "{line}");
            assert!(line.contains(trouble.words()), "{line}");
        } else {
            small.assert_granted(&[first], &[ONE]);
            let told = "This backup code was already used. Take another one.";
            assert_eq!(small.login(&[first]).errors, [told], "{trouble:?}");
            small.assert_granted(&[second], &[ONE]);
        }
        assert_eq!(small.contents(), before);
        trouble.end(&small.disk);
        let left = if trouble == ReadOnly { 8 } else { 6 };
        for code in &small.alice.backup_codes[..2] {
            assert_eq!(small.login(&[code]).granted(), trouble == ReadOnly);
        }
        small.assert_granted(&[&small.alice.backup_codes[2]], &[ONE]);
        let outcome = small.login(&[&small.alice.backup_codes[3]]);
        let left = left - if trouble == ReadOnly { 2 } else { 0 };
        assert_eq!(outcome.infos[0], format!("{left} backup codes are left."));
    });
}

#[test]
fn guesses_are_counted_however_full_the_disk_is() {
    need_root!();
    in_each_trouble(|small, trouble| {
        // One after the other, so that the same is never typed twice in a row.
        let wrong = ["000000", "111111"].repeat(30);
        let (mut single, mut pairs, mut typed) = (0, 0, 0);
        for _ in 0..70 {
            let outcome = small.login(&wrong[..9]);
            for event in &outcome.events {
                match event {
                    mfa_tests::protocol::Event::Prompt { .. } => typed += 1,
                    mfa_tests::protocol::Event::Error { .. } => {
                        single += usize::from(typed == 1);
                        pairs += usize::from(typed == 2);
                        typed = 0;
                    }
                    _ => {}
                }
            }
            typed = 0;
            if single + pairs > 120 {
                break;
            }
        }
        // In `/run` only today's pairs are free.
        let free = match trouble {
            Full => (10, 100),
            _ => (0, 10),
        };
        assert_eq!((single, pairs), free, "{trouble:?}");
        // The owner gets in all the same.
        let row = [-1, 0, 1].map(|step| small.alice.code(step)).concat();
        let outcome = small.login(&[&row]);
        assert!(outcome.granted(), "{trouble:?} {outcome:#?}");
    });
}

#[test]
fn with_neither_disk_nor_run_nobody_is_let_in() {
    need_root!();
    for trouble in [Full, NoInodes, FullToTheBrim, ReadOnly] {
        on_small_disks(|small| {
            let before = small.contents();
            ReadOnly.befall(&small.disk);
            trouble.befall(&small.run);
            let row = [-1, 0, 1].map(|step| small.alice.code(step));
            let row = row.each_ref().map(|code| &**code);
            small.assert_unavailable(&row, OUT_OF_ORDER);
            let line = small.last_line();
            let lines = small.sandbox.decisions();
            let named = format!("{}/pam_mfa", small.run.display());
            let refused = |line: &&String| line.contains("refused user=alice reason=fault");
            let refused = lines.iter().find(refused).unwrap_or(&line);
            assert!(
                refused.contains("error=\"cannot ") && refused.contains(&named),
                "{trouble:?} {lines:#?}"
            );
            assert!(refused.contains(trouble.words()), "{trouble:?} {refused}");
            small.assert_unavailable(&[&*small.alice.backup_codes[0]; 3], UNRECORDABLE);
            // Nothing of it was used up.
            trouble.end(&small.run);
            ReadOnly.end(&small.disk);
            assert_eq!(small.contents(), before);
            small.assert_granted(&[row[1]], &[ONE]);
            small.assert_granted(&[&small.alice.backup_codes[0]], &[ONE]);
        });
    }
}

/// A disk that fails may take the block with it.
#[test]
fn who_lost_his_block_gets_in_with_codes_in_a_row_and_each_works_once() {
    need_root!();
    for trouble in TROUBLES {
        on_small_disks(|small| {
            let state = small.disk.join("state/2001");
            for entry in fs::read_dir(&state).expect("list the state") {
                fs::remove_file(entry.expect("an entry").path()).expect("remove a block");
            }
            trouble.befall(&small.disk);
            let row = |last: i64| [last - 2, last - 1, last].map(|step| small.alice.code(step));
            let [first, second, third] = row(1);
            assert!(small.login(&[&first, &second, &third]).granted());
            assert!(small.last_line().contains(trouble.words()));
            assert!(!small.login(&[&first, &second, &third]).granted());
            trouble.end(&small.disk);
            assert!(!small.login(&[&first, &second, &third]).granted());
            small.sandbox.at(NOW + 3 * STEP);
            let [first, second, third] = row(4);
            assert!(small.login(&[&first, &second, &third]).granted());
            small.sandbox.at(NOW + 4 * STEP);
            small.assert_granted(&[&small.alice.code(5)], &[ONE]);
        });
    }
}

#[test]
fn a_full_run_is_no_obstacle_as_long_as_the_disk_takes_the_use() {
    need_root!();
    for trouble in [Full, FullToTheBrim, ReadOnly] {
        on_small_disks(|small| {
            trouble.befall(&small.run);
            Full.befall(&small.disk);
            small.assert_granted(&[&small.alice.code(0)], &[ONE]);
            assert_eq!(small.login(&[&small.alice.code(0)]).errors, [USED]);
            small.assert_granted(&[&small.alice.backup_codes[0]], &[ONE]);
        });
    }
}

#[test]
fn where_no_charge_can_be_kept_three_codes_are_asked_for() {
    need_root!();
    for trouble in TROUBLES {
        // The block of the store can be overwritten, and nothing else can be written.
        on_small_disks(|small| {
            NoInodes.befall(&small.disk);
            trouble.befall(&small.run);
            if trouble == Full {
                // Of empty files that one could take some.
                NoInodes.befall(&small.run);
            }
            let row = [-1, 0, 1].map(|step| small.alice.code(step));
            let row = row.each_ref().map(|code| &**code);
            small.assert_granted(&row, &[ONE, NEXT, NEXT]);
            let caution = |line: &String| line.contains("caution user=alice warning=\"cannot ");
            assert!(small.sandbox.decisions().iter().any(caution), "{trouble:?}");
            assert!(!small.login(&row).granted(), "{trouble:?}");
            small.assert_granted(&[&small.alice.backup_codes[0]], &[ONE]);
        });
    }
}

/// Every code that alice had is good.
#[track_caller]
fn assert_nothing_lost(small: &Small, what: &str) {
    let outcome = small.login(&[&small.alice.code(0)]);
    assert!(
        outcome.granted(),
        "{what}: {outcome:#?} {:#?}",
        small.sandbox.decisions()
    );
    for code in &small.alice.backup_codes {
        assert!(small.login(&[code]).granted(), "{what}");
    }
}

/// A command that failed: its error names the problem and the file.
#[track_caller]
fn assert_named(ended: Finished, small: &Small, trouble: Trouble) {
    let ended = ended.failed();
    assert!(
        ended.stderr.contains(trouble.words()),
        "{trouble:?} {ended:?}"
    );
    assert!(
        ended.stderr.contains(&*small.disk.to_string_lossy()),
        "{ended:?}"
    );
    assert_eq!(ended.stdout, "", "{trouble:?}");
}

const COMMANDS: [&[&str]; 3] = [
    &["regenerate", "alice", "--json"],
    REPLACE,
    &["enroll", "bob", "--no-verify", "--yes", "--json"],
];

#[test]
fn commands_that_find_no_room_name_the_problem_and_lose_nothing() {
    need_root!();
    for command in COMMANDS {
        in_each_trouble(|small, trouble| {
            let before = small.contents();
            assert_named(small.sandbox.admin(command), small, trouble);
            assert_eq!(small.contents(), before, "{trouble:?} {command:?}");
            let states = fs::read_dir(small.disk.join("state")).expect("list the state");
            assert_eq!(states.count(), 1, "{trouble:?} {command:?}");
            trouble.end(&small.disk);
            assert_nothing_lost(small, &format!("{trouble:?} {command:?}"));
            // And now there is room.
            resize(&small.disk, "64k");
            small.sandbox.admin(command).ok();
        });
    }
}

/// The new block still fits, the new record does not.
#[test]
fn commands_that_run_out_of_room_half_way_leave_nothing_behind() {
    need_root!();
    for command in COMMANDS {
        on_small_disks(|small| {
            let before = small.contents();
            resize(&small.disk, "24k");
            assert_named(small.sandbox.admin(command), small, Full);
            assert_eq!(small.contents(), before, "{command:?}");
            assert_nothing_lost(small, &format!("{command:?}"));
            let left: Vec<_> = ["state", "state/2001"]
                .into_iter()
                .flat_map(|folder| fs::read_dir(small.disk.join(folder)).expect("list the state"))
                .map(|entry| entry.expect("an entry").path())
                .collect();
            // The directory of her state, and her block.
            assert_eq!(left.len(), 2, "{command:?} leaves {left:?}");
        });
    }
}

#[test]
fn disabling_and_unlocking_need_no_room() {
    need_root!();
    in_each_trouble(|small, trouble| {
        let (unlock, disable) = (&["unlock", "alice"], &["disable", "alice", "--yes"]);
        if trouble == ReadOnly {
            assert_named(small.sandbox.admin(unlock), small, trouble);
            assert_named(small.sandbox.admin(disable), small, trouble);
            trouble.end(&small.disk);
            assert_nothing_lost(small, "disable");
            return;
        }
        small.sandbox.admin(unlock).ok();
        small.assert_granted(&[&small.alice.backup_codes[0]], &[ONE]);
        small.sandbox.admin(disable).ok();
        let outcome = small.login(&[&small.alice.code(0)]);
        assert_eq!(outcome.code, pam::AUTH_ERR, "{trouble:?}");
        assert!(small.last_line().contains("reason=not-enrolled,"));
        assert_eq!(
            fs::read_dir(small.disk.join("state"))
                .expect("list the state")
                .count(),
            0
        );
    });
}
