//! Every system call of a login fails once, and is once the last: nobody gets in unspent, nothing is
//! lost, nothing stale stops anybody.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use mfa_tests::{
    client::Client,
    enrolled::{Enrolled, NOW, STEP},
    need, pam,
    sandbox::Sandbox,
    trace::{self, Call, changes_something},
};
use nix::{
    sys::{
        signal::Signal,
        wait::{WaitStatus, waitpid},
    },
    unistd::Pid,
};

const ERRORS: [&str; 9] = [
    "EIO", "ENOSPC", "EDQUOT", "EROFS", "EMFILE", "EACCES", "ENOMEM", "EINTR", "EFBIG",
];

/// Those of a disk that cannot be written.
const OF_THE_DISK: [&str; 4] = ["EIO", "ENOSPC", "EDQUOT", "EROFS"];

/// Other calls are not stopped at, which takes half the time. (A signal would not be sent then.)
const FAST: [&str; 2] = ["-qq", "--seccomp-bpf"];

/// Where the client tells that PAM gave its verdict.
const VERDICT: &str = r#"\"result\""#;

const STATE: &str = "var/lib/pam_mfa/state/2001";
const RUN: &str = "run/pam_mfa/2001";

/// A kind of login.
struct Kind {
    /// What comes before it.
    before: fn(&Sandbox),
    /// What was used before.
    used: fn(&Enrolled) -> Option<String>,
    /// Whether nothing is known of what was used.
    lost: bool,
    /// What is typed.
    answer: fn(&Enrolled) -> String,
    /// What strace does to the disk all the time.
    disk: Option<(&'static str, &'static str)>,
    /// Whether its use may be in `/run` alone, where the disk cannot be written.
    may_be_in_run: bool,
}

const BY_CODE: Kind = Kind {
    before: |_| {},
    used: |_| None,
    lost: false,
    answer: |alice| alice.code(0),
    disk: None,
    may_be_in_run: true,
};

const BY_BACKUP_CODE: Kind = Kind {
    answer: |alice| alice.backup_codes[0].clone(),
    may_be_in_run: false,
    ..BY_CODE
};

const FAILED: Kind = Kind {
    answer: Enrolled::wrong_code,
    ..BY_CODE
};

const BESIDE_A_TWIN: Kind = Kind {
    before: leave_a_twin,
    used: |alice| Some(alice.code(-1)),
    ..BY_CODE
};

const ON_A_FULL_DISK: Kind = Kind {
    disk: Some(("pwrite64", "error=ENOSPC")),
    ..BY_CODE
};

const WITHOUT_STATE: Kind = Kind {
    before: |sandbox| fs::remove_dir_all(sandbox.path(STATE)).expect("remove the state"),
    lost: true,
    answer: |alice| row(alice, [-2, -1, 0]),
    ..BY_CODE
};

fn row(alice: &Enrolled, steps: [i64; 3]) -> String {
    steps.map(|step| alice.code(step)).join(" ")
}

fn block(sandbox: &Sandbox) -> PathBuf {
    let mut state = fs::read_dir(sandbox.path(STATE)).expect("list the state");
    state.next().expect("a block").expect("an entry").path()
}

/// The code before was used while the disk could not be written: only the twin knows of it.
fn leave_a_twin(sandbox: &Sandbox) {
    static TWIN: OnceLock<Vec<u8>> = OnceLock::new();
    let twin = TWIN.get_or_init(|| {
        let (sandbox, alice) = Sandbox::with_alice();
        assert!(sandbox.login("alice", &[&alice.code(-1)]).granted());
        fs::read(block(&sandbox)).expect("read the block")
    });
    let (block, run) = (block(sandbox), sandbox.path(RUN));
    let mut private = DirBuilder::new();
    let made = private.mode(0o700).recursive(true).create(&run);
    made.expect("make the directories in /run");
    let path = run.join(block.file_name().expect("a name"));
    // The copy has the mode of the block.
    let copied = fs::copy(&block, &path).and_then(|_| fs::write(&path, twin));
    copied.expect("write the twin");
}

/// A new start of the machine: `/run` is empty.
fn restart(sandbox: &Sandbox) {
    let run = sandbox.path("run");
    fs::remove_dir_all(&run).expect("empty /run");
    fs::create_dir(&run).expect("make /run");
}

