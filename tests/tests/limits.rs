//! Limits and a umask that a caller sets against us, for a program with rights inherits them: nobody is
//! let in unspent, nothing goes uncounted, nothing is damaged or left open.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use mfa_tests::{
    PASSWORD,
    command::run,
    enrolled::{Enrolled, NOW, STEP, now},
    locate,
    machine::Machine,
    need_root,
    oath::Oath,
    outcome::Outcome,
    pam,
    protocol::Event,
    sandbox::Sandbox,
    session::Session,
    trace,
};

/// The bytes that a block has; a limit below that is one that a login refuses.
const BLOCK: u64 = 4096 + 512;

/// Runs the rest of its words, and tells how they ended, on stderr.
const AND_TELL: &str = r#""$@"; echo "status $?" >&2"#;

/// What a caller sets before the program with rights starts, or while it waits for an answer.
#[derive(Clone, Debug, PartialEq)]
struct Case {
    /// For the shell.
    before: &'static str,
    /// For prlimit(1).
    limit: String,
    /// Set only when it waits for an answer.
    at_the_prompt: bool,
    /// Whether the kernel may end the process, or the process itself for want of memory.
    may_die: bool,
}

impl Case {
    fn new(limit: String) -> Self {
        Self {
            before: "",
            limit,
            at_the_prompt: false,
            may_die: false,
        }
    }

    fn deadly(self) -> Self {
        Self {
            may_die: true,
            ..self
        }
    }

    fn at_the_prompt(self) -> Self {
        Self {
            at_the_prompt: true,
            ..self
        }
    }
}

/// A login under the limit, with these answers and none beyond them.
fn log_in(sandbox: &Sandbox, case: &Case, answers: &[String]) -> Outcome {
    let script = format!("{}\n{AND_TELL}", case.before);
    let mut words = vec!["sh", "-c", &script, "sh"];
    if !case.at_the_prompt {
        words.extend(["prlimit", &case.limit]);
    }
    let mut session = sandbox.client("alice").under(&words).start();
    let mut answers = answers.iter();
    while session.next_prompt().is_some() {
        if case.at_the_prompt {
            limit_child(&session, &case.limit);
        }
        match answers.next() {
            Some(answer) => session.answer(answer),
            None => session.reply(pam::Reply::Null),
        }
    }
    session.finish()
}

fn limit_child(session: &Session, limit: &str) {
    let pid = session.pid();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let child = children.expect("a shell that waits for the client");
    let pid = format!("--pid={}", child.trim());
    run(Command::new("prlimit").args([&pid, limit]), "").ok();
}

/// Every file below with its mode and content; content of no consequence left out.
fn files(sandbox: &Sandbox, below_root: &str) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut files = BTreeMap::new();
    collect(&sandbox.path(below_root), &mut files);
    files
}

fn collect(path: &Path, files: &mut BTreeMap<String, (u32, Vec<u8>)>) {
    let Ok(kind) = fs::symlink_metadata(path) else {
        return;
    };
    let mode = kind.permissions().mode();
    if kind.is_dir() {
        files.insert(format!("{}/", path.display()), (mode, Vec::new()));
        for entry in fs::read_dir(path).expect("list a directory") {
            collect(&entry.expect("an entry").path(), files);
        }
    } else {
        let content = fs::read(path).expect("read a file");
        files.insert(path.display().to_string(), (mode, content));
    }
}

/// What a login may not change.
fn records(sandbox: &Sandbox) -> [BTreeMap<String, (u32, Vec<u8>)>; 2] {
    ["etc/pam_mfa", "var/lib/pam_mfa/users"].map(|folder| files(sandbox, folder))
}

#[track_caller]
fn assert_private(sandbox: &Sandbox, what: &str) {
    for folder in ["var/lib/pam_mfa", "run/pam_mfa"] {
        for (path, (mode, _)) in files(sandbox, folder) {
            let expected = match path.rsplit('/').next() {
                Some("") => 0o700,
                // Nobody ever opens a charge.
                Some(name) if is_charge(name) => mode & 0o600,
                _ => 0o600,
            };
            assert_eq!(mode & 0o7777, expected, "{path}: {mode:o} {what}");
        }
    }
}

fn is_charge(name: &str) -> bool {
    name.starts_with("guess-") || name.starts_with("pair-")
}

/// How many names of a kind were charged, in `/var` and `/run`.
fn charged(sandbox: &Sandbox, kind: &str) -> usize {
    let folders = ["var/lib/pam_mfa/state/2001", "run/pam_mfa/2001"];
    let names = folders.map(|folder| files(sandbox, folder).into_keys().collect::<Vec<_>>());
    let is_of_kind = |name: &&String| {
        Path::new(name.as_str())
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(kind))
    };
    names.iter().flatten().filter(is_of_kind).count()
}

