//! What went wrong elsewhere, as docs/lessons.md tells it: every row names tests that exist, and what
//! no other test shows is shown here.

use std::{
    collections::BTreeSet,
    fs, iter,
    path::{Path, PathBuf},
    process::Command,
};

use mfa_core::backup::BackupSet;
use mfa_tests::{
    PASSWORD, PASSWORD_HASH,
    command::run,
    enrolled::{Enrolled, NOW, STEP},
    locate, need,
    outcome::Outcome,
    pam,
    sandbox::Sandbox,
    trace,
    virtual_login::CHEAP,
};

const PROMPT: &str = "Verification code or backup code: ";
const USED: &str = "This code was already used. Wait for the next one.";

#[track_caller]
fn assert_granted(outcome: &Outcome) {
    assert!(outcome.granted(), "{outcome:#?}");
}

// 1. The table

/// A row says what happened, why it cannot happen here, and which tests show that.
fn rows() -> Vec<Vec<String>> {
    let text = fs::read_to_string(locate::workspace().join("docs/lessons.md"));
    let text = text.expect("read docs/lessons.md");
    let lines = text.lines().filter(|line| line.starts_with('|'));
    let cells = |line: &str| -> Vec<String> {
        let line = line.trim_matches('|');
        line.split(" | ")
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let rows = lines.filter(|line| !line.starts_with("|-")).map(cells);
    rows.filter(|row| row[0] != "what happened").collect()
}

/// What stands between backticks and looks like a test.
fn tests_in(cell: &str) -> impl Iterator<Item = &str> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted.filter(|text| text.contains("::"))
}

/// Every test that there is, as the table names it.
fn existing() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (folder, prefix, suffix) in [
        ("tests/tests", "", ""),
        ("mfa-core/src", "mfa_core::", "tests::"),
        ("pam_mfa/src", "pam_mfa::", "tests::"),
        ("mfa-admin/src", "mfa_admin::", "tests::"),
    ] {
        let folder = locate::workspace().join(folder);
        for file in sources(&folder) {
            let text = fs::read_to_string(&file).expect("read a source");
            let module = module_of(file.strip_prefix(&folder).expect("a file in it"));
            let tests = tests_of(&text).map(|test| format!("{prefix}{module}{suffix}{test}"));
            names.extend(tests);
        }
    }
    names
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("list a folder of sources");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let rust = files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ext| ext == "rs"));
    let below = folders.iter().flat_map(|folder| sources(folder));
    rust.chain(below).collect()
}

/// `config/network.rs` → `config::network::`; `main`, `mod` and `lib` have no name of their own.
fn module_of(file: &Path) -> String {
    let path = file.with_extension("");
    let parts = path.iter().filter_map(|part| part.to_str());
    parts
        .filter(|part| !["main", "mod", "lib"].contains(part))
        .map(|part| format!("{part}::"))
        .collect()
}

fn tests_of(text: &str) -> impl Iterator<Item = &str> {
    let after = text.split("#[test]\n").skip(1);
    after.map(|rest| {
        let name = rest.split_once("fn ").expect("a function").1;
        name.split('(').next().expect("its name")
    })
}

