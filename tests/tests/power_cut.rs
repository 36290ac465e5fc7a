//! What is left after a power cut: nothing is said or relied on before the disk has it, and what is
//! only in `/run` is no more than what the design says.

use std::{collections::BTreeSet, fs, path::Path};

use mfa_tests::{
    command::run,
    enrolled::{ENROLL, Enrolled, NOW, REPLACE},
    need,
    outcome::Outcome,
    sandbox::Sandbox,
    trace::under,
};

const USED: &str = "This code was already used. Wait for the next one.";

/// A disk on which nothing is safe before it was synced, fed with what strace saw.
struct Disk<'l> {
    /// Only what lies below these counts: `/run` ends with the power.
    kept: [String; 2],
    /// Files and directories that were changed since they were last synced.
    dirty: BTreeSet<String>,
    /// What happened, in order, with the lines in which it happened.
    events: Vec<(Event, &'l str)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    /// Bytes were written to this file.
    Written(String),
    /// What this file or directory holds is safe.
    Synced(String),
    /// A file got this name. What was not safe yet at that moment, the directory's change included.
    Renamed(String, BTreeSet<String>),
    /// A file of this name is gone. What was not safe yet, as above.
    Removed(String, BTreeSet<String>),
}

/// Not synced, by design: a power cut forgives guesses.
fn is_charge(path: &str) -> bool {
    let name = path.rsplit('/').next();
    name.is_some_and(|name| name.starts_with("guess-") || name.starts_with("pair-"))
}

fn parent(path: &str) -> String {
    path.rsplit_once('/')
        .expect("an absolute path")
        .0
        .to_owned()
}

impl<'l> Disk<'l> {
    /// Plays the calls before the line in which `told` stands.
    fn play(root: &Path, log: &'l str, told: &str) -> Self {
        let mut disk = Self {
            kept: ["etc", "var"].map(|kept| format!("{}/", root.join(kept).display())),
            dirty: BTreeSet::new(),
            events: Vec::new(),
        };
        assert!(log.contains(told), "nothing was said: {log}");
        assert!(!log.contains("unfinished"), "calls at the same time: {log}");
        let lines = log.lines().take_while(|line| !line.contains(told));
        lines.for_each(|line| disk.feed(line));
        assert!(!disk.events.is_empty(), "nothing happened: {log}");
        disk
    }

    fn feed(&mut self, line: &'l str) {
        let Some((name, words)) = line.split_once('(') else {
            return;
        };
        if line.contains(") = -1 ") {
            return;
        }
        // With a process id before it, if there was more than one process.
        let name = name.rsplit(' ').next().expect("a name");
        let handles: Vec<&str> = between(words, '<', '>').collect();
        let names: Vec<&str> = between(words, '"', '"').collect();
        let inside = |place: usize| format!("{}/{}", handles[place], names[place]);
        match name {
            "write" | "pwrite64" => self.written(handles[0].to_owned(), line),
            "fsync" | "fdatasync" => self.synced(handles[0].to_owned(), line),
            "openat" if words.contains("O_CREAT") => self.changed(&inside(0)),
            "mkdirat" => self.changed(&inside(0)),
            "mkdir" => self.changed(names[0]),
            "renameat" | "renameat2" => self.renamed(&inside(0), inside(1), line),
            "unlinkat" => self.removed(inside(0), line),
            "rename" | "unlink" | "writev" | "pwritev" | "ftruncate" | "link" | "linkat" => {
                let ours = names.iter().any(|name| self.is_kept(name));
                assert!(!ours, "not known here: {line}");
            }
            _ => {}
        }
    }

    fn is_kept(&self, path: &str) -> bool {
        self.kept.iter().any(|kept| path.starts_with(kept)) && !is_charge(path)
    }

    fn written(&mut self, path: String, line: &'l str) {
        if self.is_kept(&path) {
            self.dirty.insert(path.clone());
            self.events.push((Event::Written(path), line));
        }
    }

    fn synced(&mut self, path: String, line: &'l str) {
        self.dirty.remove(&path);
        self.events.push((Event::Synced(path), line));
    }

    /// A name came or went.
    fn changed(&mut self, path: &str) {
        if self.is_kept(path) {
            self.dirty.insert(parent(path));
        }
    }