/// How many refused tries had so many codes.
fn judged(outcome: &Outcome, codes: usize) -> usize {
    let (mut typed, mut count) = (0, 0);
    for event in &outcome.events {
        match event {
            Event::Prompt { .. } => typed += 1,
            Event::Error { text } => {
                count += usize::from(typed == codes && text == "Wrong code.");
                typed = 0;
            }
            _ => {}
        }
    }
    count
}

/// Two codes that are none of alice's today.
fn wrong(alice: &Enrolled) -> [String; 2] {
    let codes = Oath::new(&alice.secret).codes_from(NOW - 300, 30);
    let numbers = (0..).map(|number| format!("{number:06}"));
    let mut wrong = numbers.filter(|number| !codes.contains(number));
    [(); 2].map(|()| wrong.next().expect("there are more numbers than codes"))
}

fn login(sandbox: &Sandbox, answer: &str) -> Outcome {
    sandbox.login("alice", &[answer])
}

/// A right code, a backup code, and wrong codes, each under the limit.
fn try_all(case: &Case) {
    for kind in 0..3 {
        let (sandbox, alice) = Sandbox::with_alice();
        let before = records(&sandbox);
        let [a, b] = wrong(&alice);
        let answers = match kind {
            0 => vec![alice.code(0)],
            1 => vec![alice.backup_codes[0].clone()],
            _ => vec![a.clone(), b.clone(), a, b],
        };
        let outcome = log_in(&sandbox, case, &answers);
        let what = format!("{case:?} {kind} {outcome:#?} {:#?}", sandbox.decisions());
        let status = outcome.stderr.rsplit("status ").next();
        let status: u32 = status
            .and_then(|text| text.trim().parse().ok())
            .expect("a status");
        assert!(status < 128 || case.may_die, "died: {what}");
        assert_ne!(outcome.code, pam::IGNORE, "{what}");
        assert_eq!(records(&sandbox), before, "{what}");
        assert_private(&sandbox, &what);
        if kind == 2 {
            assert!(!outcome.granted(), "{what}");
            assert!(
                judged(&outcome, 1) <= charged(&sandbox, "guess-"),
                "uncounted: {what}"
            );
            assert!(
                judged(&outcome, 2) <= charged(&sandbox, "pair-"),
                "uncounted: {what}"
            );
        } else {
            let again = login(&sandbox, &answers[0]);
            assert!(
                !(outcome.granted() && again.granted()),
                "let in twice: {what}"
            );
            assert!(
                !login(&sandbox, &answers[0]).granted(),
                "let in again: {what}"
            );
        }
        let owner = login(&sandbox, &alice.code(1));
        assert!(owner.granted(), "the owner is kept out: {owner:#?} {what}");
    }
}

fn cases_of(name: &str, values: impl IntoIterator<Item = u64>) -> Vec<Case> {
    let case = |value| Case::new(format!("--{name}={value}:{value}"));
    values.into_iter().map(case).collect()
}

#[test]
fn a_limit_on_the_size_of_files() {
    let sizes = [0, 1, 512, 4096, BLOCK - 1];
    let cases = cases_of("fsize", sizes);
    let ignoring = cases.clone().into_iter().map(|case| Case {
        before: "trap '' XFSZ",
        ..case
    });
    let late = cases.clone().into_iter().map(Case::at_the_prompt);
    let cases: Vec<_> = cases.iter().cloned().chain(ignoring).chain(late).collect();
    trace::each(&cases, try_all);
    // Every one of them is refused before anything is written; what is just enough is let in.
    for (size, granted) in [(BLOCK - 1, false), (BLOCK, true)] {
        for kind in 0..2 {
            let (sandbox, alice) = Sandbox::with_alice();
            let answer = match kind {
                0 => alice.code(0),
                _ => alice.backup_codes[0].clone(),
            };
            let outcome = log_in(&sandbox, &cases_of("fsize", [size])[0], &[answer]);
            assert_eq!(outcome.granted(), granted, "{size} {outcome:#?}");
            let line = sandbox.decisions().pop().expect("a line");
            let named = line.contains("limits the size of files (ulimit -f)");
            assert_eq!(named, !granted, "{line}");
        }
    }
}

#[test]
fn a_limit_on_open_files() {
    let cases = cases_of("nofile", 3..=14);
    let late = cases_of("nofile", 0..=14)
        .into_iter()
        .map(Case::at_the_prompt);
    let cases: Vec<_> = cases.into_iter().chain(late).collect();
    trace::each(&cases, try_all);
}