/// A login that is going to be disturbed.
struct Scene {
    kind: &'static Kind,
    sandbox: Sandbox,
    alice: Enrolled,
    answer: String,
}

impl Scene {
    fn new(kind: &'static Kind) -> Self {
        let (sandbox, alice) = Sandbox::with_alice();
        (kind.before)(&sandbox);
        let answer = (kind.answer)(&alice);
        Self {
            kind,
            sandbox,
            alice,
            answer,
        }
    }

    /// The login under strace, which does to the disk what it does to it all the time.
    fn traced(&self, options: &[&str]) -> Client<'_> {
        let log = self.log();
        let mut words = vec!["strace", "-f", "-o", log.to_str().expect("UTF-8")];
        let disk = self
            .kind
            .disk
            .map(|(call, how)| format!("-einject={call}:{how}"));
        words.extend(disk.as_deref());
        words.extend(options);
        self.sandbox.client("alice").under(&words)
    }

    /// The same, and this is done to a call.
    fn disturbed(&self, call: &Call, how: &str, options: &[&str]) -> Client<'_> {
        let disk = self.kind.disk.map_or(&*call.name, |(call, _)| call);
        let traced = format!("-etrace={disk},{}", call.name);
        let inject = format!("-einject={}:{how}:when={}", call.name, call.number);
        self.traced(&[&[&*traced, &inject], options].concat())
    }

    /// Of strace.
    fn log(&self) -> PathBuf {
        self.sandbox.path("strace")
    }

    fn logged(&self, is_right: impl FnMut(&str) -> bool) -> bool {
        let text = fs::read_to_string(self.log()).expect("the log of strace");
        text.lines().any(is_right)
    }

    /// What must hold afterwards, whatever happened to it.
    fn check(&self, granted: bool, disk_is_fine: bool, what: &str) {
        let (sandbox, alice, answer) = (&self.sandbox, &self.alice, &*self.answer);
        let used = (self.kind.used)(alice);
        let answers: Vec<&str> = used.as_deref().into_iter().chain([answer]).collect();
        let again = sandbox.login("alice", &answers);
        assert!(
            again.prompts.len() >= answers.len(),
            "what was used before lets in: {what}: {again:#?}"
        );
        assert!(!(granted && again.granted()), "let in twice: {what}");
        if again.granted() || granted && (disk_is_fine || !self.kind.may_be_in_run) {
            restart(sandbox);
        }
        let mut owner = sandbox.login("alice", &[answer, &alice.code(1)]);
        assert!(owner.prompts.len() > 1, "let in again: {what}: {owner:#?}");
        if !owner.granted() && self.kind.lost {
            // And then the disk could not be written: three codes, none of them used.
            let client = sandbox.client("alice").at(NOW + 3 * STEP);
            owner = client.login(&[&row(alice, [1, 2, 3])]);
        }
        assert!(
            owner.granted(),
            "the owner is kept out: {what}: {owner:#?} {:?}",
            sandbox.log()
        );
        let state = fs::read_dir(sandbox.path(STATE)).expect("list the state");
        let names = state.map(|entry| entry.expect("an entry").file_name());
        let blocks = names.filter(|name| !name.to_string_lossy().starts_with("guess-"));
        assert_eq!(blocks.count(), 1, "litter: {what}");
    }
}

impl Kind {
    /// The calls that the module makes for such a login.
    fn calls(&'static self) -> Vec<Call> {
        let scene = Scene::new(self);
        scene.traced(&["-s200"]).login(&[&scene.answer]);
        let mut calls = trace::calls(&scene.log(), VERDICT);
        // They fail already.
        calls.retain(|call| self.disk.is_none_or(|(failing, _)| call.name != failing));
        calls
    }
}

/// All files of the store that no login may change.
fn records(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for folder in ["etc/pam_mfa", "var/lib/pam_mfa/users"] {
        for entry in fs::read_dir(root.join(folder)).expect("list the store") {
            let path = entry.expect("an entry").path();
            files.insert(
                path.display().to_string(),
                fs::read(&path).expect("read a file"),
            );
        }
    }
    files
}