    fn renamed(&mut self, from: &str, to: String, line: &'l str) {
        if !self.is_kept(&to) {
            return;
        }
        assert!(
            !self.dirty.contains(from),
            "renamed before it is safe: {line}"
        );
        self.changed(&to);
        self.events
            .push((Event::Renamed(to, self.dirty.clone()), line));
    }

    fn removed(&mut self, path: String, line: &'l str) {
        if !self.is_kept(&path) {
            return;
        }
        self.dirty.remove(&path);
        self.changed(&path);
        self.events
            .push((Event::Removed(path, self.dirty.clone()), line));
    }

    /// What was not safe when the only event of this kind happened.
    #[track_caller]
    fn unsafe_when(&self, wanted: impl Fn(&Event) -> bool) -> BTreeSet<String> {
        let mut found = self.events.iter().filter(|(event, _)| wanted(event));
        let (event, _) = found.next().expect("it happened");
        assert!(found.next().is_none(), "it happened twice: {event:?}");
        match event {
            Event::Renamed(_, dirty) | Event::Removed(_, dirty) => dirty.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn lines(&self) -> Vec<&str> {
        self.events.iter().map(|(_, line)| *line).collect()
    }
}

/// The texts between each pair of these.
fn between(text: &str, open: char, close: char) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (found, after) = rest.split_once(open)?.1.split_once(close)?;
        rest = after;
        Some(found)
    })
}

/// strace with the paths of open files, into `log`.
fn tracing(log: &Path) -> Vec<String> {
    let log = log.to_str().expect("UTF-8");
    let words = ["strace", "-f", "-y", "-s", "300", "-o", log];
    words.map(str::to_owned).into()
}

/// Where the client tells that PAM gave its verdict.
const VERDICT: &str = r#"\"result\""#;
/// Where a command hands out what is to be enrolled on a phone or kept in a drawer, or ends.
const HANDED_OUT: &str = r#"{\"user\""#;
const ENDED: &str = "exit_group";

/// A login that is let in, and what it did to the disk before it said so.
fn granted(sandbox: &Sandbox, answers: &[&str], check: impl Fn(&Disk)) {
    let log = sandbox.path("strace");
    let words = tracing(&log);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = sandbox.client("alice").under(&words).login(answers);
    assert!(outcome.granted(), "{outcome:#?}");
    let log = fs::read_to_string(log).expect("the log of strace");
    // The log must not say it too early either.
    for told in [VERDICT, "granted user=alice"] {
        let disk = Disk::play(&sandbox.root(), &log, told);
        assert_eq!(disk.dirty, BTreeSet::new(), "{told}: {:#?}", disk.lines());
        check(&disk);
    }
}

fn is_block(path: &str) -> bool {
    path.contains("/state/2001/block-")
}

#[test]
fn a_login_says_yes_after_the_slot_is_written_and_synced() {
    need!("/usr/bin/strace");
    let (sandbox, alice) = Sandbox::with_alice();
    for answer in [&alice.code(-1), &alice.backup_codes[0], &alice.code(0)] {
        granted(&sandbox, &[answer], |disk| {
            let (events, lines): (Vec<_>, Vec<_>) = disk.events.iter().cloned().unzip();
            assert!(
                matches!(&events[..], [Event::Written(written), Event::Synced(synced)]
                    if is_block(written) && written == synced),
                "{lines:#?}"
            );
            assert!(lines[0].contains("pwrite64(") && lines[0].ends_with("= 512"));
            assert!(lines[1].contains("fdatasync(") && lines[1].ends_with("= 0"));
        });
    }
}

#[test]
fn a_login_that_makes_lost_state_anew_says_yes_after_the_disk_has_it() {
    need!("/usr/bin/strace");
    let (sandbox, alice) = Sandbox::with_alice();
    fs::remove_dir_all(sandbox.path("var/lib/pam_mfa/state/2001")).expect("remove the state");
    let row = [-1, 0, 1].map(|step| alice.code(step)).join(" ");
    granted(&sandbox, &[&row], |disk| {
        let settled = |event: &Event| matches!(event, Event::Renamed(to, _) if is_block(to));
        let state = sandbox.path("var/lib/pam_mfa/state/2001");
        let only = BTreeSet::from([state.display().to_string()]);
        assert_eq!(disk.unsafe_when(settled), only, "{:#?}", disk.lines());
    });
}