#[test]
fn a_limit_on_memory() {
    let sizes = [4, 8, 12, 16, 24, 32, 48].map(|size| size << 20);
    let cases = cases_of("as", sizes);
    let late = cases_of("as", [1 << 20, 8 << 20, 24 << 20]);
    let late = late.into_iter().map(Case::at_the_prompt);
    let cases: Vec<_> = cases.into_iter().chain(late).map(Case::deadly).collect();
    trace::each(&cases, try_all);
}

#[test]
fn limits_on_processes_time_stack_and_locks() {
    let mut cases = cases_of("nproc", [0]);
    cases.extend(cases_of("cpu", [0, 1]).into_iter().map(Case::deadly));
    cases.extend(
        cases_of("data", [1 << 20, 4 << 20])
            .into_iter()
            .map(Case::deadly),
    );
    cases.extend(cases_of("stack", [64 << 10]).into_iter().map(Case::deadly));
    cases.extend(cases_of("locks", [0]));
    cases.extend(cases_of("memlock", [0]));
    cases.extend(cases_of("core", [0]));
    trace::each(&cases, try_all);
}

const UMASKS: [&str; 2] = ["umask 0777", "umask 0000"];

#[test]
fn a_umask() {
    for before in UMASKS {
        try_all(&Case {
            before,
            ..Case::new("--core=0".to_owned())
        });
    }
}

#[test]
fn a_umask_while_a_lost_state_is_made_anew() {
    for before in UMASKS {
        let (sandbox, alice) = Sandbox::with_alice();
        let state = sandbox.path("var/lib/pam_mfa/state/2001");
        fs::remove_dir_all(&state).expect("remove the state");
        let case = Case {
            before,
            ..Case::new("--core=0".to_owned())
        };
        let row = Oath::new(&alice.secret).codes_from(NOW - STEP, 3).concat();
        let outcome = log_in(&sandbox, &case, &[row]);
        assert!(outcome.granted(), "{outcome:#?}");
        assert_private(&sandbox, before);
        assert_eq!(fs::read_dir(state).expect("the new state").count(), 1);
    }
}

#[test]
fn a_umask_while_the_disk_cannot_be_written() {
    mfa_tests::need!("/usr/bin/strace");
    for before in UMASKS {
        let (sandbox, alice) = Sandbox::with_alice();
        let script = format!("{before}; exec \"$@\"");
        let full = "inject=pwrite64:error=ENOSPC";
        let words = [
            "sh",
            "-c",
            &script,
            "sh",
            "strace",
            "-qq",
            "-o/dev/null",
            "-e",
            full,
        ];
        let client = || sandbox.client("alice");
        let code = alice.code(0);
        let outcome = client().under(&words).login(&[&code]);
        assert!(outcome.granted(), "{outcome:#?}");
        assert!(!files(&sandbox, "run/pam_mfa/2001").is_empty());
        assert_private(&sandbox, before);
        assert!(!client().login(&[&code]).granted());
    }
}

#[test]
fn a_umask_of_the_administrator() {
    for before in UMASKS {
        let sandbox = Sandbox::uninitialized();
        sandbox.at(NOW);
        let script = format!("{before}; exec \"$@\"");
        let admin = |arguments: &[&str]| {
            let command = sandbox.admin_command(arguments);
            run(
                &mut trace::under(&["sh", "-c", &script, "sh"], &command),
                "",
            )
            .ok()
        };
        admin(&["init"]);
        let enrolled = admin(&["enroll", "alice", "--no-verify", "--yes", "--json"]);
        let alice: Enrolled = serde_json::from_str(&enrolled.stdout).expect("JSON");
        assert!(login(&sandbox, &alice.code(0)).granted());
        admin(&["unlock", "alice"]);
        admin(&["regenerate", "alice", "--json"]);
        assert_private(&sandbox, before);
        let key = fs::metadata(sandbox.path("etc/pam_mfa/key")).expect("the key");
        assert_eq!(key.permissions().mode() & 0o7777, 0o600);
        let etc = fs::metadata(sandbox.path("etc/pam_mfa")).expect("the configuration");
        assert_eq!(etc.permissions().mode() & 0o7777, 0o755);
    }
}

/// A machine on which bob, who knows her password, becomes alice by a real `su`: it has rights, and he sets
/// the limits.
struct Su {
    machine: Machine,
    alice: Enrolled,
}

/// How a `su` ended.
#[derive(Debug)]
struct Ended {
    granted: bool,
    shown: String,
    status: u32,
}

impl Su {
    fn new() -> Self {
        let (machine, alice) = Machine::with_alice();
        machine.add_user("bob");
        machine.stack(
            "su",
            "auth required pam_unix.so\nauth required pam_mfa.so\n",
        );
        machine.stack("test", "auth required pam_mfa.so\n");
        machine.copy_in(&locate::pam_client(), "/tmp/pam-client", "0755");
        machine.sh("cp -a /var/lib/pam_mfa/state /tmp/fresh-state");
        Self { machine, alice }
    }