#[test]
fn every_row_names_a_test_or_why_there_is_none() {
    let rows = rows();
    assert!(rows.len() > 50, "{}", rows.len());
    for row in &rows {
        assert_eq!(row.len(), 3, "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        let why = row[2]
            .strip_prefix("not ours: ")
            .filter(|why| !why.is_empty());
        assert!(
            tests_in(&row[2]).next().is_some() || why.is_some(),
            "{row:?}"
        );
    }
}

#[test]
fn every_test_in_the_table_exists() {
    let (rows, existing) = (rows(), existing());
    let named: BTreeSet<String> = rows
        .iter()
        .flat_map(|row| tests_in(&row[2]))
        .map(str::to_owned)
        .collect();
    let missing: Vec<_> = named.difference(&existing).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    // What is shown here is shown for the table's sake.
    let ours = existing
        .iter()
        .filter(|name| name.starts_with("lessons::") && !name.contains("::every_"));
    let idle: Vec<_> = ours.filter(|name| !named.contains(*name)).collect();
    assert!(idle.is_empty(), "{idle:#?}");
}

// 2. Single use

#[test]
fn codes_recorded_hours_ago_are_refused_however_many_in_a_row() {
    let (sandbox, alice) = Sandbox::with_alice();
    let recorded = |k: i64| alice.code(k - 6 * 3600 / STEP as i64);
    let time = |k: i64| NOW.saturating_add_signed(k * STEP as i64);
    // One after the other, as they were shown.
    for k in 0..4 {
        let outcome = sandbox.at(time(k)).login("alice", &[&recorded(k)]);
        assert_eq!(outcome.code, pam::AUTH_ERR, "{outcome:#?}");
    }
    assert_granted(&sandbox.login("alice", &[&alice.code(3)]));
    // Where three in a row are asked for and nothing is known of what was used.
    let state = sandbox.path("var/lib/pam_mfa/state/2001");
    fs::remove_dir_all(state).expect("remove the state");
    let row = |of: &dyn Fn(i64) -> String| [3, 4, 5].map(of).join(" ");
    let sandbox = sandbox.at(time(4));
    assert!(!sandbox.login("alice", &[&row(&recorded)]).granted());
    assert_granted(&sandbox.login("alice", &[&row(&|k| alice.code(k))]));
}

#[test]
fn each_of_several_devices_remembers_its_own_codes() {
    let sandbox = Sandbox::new();
    sandbox.at(NOW);
    let show_different_codes = |devices: &[Enrolled; 3]| {
        let shown = devices
            .iter()
            .flat_map(|device| [-1, 0, 1].map(|step| device.code(step)));
        shown.collect::<BTreeSet<_>>().len() == 9
    };
    let mut enrolled = iter::repeat_with(|| sandbox.enroll_cheaply("alice", 2001, NOW));
    let devices = enrolled.find(show_different_codes).expect("it goes on");
    let codes = devices.each_ref().map(|device| device.code(0));
    // The last one first: what is written down for one must not be taken for another's.
    for (place, code) in codes.iter().enumerate().rev() {
        assert_granted(&sandbox.login("alice", &[code]));
        for used in &codes[place..] {
            assert_eq!(sandbox.login("alice", &[used]).errors, [USED]);
        }
    }
}

// 3. Guessing and lockout

#[test]
fn right_codes_use_up_no_tries() {
    let (sandbox, alice) = Sandbox::with_alice();
    let granted_at_once = |sandbox: &Sandbox, code: &str| {
        let outcome = sandbox.login("alice", &[code]);
        assert_granted(&outcome);
        assert_eq!(outcome.prompts, [PROMPT]);
    };
    // At the same instant, and then more than there are free tries.
    for code in [-1, 0, 1].map(|step| alice.code(step)) {
        granted_at_once(&sandbox, &code);
    }
    for code in &alice.backup_codes {
        granted_at_once(&sandbox, code);
    }
    for time in (NOW + 2 * STEP..).step_by(STEP as usize).take(12) {
        granted_at_once(sandbox.at(time), &alice.code_at(time));
    }
}

#[test]
fn backup_codes_have_sixty_bits() {
    let mut seen = [(); 12].map(|()| BTreeSet::new());
    let mut codes = BTreeSet::new();
    for _ in 0..200 {
        let (_, set) = BackupSet::generate(CHEAP, 0).expect("make backup codes");
        for code in set {
            let symbols: Vec<char> = code.shown().chars().filter(|c| *c != '-').collect();
            assert_eq!(symbols.len(), 12);
            seen.iter_mut()
                .zip(&symbols)
                .for_each(|(at, symbol)| at.extend([*symbol]));
            codes.insert(symbols);
        }
    }
    assert_eq!(codes.len(), 2000, "a code came twice");
    // Every symbol at every place.
    assert_eq!(seen.map(|at| at.len()), [32; 12]);
}

// 4. Files

/// A login under strace(1), from the moment in which the module looks at the first of its files to
/// its line in the log.
fn calls_of(sandbox: &Sandbox, answer: &str) -> Vec<trace::Call> {
    let log = sandbox.path("strace");
    let path = log.to_str().expect("UTF-8");
    let words = ["strace", "-f", "-o", path, "-s", "300"];
    sandbox.client("alice").under(&words).login(&[answer]);
    trace::calls(&log, " user=alice ")
}

#[test]
fn no_link_is_followed_and_no_descriptor_outlives_exec() {
    need!("/usr/bin/strace");
    let (sandbox, alice) = Sandbox::with_alice();
    let state = "var/lib/pam_mfa/state/2001";
    let ours = [
        "etc/pam_mfa",
        "var/lib/pam_mfa",
        state,
        "run/pam_mfa",
        "run",
    ];
    let ours = ours.map(|folder| sandbox.path(folder).display().to_string());
    let mut sockets = 0;
    for answer in [&alice.code(0), &alice.backup_codes[0], &alice.wrong_code()] {
        for call in calls_of(&sandbox, answer) {
            let line = &call.line;
            match &*call.name {
                "openat" => {
                    let flags = ["O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK"];
                    assert!(flags.iter().all(|flag| line.contains(flag)), "{line}");
                    let name = line.split('"').nth(1).expect("a name");
                    // Ours by their names, all else from an open directory on.
                    let one = !name.contains('/') && !line.contains("AT_FDCWD");
                    assert!(one || ours.contains(&name.to_owned()), "{line}");
                }
                "socket" => {
                    sockets += 1;
                    let alone = line.contains("AF_UNIX") && line.contains("SOCK_CLOEXEC");
                    assert!(alone, "{line}");
                }
                "open" | "creat" | "dup" | "dup2" | "pipe" | "accept" => panic!("{line}"),
                _ => {}
            }
        }
    }
    // That to the log, each time.
    assert_eq!(sockets, 3);
}

#[test]
fn nothing_is_looked_for_in_a_home() {
    need!("/usr/bin/strace");
    let (sandbox, alice) = Sandbox::with_alice();
    let home = sandbox.root().with_file_name("home").join("alice");
    let home = home.to_str().expect("UTF-8");
    let log = sandbox.path("strace");
    let path = log.to_str().expect("UTF-8");
    let words = ["strace", "-f", "-o", path, "-s", "300", "-e", "trace=%file"];
    for answer in [&alice.code(0), &alice.backup_codes[0], &alice.wrong_code()] {
        let client = sandbox.client("alice").under(&words);
        let client = client.env("HOME", home).env("XDG_CONFIG_HOME", home);
        client.login(&[answer]);
        let text = fs::read_to_string(&log).expect("the log of strace");
        // The words of execve(2) are those of the test.
        let (_, after) = text.rsplit_once("execve(").expect("the client is started");
        assert!(after.contains("2001.toml"), "{after}");
        let looked = after.lines().skip(1).find(|line| line.contains(home));
        assert_eq!(looked, None);
    }
}

// 5. What the module and the command are not able to do

/// The functions of other libraries that it uses.
fn imports(file: &Path) -> BTreeSet<String> {
    let mut command = Command::new("nm");
    let words = ["--dynamic", "--undefined-only", "--format=just-symbols"];
    let symbols = run(command.args(words).arg(file), "").ok().stdout;
    // Without the version.
    let names = symbols.lines().filter_map(|line| line.split('@').next());
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    assert!(names.contains("openat"), "{names:?}");
    names
}

#[track_caller]
fn assert_without(file: &Path, functions: &[&str]) {
    let imports = imports(file);
    let found: Vec<_> = functions
        .iter()
        .filter(|function| imports.contains(**function))
        .collect();
    assert!(found.is_empty(), "{file:?}: {found:?}");
}

const PROGRAMS: [&str; 15] = [
    "system",
    "popen",
    "fork",
    "vfork",
    "clone",
    "execl",
    "execlp",
    "execv",
    "execve",
    "execvp",
    "execvpe",
    "fexecve",
    "posix_spawn",
    "posix_spawnp",
    "waitpid",
];

#[test]
fn the_module_cannot_start_a_program() {
    assert_without(&locate::module(), &PROGRAMS);
}

/// `doctor` asks sshd and others, and of this machine alone; no other command starts anything.
#[test]
fn the_command_hands_names_to_no_program() {
    need!("/usr/bin/strace");
    let (sandbox, _) = Sandbox::with_alice();
    sandbox.write("etc/pam.d/sshd", "auth required pam_mfa.so\n");
    for words in [
        &["status", "alice"][..],
        &["list"],
        &["unlock", "alice"],
        &["config", "check", "--user", "alice"],
        &["doctor", "sshd"],
        &["regenerate", "alice", "--json"],
        &[
            "enroll",
            "alice",
            "--replace",
            "--no-verify",
            "--yes",
            "--json",
        ],
        &["disable", "alice", "--yes"],
    ] {
        let log = sandbox.path("strace");
        let log = log.to_str().expect("UTF-8");
        let strace = [
            "strace",
            "-f",
            "-qq",
            "-e",
            "trace=execve,execveat",
            "-o",
            log,
        ];
        let done = run(
            &mut trace::under(&strace, &sandbox.admin_command(words)),
            "",
        );
        assert!(
            words[0] == "doctor" || done.code() == 0,
            "{words:?} {done:?}"
        );
        let started = fs::read_to_string(log).expect("the log of strace");
        assert_eq!(started.lines().count(), 1, "{words:?}: {started}");
    }
}

#[test]
fn the_module_cannot_look_up_a_host() {
    let functions = [
        "getaddrinfo",
        "gethostbyname",
        "gethostbyname_r",
        "gethostbyname2",
        "getnameinfo",
        "res_init",
        "bind",
        "listen",
        "accept",
        "accept4",
    ];
    assert_without(&locate::module(), &functions);
}

#[test]
fn the_module_cannot_load_code_or_change_whose_process_it_is_in() {
    let functions = [
        "dlopen",
        "dlmopen",
        "dlsym",
        "setuid",
        "seteuid",
        "setreuid",
        "setresuid",
        "setfsuid",
        "setgid",
        "setegid",
        "setregid",
        "setresgid",
        "setfsgid",
        "setgroups",
        "initgroups",
        "umask",
        "chdir",
        "fchdir",
        "chroot",
        "signal",
        "sigaction",
        "setenv",
        "putenv",
        "unsetenv",
        "pthread_create",
    ];
    assert_without(&locate::module(), &functions);
}

/// The standard library does: for `RUST_BACKTRACE`, which is written nowhere.
#[test]
fn no_source_of_the_module_reads_the_environment() {
    let sources = ["mfa-core/src", "pam_mfa/src"].map(|folder| {
        let files = sources(&locate::workspace().join(folder));
        assert!(files.len() > 5, "{folder}");
        files
    });
    for file in sources.iter().flatten() {
        let text = fs::read_to_string(file).expect("read a source");
        for word in ["std::env", "env::var", "getenv", "libc::environ"] {
            assert!(!text.contains(word), "{file:?}: {word}");
        }
    }
}

/// Every user sees the words of every command while it runs.
#[test]
fn no_secret_is_taken_on_the_command_line() {
    let (sandbox, _) = Sandbox::with_alice();
    for words in [
        &["enroll", "bob", "--secret", "GEZDGNBVGY3TQOJQ"][..],
        &["enroll", "bob", "GEZDGNBVGY3TQOJQ"],
        &["enroll", "bob", "--code", "123456"],
        &["enroll", "bob", "--backup-code", "abcd-efgh-2345"],
        &["init", "--key", "00"],
    ] {
        assert_eq!(sandbox.admin(words).code(), 2, "{words:?}");
    }
}

// 6. Who somebody is, and what other modules get

#[test]
fn what_users_may_change_about_themselves_names_nobody_else() {
    let (sandbox, alice) = Sandbox::with_alice();
    // chfn(1) and chsh(1) change the last fields.
    let accounts = format!(
        "alice:{PASSWORD_HASH}:2001:2001:bob,2002:/home/bob:/bin/bob\n\
         bob:{PASSWORD_HASH}:2002:2002:alice,2001:/home/alice:/bin/alice\n"
    );
    let path = sandbox.path("accounts");
    fs::write(&path, accounts).expect("write the accounts");
    let path = path.to_str().expect("UTF-8");
    let login = |user: &str| {
        let client = sandbox.client(user).env("NSS_WRAPPER_PASSWD", path);
        client.login(&[&alice.code(0)])
    };
    assert!(!login("bob").granted());
    assert_granted(&login("alice"));
}

#[test]
fn a_later_module_does_not_get_the_code_for_a_password() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.stack(
        "auth required {mfa}\nauth required pam_unix.so nodelay try_first_pass\n\
         account required pam_permit.so\n",
    );
    let outcome = sandbox.login("alice", &[&alice.code(0), PASSWORD]);
    assert_granted(&outcome);
    assert_eq!(outcome.prompts, [PROMPT, "Password: "]);
}