/// A command of the administrator, and what it did to the disk before `told`.
fn traced(sandbox: &Sandbox, arguments: &[&str], told: &str, check: impl Fn(&Disk)) {
    let log = sandbox.path("strace");
    let words = tracing(&log);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    run(&mut under(&words, &sandbox.admin_command(arguments)), "").ok();
    let log = fs::read_to_string(log).expect("the log of strace");
    let disk = Disk::play(&sandbox.root(), &log, told);
    assert_eq!(
        disk.dirty,
        BTreeSet::new(),
        "{arguments:?}: {:#?}",
        disk.lines()
    );
    check(&disk);
}

/// When the record gets its name, all else that belongs to it is safe, and it has its block.
fn record_is_placed_last(sandbox: &Sandbox, disk: &Disk) {
    let record = sandbox.path("var/lib/pam_mfa/users/2001.toml");
    let record = record.display().to_string();
    let placed = |event: &Event| matches!(event, Event::Renamed(to, _) if *to == record);
    let only = BTreeSet::from([parent(&record)]);
    assert_eq!(disk.unsafe_when(placed), only, "{:#?}", disk.lines());
    let place = |wanted: &dyn Fn(&Event) -> bool| {
        let place = disk.events.iter().position(|(event, _)| wanted(event));
        place.unwrap_or_else(|| panic!("{:#?}", disk.lines()))
    };
    let block_synced =
        place(&|event| matches!(event, Event::Synced(path) if path.contains("/2001/new-")));
    let settled = place(&|event| matches!(event, Event::Renamed(to, _) if is_block(to)));
    let users_synced = disk
        .events
        .iter()
        .rposition(|(event, _)| *event == Event::Synced(parent(&record)));
    let placed = place(&placed);
    assert!(
        block_synced < placed && Some(placed) < users_synced && users_synced < Some(settled),
        "{:#?}",
        disk.lines()
    );
}

#[test]
fn an_enrollment_is_handed_out_after_the_disk_has_it() {
    need!("/usr/bin/strace");
    let sandbox = Sandbox::new();
    for arguments in [ENROLL, REPLACE, &["regenerate", "alice", "--json"]] {
        traced(&sandbox, arguments, HANDED_OUT, |disk| {
            record_is_placed_last(&sandbox, disk);
        });
    }
}

#[test]
fn disable_takes_the_record_away_after_its_block_is_no_sign_of_one() {
    need!("/usr/bin/strace");
    let (sandbox, _) = Sandbox::with_alice();
    traced(&sandbox, &["disable", "alice", "--yes"], ENDED, |disk| {
        let removed = |event: &Event| matches!(event, Event::Removed(path, _) if path.ends_with("/2001.toml"));
        let users = sandbox.path("var/lib/pam_mfa/users").display().to_string();
        let only = BTreeSet::from([users]);
        assert_eq!(disk.unsafe_when(removed), only, "{:#?}", disk.lines());
        let mut events = disk.events.iter();
        let unsettled = events.position(
            |(event, _)| matches!(event, Event::Renamed(to, _) if to.contains("/2001/new-")),
        );
        assert!(unsettled.is_some(), "{:#?}", disk.lines());
        assert!(
            events.any(|(event, _)| removed(event)),
            "{:#?}",
            disk.lines()
        );
    });
}

#[test]
fn init_ends_after_the_disk_has_key_and_store() {
    need!("/usr/bin/strace");
    let sandbox = Sandbox::uninitialized();
    traced(&sandbox, &["init"], ENDED, |disk| {
        let key =
            |event: &Event| matches!(event, Event::Renamed(to, _) if to.ends_with("/pam_mfa/key"));
        let left = disk.unsafe_when(key);
        // A key without a store is an error; a store without a key is begun again.
        assert!(left.iter().all(|path| path.contains("/etc")), "{left:?}");
    });
}

/// A new start of the machine: `/run` is empty.
fn restart(sandbox: &Sandbox) {
    let run = sandbox.path("run");
    fs::remove_dir_all(&run).expect("empty /run");
    fs::create_dir(&run).expect("make /run");
}

/// A login on a disk that cannot be written.
fn on_a_broken_disk(sandbox: &Sandbox, error: &str, code: &str) -> Outcome {
    let inject = format!("inject=pwrite64:error={error}");
    let words = ["strace", "-qq", "-o/dev/null", "-e", &inject];
    sandbox.client("alice").under(&words).login(&[code])
}