    /// Types these answers, and then the end of the file.
    fn run(&self, case: &Case, answers: &[&str]) -> Ended {
        let script = format!("{}\n\"$@\"; echo \"status $?.\"", case.before);
        let su = ["prlimit", &case.limit, "su", "alice", "-c", "true"];
        let words = [&["sh", "-c", &script, "sh"], &su[..]].concat();
        let logged = self.machine.decisions().len();
        let mut su = self.machine.spawn_pty("bob", &words);
        let mut answers = answers.iter();
        loop {
            let waits_for = ["Password: ", "backup code: ", "it changes: ", "status "];
            match su.expect_any(&waits_for).0 {
                0 => su.send_line(PASSWORD),
                3 => break,
                _ => match answers.next() {
                    Some(answer) => su.send_line(answer),
                    None => su.send("\x04"),
                },
            }
        }
        let status = su.expect(".").parse().expect("a status");
        let log = self.machine.decisions().split_off(logged);
        Ended {
            // A limit may stand in the way of the log, or of the command.
            granted: status == 0 || log.iter().any(|line| line.contains("granted user=alice")),
            shown: su.transcript(),
            status,
        }
    }

    fn lets_in(&self, answer: &str) -> bool {
        self.machine.log_in("alice", "test", answer) == pam::SUCCESS
    }

    /// What no login may change.
    fn records(&self) -> String {
        self.machine.sh(
            "cd / && find etc/pam_mfa var/lib/pam_mfa/users -printf '%p %m %u\n' -type f \
             -exec sha256sum {} +",
        )
    }

    /// The names that were charged.
    fn charged(&self) -> usize {
        let names = self
            .machine
            .sh("cd /var/lib/pam_mfa/state && find . -name '*-*' -size 0");
        names.lines().count()
    }

    /// A right code, a backup code, or wrong codes under the limit.
    fn try_one(&self, kind: usize, case: &Case) -> Ended {
        self.machine
            .sh("cd /var/lib/pam_mfa && rm -rf /run/pam_mfa state && cp -a /tmp/fresh-state state");
        let (alice, before) = (&self.alice, self.records());
        let code = alice.code_at(now() + STEP);
        let [first, second] = [0, 1].map(|number| alice.backup_codes[number].clone());
        let (answers, owner) = match kind {
            0 => (vec![code], first),
            1 => (vec![first], second),
            _ => (vec![alice.wrong_code_at(now()), "999999".to_owned()], code),
        };
        let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
        let ended = self.run(case, &answers);
        let what = format!("{case:?} {ended:#?} {:#?}", self.machine.decisions().last());
        assert!(ended.status < 128 || case.may_die, "died: {what}");
        assert_eq!(self.records(), before, "{what}");
        let open = "cd / && find var/lib/pam_mfa $(ls -d run/pam_mfa 2>/dev/null) -perm /077";
        assert_eq!(self.machine.sh(open), "", "{what}");
        if kind < 2 {
            let again = self.lets_in(answers[0]);
            assert!(!(ended.granted && again), "let in twice: {what}");
        } else {
            assert!(!ended.granted, "{what}");
            let judged = ended.shown.matches("Wrong code.").count();
            assert!(judged <= self.charged(), "uncounted: {what}");
        }
        assert!(self.lets_in(&owner), "the owner is kept out: {what}");
        ended
    }
}

#[test]
fn limits_that_a_user_sets_on_a_real_su() {
    need_root!();
    // The last of each is enough.
    let sizes = cases_of("fsize", [0, BLOCK - 1, BLOCK]);
    let ignoring = sizes.clone().into_iter().map(|case| Case {
        before: "trap '' XFSZ",
        ..case
    });
    // Whom we refuse, su writes into a file of its own, and dies of the signal.
    let sizes = sizes.into_iter().map(Case::deadly).chain(ignoring);
    let memory = cases_of("as", [8, 24, 48, 1024].map(|size| size << 20));
    let limits = [
        sizes.collect(),
        cases_of("nofile", [3, 5, 6, 7, 8, 64]),
        memory.into_iter().map(Case::deadly).collect(),
        cases_of("nproc", [0, 1000]),
    ];
    let each: Vec<_> = (0..3)
        .flat_map(|kind| limits.each_ref().map(|cases| (kind, cases)))
        .collect();
    trace::each(&each, |(kind, cases)| {
        let su = Su::new();
        let ended: Vec<_> = cases.iter().map(|case| su.try_one(*kind, case)).collect();
        let last = ended.last().expect("a case");
        assert_eq!(last.granted, *kind < 2, "{last:#?}");
    });
}