fn every_call_fails(kind: &'static Kind) {
    let mut calls = kind.calls();
    // The kernel's brk tells a failure by the old break; an error would be taken for an address.
    calls.retain(|call| call.name != "brk");
    let pair = |call: &Call| ERRORS.map(|error| (call.clone(), error));
    let cases: Vec<_> = calls.iter().flat_map(pair).collect();
    trace::each(&cases, |(call, error)| {
        let scene = Scene::new(kind);
        let root = scene.sandbox.root();
        let what = format!("{error} at {} ({})", call.line, call.number);
        let before = records(&root);
        let client = || scene.disturbed(call, &format!("error={error}"), &FAST);
        let login = || client().login(&[&scene.answer]);
        let outcome = catch_unwind(AssertUnwindSafe(login));
        let outcome = outcome.unwrap_or_else(|_| panic!("the caller dies: {what}"));
        assert_ne!(outcome.code, pam::IGNORE, "{what}");
        assert_ne!(outcome.code, pam::ABORT, "{what}");
        assert_eq!(records(&root), before, "{what}");
        let name = format!(" {}(", call.name);
        let failed = scene.logged(|line| line.contains(&name) && line.ends_with("(INJECTED)"));
        assert!(failed, "it did not fail: {what}");
        let disk_is_fine = kind.disk.is_none() && !OF_THE_DISK.contains(error);
        scene.check(outcome.granted(), disk_is_fine, &what);
    });
}

#[test]
fn every_call_of_a_login_by_code_fails_once() {
    need!("/usr/bin/strace");
    every_call_fails(&BY_CODE);
}

#[test]
fn every_call_of_a_login_by_backup_code_fails_once() {
    need!("/usr/bin/strace");
    every_call_fails(&BY_BACKUP_CODE);
}

#[test]
fn every_call_of_a_failed_login_fails_once() {
    need!("/usr/bin/strace");
    every_call_fails(&FAILED);
}

#[test]
fn every_call_of_a_login_beside_a_twin_fails_once() {
    need!("/usr/bin/strace");
    every_call_fails(&BESIDE_A_TWIN);
}

#[test]
fn every_call_of_a_login_on_a_full_disk_fails_once() {
    need!("/usr/bin/strace");
    every_call_fails(&ON_A_FULL_DISK);
}

#[test]
fn every_call_of_a_login_without_state_fails_once() {
    need!("/usr/bin/strace");
    every_call_fails(&WITHOUT_STATE);
}

fn killed_at_every_change(kind: &'static Kind) {
    let calls: Vec<Call> = kind.calls().into_iter().filter(changes_something).collect();
    trace::each(&calls, |call| {
        let scene = Scene::new(kind);
        let mut session = scene.disturbed(call, "signal=KILL", &[]).start();
        if session.next_prompt().is_some() {
            session.answer(&scene.answer);
        }
        assert!(session.next_prompt().is_none(), "{}", call.line);
        // strace ends as the login did.
        let ended = waitpid(Pid::from_raw(session.pid() as i32), None).expect("a child of ours");
        let killed = matches!(ended, WaitStatus::Signaled(_, Signal::SIGKILL, _));
        assert!(killed, "{ended:?}: {}", call.line);
        scene.check(false, false, &call.line);
    });
}

#[test]
fn a_login_by_code_is_killed_at_every_change() {
    need!("/usr/bin/strace");
    killed_at_every_change(&BY_CODE);
}

#[test]
fn a_login_by_backup_code_is_killed_at_every_change() {
    need!("/usr/bin/strace");
    killed_at_every_change(&BY_BACKUP_CODE);
}

#[test]
fn a_login_beside_a_twin_is_killed_at_every_change() {
    need!("/usr/bin/strace");
    killed_at_every_change(&BESIDE_A_TWIN);
}

#[test]
fn a_login_on_a_full_disk_is_killed_at_every_change() {
    need!("/usr/bin/strace");
    killed_at_every_change(&ON_A_FULL_DISK);
}

#[test]
fn a_login_without_state_is_killed_at_every_change() {
    need!("/usr/bin/strace");
    killed_at_every_change(&WITHOUT_STATE);
}