#[track_caller]
fn assert_used(outcome: &Outcome) {
    assert!(!outcome.granted(), "{outcome:#?}");
    assert_eq!(outcome.errors, [USED], "{outcome:#?}");
}

#[test]
fn a_code_used_just_before_a_restart_does_not_work_after_it() {
    let (sandbox, alice) = Sandbox::with_alice();
    for code in [&alice.code(0), &alice.backup_codes[0]] {
        assert!(sandbox.login("alice", &[code]).granted());
        restart(&sandbox);
        let outcome = sandbox.login("alice", &[code]);
        assert!(!outcome.granted(), "{outcome:#?}");
        assert!(outcome.errors[0].contains("already used"), "{outcome:#?}");
    }
}

/// Alice with two devices; the first was used while the disk could not be written.
fn used_on_a_broken_disk(error: &str) -> (Sandbox, [Enrolled; 2]) {
    let sandbox = Sandbox::new();
    sandbox.at(NOW);
    let devices: [Enrolled; 2] = sandbox.enroll_cheaply("alice", 2001, NOW);
    let outcome = on_a_broken_disk(&sandbox, error, &devices[0].code(0));
    assert!(outcome.granted(), "{error}: {outcome:#?}");
    let line = sandbox.decisions().pop().expect("a line");
    assert!(line.contains("warning=\"cannot write"), "{line}");
    (sandbox, devices)
}

#[test]
fn a_code_used_on_a_broken_disk_is_used_until_the_restart_whatever_becomes_of_the_disk() {
    need!("/usr/bin/strace");
    for error in ["EROFS", "ENOSPC"] {
        let (sandbox, [first, second]) = used_on_a_broken_disk(error);
        assert!(sandbox.path("run/pam_mfa/2001").exists(), "no twin");
        assert_used(&on_a_broken_disk(&sandbox, error, &first.code(0)));
        assert_used(&sandbox.login("alice", &[&first.code(0)]));
        assert_used(&on_a_broken_disk(&sandbox, error, &first.code(-1)));
        // One more on the broken disk forgets nothing of the one before.
        assert!(on_a_broken_disk(&sandbox, error, &second.code(0)).granted());
        for used in [&first, &second] {
            assert_used(&on_a_broken_disk(&sandbox, error, &used.code(0)));
            assert_used(&sandbox.login("alice", &[&used.code(0)]));
        }
    }
}

/// What is written to the disk that can be written again.
type Mended = fn(&Sandbox, &[Enrolled; 2]);

const MENDED: [Mended; 4] = [
    |sandbox, devices| {
        let newer = devices[0].code(1);
        assert!(sandbox.login("alice", &[&newer]).granted());
        assert_used(&sandbox.login("alice", &[&newer]));
    },
    // Nothing of the first device is newer: all that is known of it was in the twin.
    |sandbox, devices| assert!(sandbox.login("alice", &[&devices[1].code(1)]).granted()),
    |sandbox, devices| {
        let backup_code = &devices[0].backup_codes[0];
        assert!(sandbox.login("alice", &[backup_code]).granted());
    },
    |sandbox, _| {
        sandbox.admin(&["regenerate", "alice", "--json"]).ok();
    },
];

#[test]
fn once_the_disk_was_written_again_a_restart_brings_nothing_back() {
    need!("/usr/bin/strace");
    for (number, mended) in MENDED.into_iter().enumerate() {
        let (sandbox, devices) = used_on_a_broken_disk("EROFS");
        mended(&sandbox, &devices);
        restart(&sandbox);
        println!("mended {number}");
        for step in [-1, 0] {
            assert_used(&sandbox.login("alice", &[&devices[0].code(step)]));
        }
    }
}

#[test]
fn a_backup_code_on_a_broken_disk_is_refused_and_still_good_after_a_restart() {
    need!("/usr/bin/strace");
    let (sandbox, devices) = used_on_a_broken_disk("EROFS");
    let backup_code = &devices[0].backup_codes[0];
    let outcome = on_a_broken_disk(&sandbox, "EROFS", backup_code);
    assert!(!outcome.granted(), "{outcome:#?}");
    restart(&sandbox);
    assert!(sandbox.login("alice", &[backup_code]).granted());
    assert!(!sandbox.login("alice", &[backup_code]).granted());
}
