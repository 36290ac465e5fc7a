//! The command line: what an administrator and a script see of it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use mfa_tests::{
    command::run,
    enrolled::{Enrolled, NOW},
    locate, need, need_root,
    oath::Oath,
    pty::Pty,
    sandbox::Sandbox,
    trace::under,
};
use serde_json::{Value, json};

const ASKS: &str = "Code from the device: ";
const ENTER: &str = "Press Enter when you have written them down: ";
const SCRIPTED: [&str; 4] = ["enroll", "--no-verify", "--yes", "--json"];

/// Every file below the sandbox's root, with what is in it.
fn files(sandbox: &Sandbox) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![sandbox.path("etc"), sandbox.path("var")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("list a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => drop(files.insert(path.clone(), fs::read(path).expect("read a file"))),
            }
        }
    }
    files
}

fn on(term: &str, sandbox: &Sandbox, arguments: &[&str]) -> Pty {
    let mut command = sandbox.admin_command(arguments);
    command.env("TERM", term);
    Pty::spawn(command)
}

fn terminal(sandbox: &Sandbox, arguments: &[&str]) -> Pty {
    on("xterm-256color", sandbox, arguments)
}

/// Runs a shell script in which `admin` is `mfa-admin` with these arguments.
fn shell(sandbox: &Sandbox, script: &str, arguments: &[&str]) -> Command {
    let admin = sandbox.admin_command(arguments);
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("admin() {{ \"$0\" \"$@\"; }}; {script}")])
        .arg(admin.get_program())
        .args(admin.get_args())
        .env("TERM", "xterm-256color");
    for (name, value) in admin.get_envs() {
        command.env(name, value.expect("nothing is removed"));
    }
    command
}

/// The secret as it is shown: two lines of four groups.
fn secret_on(page: &str) -> String {
    let lines = page.lines().skip_while(|line| !line.contains("Secret:"));
    let texts = lines.skip(1).take(2).map(|line| {
        let text = line.rsplit("\x1b[0m").next().expect("the last part");
        let groups: Vec<_> = text.split_whitespace().collect();
        assert!(
            groups.len() == 4 && groups.iter().all(|group| group.len() == 4),
            "{page}"
        );
        groups.concat()
    });
    texts.collect()
}

/// The backup codes, and that each is numbered.
fn codes_on(text: &str, before: &str) -> Vec<String> {
    let code = |number| {
        let start = format!("{number:>4}.  {before}");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("no {start:?}: {text}"))
            .to_owned()
    };
    let codes: Vec<_> = (1..=10).map(code).collect();
    assert!(codes.iter().all(|code| code.len() == 14), "{text}");
    codes
}

fn json_of(text: &str) -> Value {
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(text).expect("one JSON object")
}

/// A sandbox at [`NOW`] in which nobody is enrolled.
fn nobody() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.at(NOW);
    sandbox
}

/// Enrolls alice on a terminal; what she has, and all that was shown.
fn enroll_on_terminal(sandbox: &Sandbox, dress: impl Fn(&str) -> String) -> (Enrolled, String) {
    let mut terminal = terminal(sandbox, &["enroll", "alice"]);
    let secret = secret_on(&terminal.expect(ASKS));
    terminal.send_line(&dress(&Oath::new(&secret).code_at(NOW)));
    let page = terminal.expect(ENTER).replace('\r', "");
    let backup_codes = codes_on(&page, "");
    terminal.send_line("");
    let (code, rest) = terminal.finish();
    assert_eq!(code, 0, "{rest}");
    (
        Enrolled {
            secret,
            backup_codes,
        },
        rest,
    )
}

// 1. init

#[test]
fn init_makes_key_store_and_directories_for_their_owner_alone() {
    let sandbox = Sandbox::uninitialized();
    let said = sandbox.admin(&["init"]).ok().stdout;
    assert!(said.contains("Made the key"), "{said}");
    let us = nix::unistd::geteuid().as_raw();
    for (path, mode) in [
        ("etc/pam_mfa", 0o755),
        ("etc/pam_mfa/key", 0o600),
        ("var/lib/pam_mfa", 0o700),
        ("var/lib/pam_mfa/users", 0o700),
        ("var/lib/pam_mfa/users/.store", 0o600),
        ("var/lib/pam_mfa/state", 0o700),
    ] {
        let meta = fs::metadata(sandbox.path(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert_eq!((meta.mode() & 0o7777, meta.uid()), (mode, us), "{path}");
    }
}

#[test]
fn init_is_safe_to_repeat_and_never_replaces_a_key() {
    let (sandbox, _) = Sandbox::with_alice();
    let before = files(&sandbox);
    for again in [&["init"][..], &["init", "--new-store"]] {
        let said = sandbox.admin(again).ok().stdout;
        assert!(said.contains("Nothing was changed"), "{said}");
        assert_eq!(files(&sandbox), before);
    }
}

#[test]
fn no_key_is_made_while_records_exist() {
    let (sandbox, _) = Sandbox::with_alice();
    fs::remove_file(sandbox.path("etc/pam_mfa/key")).expect("remove the key");
    let before = files(&sandbox);
    for words in [
        &["init"][..],
        &["init", "--new-store"],
        &["enroll", "bob", "--yes"],
    ] {
        let said = sandbox.admin(words).failed().stderr;
        assert!(
            said.contains("their key") && said.contains("backup"),
            "{said}"
        );
        assert_eq!(files(&sandbox), before);
    }
}

#[test]
fn an_unmounted_var_is_an_error_that_names_the_mount() {
    let (sandbox, _) = Sandbox::with_alice();
    let (data, away) = (sandbox.path("var/lib/pam_mfa"), sandbox.path("var/away"));
    fs::rename(&data, &away).expect("move the store away");
    for words in [
        &["init"][..],
        &["enroll", "bob", "--no-verify", "--yes"],
        &["regenerate", "alice"],
        &["disable", "alice", "--yes"],
        &["list"],
        &["status", "alice"],
    ] {
        let said = sandbox.admin(words).failed().stderr;
        let where_to = data.join("users").display().to_string();
        assert!(
            said.contains("mounted?") && said.contains(&where_to),
            "{said}"
        );
        assert!(!data.exists());
    }
    fs::rename(&away, &data).expect("mount it again");
    sandbox.admin(&["status", "alice"]).ok();
    fs::rename(&data, &away).expect("lose it for good");
    sandbox.admin(&["init", "--new-store"]).ok();
    assert!(sandbox.admin(&["list"]).ok().stdout.contains("Nobody"));
}

#[test]
fn enroll_runs_init_when_there_is_no_key_and_says_so() {
    let sandbox = Sandbox::uninitialized();
    let done = sandbox.admin(&[&SCRIPTED[..], &["alice"]].concat()).ok();
    assert!(done.stderr.contains("Made the key"), "{}", done.stderr);
    assert_eq!(json_of(&done.stdout)["user"], "alice");
    let again = sandbox.admin(&[&SCRIPTED[..], &["bob"]].concat()).ok();
    assert_eq!(again.stderr, "");
}

// 2. enroll

#[test]
fn a_code_in_any_dress_verifies_and_is_spent() {
    let dresses: [fn(&str) -> String; 3] = [
        |code| code.to_owned(),
        |code| format!("{} {}", &code[..3], &code[3..]),
        |code| format!("{}-{}", &code[..3], &code[3..]),
    ];
    for dress in dresses {
        let sandbox = nobody();
        let (alice, _) = enroll_on_terminal(&sandbox, dress);
        let replayed = sandbox.login("alice", &[&alice.code(0)]);
        assert!(!replayed.granted(), "{replayed:#?}");
        assert!(replayed.shown().contains("already used"), "{replayed:#?}");
        assert!(sandbox.login("alice", &[&alice.code(1)]).granted());
        assert!(sandbox.login("alice", &[&alice.backup_codes[9]]).granted());
    }
}

#[test]
fn nothing_of_it_stays_on_the_terminal() {
    let sandbox = nobody();
    let mut terminal = terminal(&sandbox, &["enroll", "alice"]);
    let before = terminal.expect("\x1b[?1049h");
    assert_eq!(before, "");
    let page = terminal.expect(ASKS);
    assert!(
        page.contains('▀') && page.contains("\x1b[38;5;16;48;5;231m"),
        "{page}"
    );
    let secret = secret_on(&page);
    terminal.send_line(&Oath::new(&secret).code_at(NOW));
    let page = terminal.expect(ENTER).replace('\r', "");
    let codes = codes_on(&page, "");
    assert!(
        page.contains("\x1b[H\x1b[2J"),
        "the page before is gone: {page:?}"
    );
    assert!(!page.contains(&secret[..4]), "{page}");
    assert!(!page.contains("\x1b[?1049l"), "{page}");
    terminal.send_line("");
    let between = terminal.expect("\x1b[?1049l");
    assert!(between.contains("\x1b[2J"), "{between:?}");
    let (code, rest) = terminal.finish();
    assert_eq!(code, 0);
    // No more than is true where no service asks.
    let told = "alice is enrolled. Wherever a code is asked for, take it from the device phone;";
    assert!(rest.contains(told), "{rest}");
    assert!(!rest.contains("\x1b"), "{rest:?}");
    assert!(!codes.iter().any(|code| rest.contains(code)), "{rest}");
}

#[test]
fn nothing_is_active_until_a_right_code_was_typed() {
    let sandbox = nobody();
    let before = files(&sandbox);
    let mut terminal = terminal(&sandbox, &["enroll", "alice"]);
    let secret = secret_on(&terminal.expect(ASKS));
    let code = Oath::new(&secret).code_at(NOW);
    assert_eq!(files(&sandbox), before);
    assert!(!sandbox.login("alice", &[&code]).granted());
    terminal.send_line(&code);
    terminal.expect(ENTER);
    assert_ne!(files(&sandbox), before);
    let next = Oath::new(&secret).code_at(NOW + 30);
    assert!(sandbox.login("alice", &[&next]).granted());
}

#[test]
fn three_wrong_codes_change_nothing_and_the_right_one_is_never_shown() {
    let sandbox = nobody();
    let before = files(&sandbox);
    let mut terminal = terminal(&sandbox, &["enroll", "alice"]);
    let secret = secret_on(&terminal.expect(ASKS));
    let alice = Enrolled {
        secret,
        backup_codes: vec![],
    };
    terminal.send_line(&alice.wrong_code());
    assert!(terminal.expect(ASKS).contains("Wrong code."));
    terminal.send_line("no code at all");
    assert!(terminal.expect(ASKS).contains("Wrong code."));
    terminal.send_line(&alice.wrong_code());
    terminal.expect("\x1b[?1049l");
    terminal.expect("nothing was changed");
    let shown = terminal.transcript();
    assert!(terminal.finish().0 == 1 && files(&sandbox) == before);
    for steps in -1..=1 {
        assert!(!shown.contains(&alice.code(steps)), "{shown}");
    }
}

#[test]
fn to_press_enter_is_no_try() {
    let sandbox = nobody();
    let mut terminal = terminal(&sandbox, &["enroll", "alice"]);
    let secret = secret_on(&terminal.expect(ASKS));
    for typed in ["", " ", "\t", ""] {
        terminal.send_line(typed);
        let page = terminal.expect(ASKS);
        assert!(page.contains("Type the code that"), "{page}");
    }
    terminal.send_line(&Oath::new(&secret).code_at(NOW));
    terminal.expect(ENTER);
    // From a script that does nothing else it is.
    let done = sandbox.admin_with(&["enroll", "bob"], "\n\n\n").failed();
    assert!(done.stderr.contains("No try is left"), "{done:?}");
}

#[test]
fn a_script_is_told_which_options_spare_it_the_question() {
    let (sandbox, _) = Sandbox::with_alice();
    let nothing = "mfa-admin: no answer came. Nothing was changed";
    for (words, options) in [
        (&["enroll", "bob", "--no-verify"][..], "--yes"),
        (&["enroll", "bob", "--yes"], "--no-verify and --yes"),
        (&["enroll", "bob"], "--no-verify and --yes"),
        (&["disable", "alice"], "--yes"),
    ] {
        let said = sandbox.admin(words).failed().stderr;
        assert_eq!(said, format!("{nothing}. In scripts add {options}\n"));
    }
    let mut terminal = terminal(&sandbox, &["disable", "alice"]);
    terminal.expect("Type disable to go on: ");
    terminal.send("\x04");
    let (_, said) = terminal.finish();
    assert!(said.ends_with(&format!("{nothing}\r\n")), "{said}");
}

#[test]
fn two_wrong_codes_leave_a_third_try() {
    let sandbox = nobody();
    let mut terminal = terminal(&sandbox, &["enroll", "alice"]);
    let secret = secret_on(&terminal.expect(ASKS));
    let alice = Enrolled {
        secret,
        backup_codes: vec![],
    };
    for _ in 0..2 {
        terminal.send_line(&alice.wrong_code());
        terminal.expect(ASKS);
    }
    terminal.send_line(&alice.code(0));
    terminal.expect(ENTER);
}

#[test]
fn breaking_off_changes_nothing_and_puts_the_terminal_back() {
    // Ctrl-C, Ctrl-D, Ctrl-\ and Ctrl-Z.
    for key in ["\x03", "\x04", "\x1c", "\x1a"] {
        let sandbox = nobody();
        let before = files(&sandbox);
        let file = sandbox.path("codes");
        let path = file.to_str().expect("a path in UTF-8");
        let words = ["enroll", "alice", "--backup-codes-file", path];
        let mut terminal = terminal(&sandbox, &words);
        terminal.expect(ASKS);
        assert!(file.exists());
        terminal.send(key);
        terminal.expect("\x1b[?1049l");
        let (code, rest) = terminal.finish();
        assert_eq!(code, 1, "{key:?} {rest}");
        assert!(rest.contains("Nothing was changed"), "{rest}");
        assert_eq!(files(&sandbox), before);
        assert!(!file.exists());
    }
}

#[test]
fn a_clock_that_is_off_is_named() {
    for (steps, words) in [
        (20, "about 10 minutes ahead of this machine's"),
        (-20, "about 10 minutes behind this machine's"),
    ] {
        let sandbox = nobody();
        let before = files(&sandbox);
        let words_of = ["enroll", "alice", "--no-qr"];
        let mut terminal = terminal(&sandbox, &words_of);
        let secret = secret_on(&terminal.expect(ASKS));
        let time = NOW.saturating_add_signed(steps * 30);
        terminal.send_line(&Oath::new(&secret).code_at(time));
        let page = terminal.expect(ASKS);
        assert!(page.contains(words), "{page}");
        assert!(page.contains("2023-11-14 22:13"), "{page}");
        assert_eq!(files(&sandbox), before);
    }
}

#[test]
fn every_shape_of_code_verifies_and_logs_in() {
    for (algorithm, digits, period) in [("sha256", 8, 60), ("sha512", 6, 30), ("sha1", 8, 30)] {
        let sandbox = nobody();
        let shape = [
            format!("--algorithm={algorithm}"),
            format!("--digits={digits}"),
            format!("--period={period}"),
        ];
        let shape = shape.each_ref().map(|word| word.as_str());
        let words = [&["enroll", "alice"], &shape[..]].concat();
        let mut terminal = terminal(&sandbox, &words);
        let page = terminal.expect(ASKS);
        let oath = Oath {
            secret: secret_on(&page),
            algorithm,
            digits,
            period,
        };
        assert!(
            page.contains(&format!("Digits: {digits}, period: {period} seconds")),
            "{page}"
        );
        terminal.send_line(&oath.code_at(NOW));
        terminal.expect(ENTER);
        assert!(
            sandbox
                .login("alice", &[&oath.code_at(NOW + period)])
                .granted()
        );
    }
}

#[test]
fn without_a_terminal_there_are_plain_lines() {
    let sandbox = nobody();
    let before = files(&sandbox);
    let done = sandbox
        .admin_with(&["enroll", "alice"], "1\n2\n3\n")
        .failed();
    assert!(
        done.stdout.contains("No QR code is drawn"),
        "{}",
        done.stdout
    );
    assert_eq!(secret_on(&done.stdout).len(), 32);
    assert_eq!(done.stdout.matches(ASKS).count(), 3);
    assert!(
        done.stderr.contains("nothing was changed"),
        "{}",
        done.stderr
    );
    let silent = sandbox.admin(&["enroll", "alice"]).failed();
    assert!(
        silent.stderr.contains("Nothing was changed"),
        "{}",
        silent.stderr
    );
    for text in [done.stdout, done.stderr, silent.stdout, silent.stderr] {
        assert!(!text.contains('\x1b'), "{text:?}");
    }
    assert_eq!(files(&sandbox), before);
}

#[test]
fn a_dumb_terminal_gets_no_control_codes_and_is_told_to_be_cleared() {
    for term in ["dumb", ""] {
        let sandbox = nobody();
        let mut terminal = on(term, &sandbox, &["enroll", "alice"]);
        let secret = secret_on(&terminal.expect(ASKS));
        terminal.send_line(&Oath::new(&secret).code_at(NOW));
        terminal.expect("Clear them from the terminal");
        let shown = terminal.transcript();
        assert!(shown.contains("No QR code is drawn"), "{shown}");
        assert!(!shown.contains('\x1b'), "{shown:?}");
        assert_eq!(terminal.finish().0, 0);
    }
}

#[test]
fn a_small_terminal_is_told_its_size_and_a_usual_one_shows_the_code() {
    let sandbox = nobody();
    let words = ["enroll", "alice", "--issuer", "buildserver-01"];
    let small = shell(&sandbox, "stty rows 12 cols 60; admin \"$@\"", &words);
    let mut terminal = Pty::spawn(small);
    let page = terminal.expect(ASKS);
    assert!(page.contains("this one has 60 and 12"), "{page}");
    assert!(!page.contains('▀'), "{page}");
    assert_eq!(secret_on(&page).len(), 32);

    let usual = shell(&sandbox, "stty rows 24 cols 80; admin \"$@\"", &words);
    let mut terminal = Pty::spawn(usual);
    let page = terminal.expect(ASKS);
    assert!(page.contains('▀') && page.lines().count() <= 24, "{page}");
    assert_eq!(secret_on(&page).len(), 32);
}

#[test]
fn no_qr_draws_none_and_the_uri_comes_on_request() {
    let sandbox = nobody();
    let mut plain = terminal(&sandbox, &["enroll", "alice", "--no-qr"]);
    let page = plain.expect(ASKS);
    assert!(!page.contains('▀') && !page.contains('█'), "{page}");
    assert!(!page.contains("otpauth"), "{page}");
    let words = [
        "enroll",
        "alice",
        "--show-uri",
        "--issuer",
        "My Firm",
        "--label",
        "a@b",
    ];
    let mut with = terminal(&sandbox, &words);
    let page = with.expect(ASKS);
    let secret = secret_on(&page);
    let uri = format!("otpauth://totp/My%20Firm:a%40b?secret={secret}&issuer=My%20Firm\r\n");
    assert!(page.contains(&uri), "{page}");
}

#[test]
fn backup_codes_go_into_a_new_file_for_its_owner_alone() {
    let sandbox = nobody();
    let file = sandbox.path("codes");
    let path = file.to_str().expect("a path in UTF-8");
    let words = ["enroll", "alice", "--backup-codes-file", path];
    let mut terminal = terminal(&sandbox, &words);
    let secret = secret_on(&terminal.expect(ASKS));
    terminal.send_line(&Oath::new(&secret).code_at(NOW));
    terminal.expect("The backup codes are in");
    let shown = terminal.transcript();
    assert_eq!(terminal.finish().0, 0);

    let text = fs::read_to_string(&file).expect("read the backup codes");
    let mode = fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    for part in [
        "User: alice",
        "Host: ",
        "2023-11-14 22:13",
        "regenerate alice",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let codes = codes_on(&text, "[ ]  ");
    assert!(codes.iter().all(|code| !shown.contains(code)), "{shown}");
    assert!(sandbox.login("alice", &[&codes[0]]).granted());
    assert!(sandbox.login("alice", &[&codes[9]]).granted());
}

#[test]
fn no_file_is_overwritten_and_a_bad_path_fails_before_the_prompt() {
    let sandbox = nobody();
    let file = sandbox.path("codes");
    fs::write(&file, "mine").expect("write a file");
    let before = files(&sandbox);
    for path in [file.as_path(), Path::new("/no/such/folder/codes")] {
        let path = path.to_str().expect("a path in UTF-8");
        let done = sandbox
            .admin(&["enroll", "alice", "--backup-codes-file", path])
            .failed();
        assert!(done.stderr.contains(path), "{}", done.stderr);
        assert!(!done.stdout.contains("Secret"), "{}", done.stdout);
        assert_eq!(files(&sandbox), before);
    }
    assert_eq!(fs::read_to_string(&file).expect("read it"), "mine");
}

#[test]
fn no_file_stays_behind_when_nothing_was_enrolled() {
    let (sandbox, _) = Sandbox::with_alice();
    let file = sandbox.path("codes");
    let path = file.to_str().expect("a path in UTF-8");
    let words = ["enroll", "bob", "--backup-codes-file", path];
    sandbox.admin_with(&words, "1\n2\n3\n").failed();
    assert!(!file.exists());
    sandbox
        .admin(&["regenerate", "bob", "--backup-codes-file", path])
        .failed();
    assert!(!file.exists());
}

#[test]
fn scripts_get_one_json_object() {
    let sandbox = nobody();
    let words = [
        "--issuer", "vm", "--device", "key-ring", "--digits", "8", "alice",
    ];
    let done = sandbox.admin(&[&SCRIPTED[..], &words].concat()).ok();
    assert_eq!(done.stderr, "");
    let json = json_of(&done.stdout);
    let secret = json["secret"].as_str().expect("the secret");
    assert_eq!(json["backup_codes"].as_array().expect("codes").len(), 10);
    let expected = json!({
        "user": "alice", "uid": 2001, "device": "key-ring", "algorithm": "sha1", "digits": 8,
        "period": 30, "verified": false, "secret": secret,
        "uri": format!("otpauth://totp/vm:alice?secret={secret}&issuer=vm&digits=8"),
        "backup_codes": json["backup_codes"],
    });
    assert_eq!(json, expected);
    let oath = Oath {
        digits: 8,
        ..Oath::new(secret)
    };
    // Unverified: the present code is not spent.
    assert!(sandbox.login("alice", &[&oath.code_at(NOW)]).granted());
    let backup = json["backup_codes"][3].as_str().expect("a code");
    assert!(sandbox.login("alice", &[backup]).granted());
}

#[test]
fn a_person_can_verify_while_a_program_reads_the_json() {
    let sandbox = nobody();
    let file = sandbox.path("json");
    let script = format!("admin \"$@\" >{}", file.display());
    let mut terminal = Pty::spawn(shell(&sandbox, &script, &["enroll", "alice", "--json"]));
    let page = terminal.expect(ASKS);
    assert!(page.contains('▀'), "{page}");
    let secret = secret_on(&page);
    terminal.send_line(&Oath::new(&secret).code_at(NOW));
    assert_eq!(terminal.finish().0, 0);
    let json = json_of(&fs::read_to_string(file).expect("read the JSON"));
    assert_eq!(
        (&json["verified"], &json["secret"]),
        (&json!(true), &json!(secret))
    );
}

#[test]
fn going_without_a_code_needs_consent_and_shows_as_unverified() {
    let sandbox = nobody();
    let before = files(&sandbox);
    for typed in ["", "no\n", "\n"] {
        let done = sandbox
            .admin_with(&["enroll", "alice", "--no-verify"], typed)
            .failed();
        assert!(done.stdout.contains("locked out"), "{}", done.stdout);
        assert!(
            done.stderr.contains("Nothing was changed"),
            "{}",
            done.stderr
        );
        assert!(!done.stdout.contains("Secret"), "{}", done.stdout);
        assert_eq!(files(&sandbox), before);
    }
    sandbox
        .admin_with(&["enroll", "alice", "--no-verify"], "yes\n")
        .ok();
    sandbox
        .admin(&["enroll", "bob", "--no-verify", "--yes"])
        .ok();
    for user in ["alice", "bob"] {
        let status = sandbox.admin(&["status", user]).ok().stdout;
        assert!(status.contains("phone, unverified"), "{status}");
        let status = json_of(&sandbox.admin(&["status", user, "--json"]).ok().stdout);
        assert_eq!(status["devices"][0]["verified"], false);
    }
    let list = sandbox.admin(&["list"]).ok().stdout;
    assert!(row_of(&list, "alice").contains(" no "), "{list}");
}

#[test]
fn who_is_enrolled_already_is_told_the_ways_on() {
    let (sandbox, _) = Sandbox::with_alice();
    let before = files(&sandbox);
    let done = sandbox.admin(&["enroll", "alice"]).failed();
    let said = done.stderr;
    for way in [
        "already enrolled",
        "regenerate alice",
        "disable alice",
        "--replace alice",
    ] {
        assert!(said.contains(way), "{way}: {said}");
    }
    assert!(!done.stdout.contains("Secret"), "{}", done.stdout);
    assert_eq!(files(&sandbox), before);
}

#[test]
fn with_replace_the_old_secret_works_until_the_new_one_is_verified() {
    let (sandbox, old) = Sandbox::with_alice();
    let mut terminal = terminal(&sandbox, &["enroll", "--replace", "alice"]);
    let secret = secret_on(&terminal.expect(ASKS));
    assert_ne!(secret, old.secret);
    assert!(sandbox.login("alice", &[&old.code(0)]).granted());
    let new = Enrolled {
        secret,
        backup_codes: vec![],
    };
    assert!(!sandbox.login("alice", &[&new.code(0)]).granted());
    terminal.send_line(&new.code(0));
    terminal.expect(ENTER);
    assert!(!sandbox.login("alice", &[&old.code(1)]).granted());
    assert!(!sandbox.login("alice", &[&old.backup_codes[0]]).granted());
    assert!(sandbox.login("alice", &[&new.code(1)]).granted());
}

#[test]
fn a_replacement_that_is_not_verified_leaves_the_old_enrollment() {
    let (sandbox, old) = Sandbox::with_alice();
    let before = files(&sandbox);
    sandbox
        .admin_with(&["enroll", "--replace", "alice"], "1\n2\n3\n")
        .failed();
    assert_eq!(files(&sandbox), before);
    assert!(sandbox.login("alice", &[&old.code(0)]).granted());
    assert!(sandbox.login("alice", &[&old.backup_codes[0]]).granted());
}

#[test]
fn names_that_cannot_be_are_refused_in_one_line_with_the_way_out() {
    let sandbox = nobody();
    let before = files(&sandbox);
    let long = "x".repeat(300);
    for (words, hint) in [
        (["--issuer", "a:b"], "--issuer"),
        (["--issuer", "a\nb"], "--issuer"),
        (["--issuer", &long], "--issuer"),
        (["--label", "a:b"], "--label"),
        (["--label", ""], "--label"),
        (["--device", "my phone"], "name of a device"),
        (["--device", &long], "name of a device"),
    ] {
        let done = sandbox
            .admin(&[&SCRIPTED[..], &words, &["alice"]].concat())
            .failed();
        assert_eq!(done.code(), 1);
        assert!(done.stderr.contains(hint), "{}", done.stderr);
        assert_one_line(&done.stderr);
        assert_eq!(
            (done.stdout.as_str(), files(&sandbox)),
            ("", before.clone())
        );
    }
}

fn assert_one_line(stderr: &str) {
    assert!(stderr.starts_with("mfa-admin: "), "{stderr}");
    assert_eq!(stderr.matches('\n').count(), 1, "{stderr}");
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    let sandbox = nobody();
    for words in [
        &["enrol", "alice"][..],
        &["enroll"],
        &["enroll", "alice", "--digits", "7"],
        &["enroll", "alice", "--period", "45"],
        &["enroll", "alice", "--algorithm", "md5"],
        &["--root", "relative", "list"],
    ] {
        assert_eq!(sandbox.admin(words).code(), 2, "{words:?}");
    }
}

#[test]
fn who_is_not_root_is_told_so_in_one_line() {
    need_root!();
    let (sandbox, _) = Sandbox::with_alice();
    let before = files(&sandbox);
    for words in [
        &["init"][..],
        &["enroll", "bob", "--no-verify", "--yes"],
        &["regenerate", "alice"],
        &["disable", "alice", "--yes"],
        &["list"],
        &["status", "alice"],
    ] {
        let admin = sandbox.admin_command(words);
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .arg(admin.get_program())
            .args(admin.get_args());
        let done = run(&mut command, "").failed();
        assert_eq!(done.code(), 1);
        assert!(done.stderr.contains("must run as root"), "{}", done.stderr);
        assert_one_line(&done.stderr);
        assert_eq!(files(&sandbox), before);
    }
}

#[test]
fn what_cannot_be_written_is_an_error_and_no_panic() {
    let sandbox = nobody();
    let into_full = |words: &[&str]| {
        let done = run(&mut shell(&sandbox, "admin \"$@\" >/dev/full", words), "").failed();
        assert_eq!(done.code(), 1);
        assert_one_line(&done.stderr);
        done.stderr
    };
    into_full(&["list"]);
    into_full(&["init"]);
    for options in [&[][..], &["--no-verify"], &["--no-verify", "--yes"]] {
        let said = into_full(&[&["enroll", "alice"], options].concat());
        let place = "cannot write to standard output: No space left on device";
        assert!(said.contains(place), "{said}");
    }
    assert!(sandbox.path("etc/pam_mfa/key").exists());
    sandbox.enroll("alice");
    into_full(&["status", "alice"]);
    for words in [&["unlock", "alice"][..], &["disable", "alice", "--yes"]] {
        let said = into_full(words);
        assert!(said.contains("it is done, but standard output"), "{said}");
    }
    assert!(!sandbox.path("var/lib/pam_mfa/users/2001.toml").exists());
}

#[test]
fn a_wrong_command_line_is_told_every_way_to_name_somebody() {
    let sandbox = nobody();
    for (command, ways) in [
        ("regenerate", "<USER|--all>"),
        ("disable", "<USER|--uid <N>>"),
    ] {
        let wrong = sandbox.admin(&[command]);
        assert_eq!(wrong.code(), 2);
        assert!(wrong.stderr.contains(&format!("\n  {ways}\n")), "{wrong:?}");
    }
    for words in [
        &["regenerate", "alice", "--all"][..],
        &["disable", "alice", "--uid", "2001"],
    ] {
        assert_eq!(sandbox.admin(words).code(), 2, "{words:?}");
    }
}

#[test]
fn unlocking_does_not_need_the_configuration_and_tells_that_it_is_broken() {
    let (sandbox, alice) = Sandbox::with_alice();
    let wrong = alice.wrong_code();
    sandbox.login("alice", &[&wrong, &wrong]);
    sandbox.write("etc/pam_mfa/config.toml", "junk = 1\n");
    let done = sandbox.admin(&["unlock", "alice"]).ok();
    assert_eq!(done.stdout, "The failed attempts of alice are forgotten.\n");
    assert_one_line(&done.stderr);
    let warning = "warning: it is done, but a login is refused all the same: ";
    assert!(done.stderr.contains(warning), "{}", done.stderr);
    assert!(done.stderr.contains("config.toml"), "{}", done.stderr);
    sandbox.write("etc/pam_mfa/config.toml", "");
    let status = sandbox.admin(&["status", "alice", "--json"]).ok().stdout;
    assert_eq!(json_of(&status)["failed_attempts"], 0);
}

#[test]
fn a_broken_configuration_hides_nobody() {
    let (sandbox, _) = Sandbox::with_alice();
    sandbox.write("etc/pam_mfa/config.toml", "junk = 1\n");
    for words in [&["list"][..], &["list", "--json"], &["status", "alice"]] {
        let told = sandbox.admin(words).failed();
        assert!(told.stdout.contains("alice"), "{told:#?}");
        assert_one_line(&told.stderr);
        for word in ["every login is refused: ", "config.toml", "junk"] {
            assert!(told.stderr.contains(word), "no {word:?} in {told:#?}");
        }
    }
}

#[test]
fn no_core_is_dumped() {
    need_root!();
    let (sandbox, _) = Sandbox::with_alice();
    let mut waiting = sandbox.admin_command(&["disable", "alice"]);
    let piped = waiting.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut waiting = piped
        .stderr(Stdio::null())
        .spawn()
        .expect("start mfa-admin");
    let mut said = [0; 1];
    let stdout = waiting.stdout.as_mut().expect("stdout is a pipe");
    stdout.read_exact(&mut said).expect("it says something");
    let limits = fs::read_to_string(format!("/proc/{}/limits", waiting.id()));
    drop(waiting.stdin.take());
    waiting.wait().expect("wait for mfa-admin");
    let limits = limits.expect("read the limits");
    let core = row_of(&limits, "Max core file size");
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    assert_eq!(core.split_whitespace().nth(5), Some("0"), "{core}");
}

// 3. regenerate, disable

#[test]
fn regenerate_gives_ten_new_codes_and_the_old_are_dead() {
    let (sandbox, old) = Sandbox::with_alice();
    let done = sandbox.admin(&["regenerate", "alice", "--json"]).ok();
    let json = json_of(&done.stdout);
    assert_eq!(
        (&json["user"], &json["uid"]),
        (&json!("alice"), &json!(2001))
    );
    let new: Vec<String> = serde_json::from_value(json["backup_codes"].clone()).expect("codes");
    assert_eq!(new.len(), 10);
    for code in &old.backup_codes {
        assert!(!sandbox.login("alice", &[code]).granted());
    }
    assert!(
        new.iter()
            .all(|code| sandbox.login("alice", &[code]).granted())
    );
    // The secret is unchanged.
    assert!(sandbox.login("alice", &[&old.code(0)]).granted());
}

#[test]
fn regenerate_shows_the_codes_once_and_clears_them() {
    let (sandbox, _) = Sandbox::with_alice();
    let mut terminal = terminal(&sandbox, &["regenerate", "alice"]);
    let page = terminal.expect(ENTER).replace('\r', "");
    let codes = codes_on(&page, "");
    terminal.send_line("");
    terminal.expect("\x1b[?1049l");
    let (code, rest) = terminal.finish();
    assert_eq!(code, 0);
    assert!(rest.contains("ten new backup codes"), "{rest}");
    assert!(codes.iter().all(|code| !rest.contains(code)), "{rest}");
    assert!(sandbox.login("alice", &[&codes[0]]).granted());
}

#[test]
fn regenerate_writes_a_file_and_scripts_get_plain_lines() {
    let (sandbox, _) = Sandbox::with_alice();
    let file = sandbox.path("codes");
    let path = file.to_str().expect("a path in UTF-8");
    let done = sandbox
        .admin(&["regenerate", "alice", "--backup-codes-file", path])
        .ok();
    let codes = codes_on(&fs::read_to_string(&file).expect("read the codes"), "[ ]  ");
    assert!(
        codes.iter().all(|code| !done.stdout.contains(code)),
        "{}",
        done.stdout
    );
    assert!(sandbox.login("alice", &[&codes[0]]).granted());
    let plain = sandbox.admin(&["regenerate", "alice"]).ok().stdout;
    assert!(!plain.contains('\x1b'), "{plain:?}");
    assert!(
        sandbox
            .login("alice", &[&codes_on(&plain, "")[0]])
            .granted()
    );
}

#[test]
fn with_yes_nobody_waits_for_enter() {
    let (sandbox, _) = Sandbox::with_alice();
    let mut terminal = terminal(&sandbox, &["regenerate", "alice", "--yes"]);
    terminal.expect("ten new backup codes");
    let shown = terminal.transcript().replace('\r', "");
    assert_eq!(terminal.finish().0, 0);
    assert!(!shown.contains('\x1b'), "{shown:?}");
    codes_on(&shown, "");
}

#[test]
fn commands_about_somebody_who_is_not_enrolled() {
    let sandbox = nobody();
    for words in [
        &["regenerate", "alice"][..],
        &["disable", "alice", "--yes"],
        &["disable", "alice"],
        &["status", "alice"],
        &["status", "alice", "--json"],
    ] {
        let done = sandbox.admin(words).failed();
        assert_eq!((done.code(), done.stdout.as_str()), (1, ""));
        assert!(
            done.stderr.contains("alice is not enrolled"),
            "{}",
            done.stderr
        );
        assert!(
            done.stderr.contains("mfa-admin enroll alice"),
            "{}",
            done.stderr
        );
    }
}

#[test]
fn disable_wants_the_word_and_removes_everything() {
    let (sandbox, alice) = Sandbox::with_alice();
    let before = files(&sandbox);
    for typed in ["", "\n", "yes\n"] {
        let done = sandbox.admin_with(&["disable", "alice"], typed).failed();
        assert!(
            done.stderr.contains("Nothing was changed"),
            "{}",
            done.stderr
        );
        assert_eq!(files(&sandbox), before);
    }
    let mut terminal = terminal(&sandbox, &["disable", "alice"]);
    terminal.expect("Type disable to go on: ");
    terminal.send_line("disable");
    let (code, said) = terminal.finish();
    assert_eq!(code, 0);
    assert!(
        said.contains("refused until: mfa-admin enroll alice"),
        "{said}"
    );
    assert!(!sandbox.path("var/lib/pam_mfa/users/2001.toml").exists());
    assert!(!sandbox.path("var/lib/pam_mfa/state/2001").exists());
    assert!(!sandbox.login("alice", &[&alice.code(0)]).granted());
    assert!(!sandbox.login("alice", &[&alice.backup_codes[0]]).granted());
}

#[test]
fn disable_promises_what_the_policy_does() {
    for (policy, promise) in [
        ("", "alice is refused until: mfa-admin enroll alice"),
        (
            "unenrolled = 'skip'",
            "no login of alice is asked for a code (not enrolled; unenrolled = \"skip\")",
        ),
        (
            "unenrolled = 'skip'\nskip_until = 2023-11-20",
            "no login of alice is asked for a code until 2023-11-20 (UTC) (not enrolled;",
        ),
        (
            "group.alice.unenrolled = 'skip'",
            "no login of alice is asked for a code (not enrolled; group.alice.unenrolled",
        ),
        ("junk = 1", "cannot be told"),
    ] {
        let (sandbox, _) = Sandbox::with_alice();
        sandbox.write("etc/pam_mfa/config.toml", policy);
        let config = File::open(sandbox.path("etc/pam_mfa/config.toml")).expect("open");
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        config.set_modified(changed).expect("set the time");
        let asked = sandbox.admin(&["disable", "alice"]).failed().stdout;
        assert!(asked.contains(promise), "{policy}: {asked}");
        let done = sandbox.admin(&["disable", "alice", "--yes"]).ok().stdout;
        assert!(done.contains(promise), "{policy}: {done}");
    }
}

#[test]
fn disable_names_no_command_for_a_uid_without_a_name() {
    let (sandbox, _) = Sandbox::with_alice();
    let done = sandbox.admin(&["disable", "--uid", "2001", "--yes"]).ok();
    assert_eq!(done.stdout, "uid 2001 is not enrolled any more.\n");
    sandbox.enroll("bob");
    // The accounts of the real system: among them is no bob any more.
    let mut command = sandbox.admin_command(&["disable", "bob", "--yes"]);
    let done = run(command.env("LD_PRELOAD", locate::virtual_clock()), "").ok();
    assert_eq!(done.stdout, "bob is not enrolled any more.\n");
}

#[test]
fn what_is_in_the_way_of_disable_after_the_record_is_gone_is_a_warning() {
    let (sandbox, alice) = Sandbox::with_alice();
    let state = sandbox.path("var/lib/pam_mfa/state/2001");
    fs::create_dir(state.join("left")).expect("make a directory");
    let done = sandbox.admin(&["disable", "alice", "--yes"]).ok();
    assert!(done.stdout.starts_with("alice is not enrolled any more."));
    assert_one_line(&done.stderr);
    let what_to_do = format!("then remove it: {}\n", state.display());
    assert!(done.stderr.contains("warning: it is done, but "));
    assert!(done.stderr.ends_with(&what_to_do), "{}", done.stderr);
    assert!(!sandbox.login("alice", &[&alice.code(0)]).granted());
    fs::remove_dir_all(state).expect("do what the warning says");
    sandbox.enroll("alice");
}

#[test]
fn disable_with_yes_asks_nothing() {
    let (sandbox, _) = Sandbox::with_alice();
    let said = sandbox.admin(&["disable", "alice", "--yes"]).ok().stdout;
    assert!(!said.contains("Type disable"), "{said}");
    assert!(!sandbox.path("var/lib/pam_mfa/state/2001").exists());
}

// 4. list, status

fn row_of<'t>(list: &'t str, user: &str) -> &'t str {
    let row = list.lines().find(|line| line.starts_with(user));
    row.unwrap_or_else(|| panic!("no {user}: {list}"))
}

#[test]
fn status_tells_what_was_used_and_when() {
    let (sandbox, alice) = Sandbox::with_alice();
    let fresh = json_of(&sandbox.admin(&["status", "alice", "--json"]).ok().stdout);
    let device = json!({
        "label": "phone", "algorithm": "sha1", "digits": 6, "period": 30, "verified": false,
        "enrolled": "2023-11-14T22:13:45Z", "last_used": null,
    });
    let expected = json!({
        "user": "alice", "uid": 2001, "devices": [device],
        "backup_codes": {"left": 10, "of": 10, "made": "2023-11-14T22:13:45Z"},
        "last_login": null, "failed_attempts": 0, "codes_in_a_row": 1, "suspended": false, "state_readable": true,
    });
    assert_eq!(fresh, expected);

    sandbox.at(NOW + 3600);
    assert!(sandbox.login("alice", &[&alice.code(120)]).granted());
    sandbox.at(NOW + 7200);
    assert!(sandbox.login("alice", &[&alice.backup_codes[0]]).granted());
    let used = json_of(&sandbox.admin(&["status", "alice", "--json"]).ok().stdout);
    assert_eq!(used["backup_codes"]["left"], 9);
    assert_eq!(used["last_login"], "2023-11-15T00:13:45Z");
    assert_eq!(used["devices"][0]["last_used"], "2023-11-14T23:13:30Z");
    let text = sandbox.admin(&["status", "alice"]).ok().stdout;
    for part in [
        "alice (uid 2001)",
        "phone, unverified",
        "sha1, 6 digits, 30 seconds",
        "Enrolled    2023-11-14 22:13",
        "Last used   2023-11-14 23:13",
        "9 of 10 left, made 2023-11-14 22:13",
        "Last login    2023-11-15 00:13",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_verified_device_shows_as_verified() {
    let sandbox = nobody();
    enroll_on_terminal(&sandbox, str::to_owned);
    let status = sandbox.admin(&["status", "alice"]).ok().stdout;
    assert!(status.contains("phone, verified"), "{status}");
    let list = sandbox.admin(&["list"]).ok().stdout;
    assert!(row_of(&list, "alice").contains(" yes "), "{list}");
}

#[test]
fn list_shows_everybody() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.enroll("bob");
    assert!(sandbox.login("alice", &[&alice.backup_codes[0]]).granted());
    let list = sandbox.admin(&["list"]).ok().stdout;
    let words = |user| row_of(&list, user).split_whitespace().collect::<Vec<_>>();
    let day = ["2023-11-14", "22:13"];
    let row = [&["alice", "phone", "no", "9"], &day[..], &day].concat();
    assert_eq!(words("alice"), row);
    assert_eq!(
        words("bob"),
        [&["bob", "phone", "no", "10", "never"], &day[..]].concat()
    );
    let json = json_of(&sandbox.admin(&["list", "--json"]).ok().stdout);
    let status = |user| json_of(&sandbox.admin(&["status", user, "--json"]).ok().stdout);
    assert_eq!(json, json!({"users": [status("alice"), status("bob")]}));
}

#[test]
fn times_are_those_of_the_place_for_people_and_utc_for_programs() {
    let (sandbox, _) = Sandbox::with_alice();
    let status = |words: &[&str]| {
        let mut command = sandbox.admin_command(words);
        command.env("TZ", "XXX-5");
        run(&mut command, "").ok().stdout
    };
    assert!(status(&["status", "alice"]).contains("2023-11-15 03:13"));
    assert!(status(&["status", "alice", "--json"]).contains("2023-11-14T22:13:45Z"));
}

#[test]
fn a_record_that_cannot_be_read_hides_no_other() {
    let (sandbox, _) = Sandbox::with_alice();
    sandbox.enroll("bob");
    let record = sandbox.path("var/lib/pam_mfa/users/2001.toml");
    let text = fs::read_to_string(&record).expect("read a record");
    fs::write(&record, text.replace("alice", "mallo")).expect("write a record");
    let done = sandbox.admin(&["list"]).failed();
    assert!(
        row_of(&done.stdout, "bob").contains("phone"),
        "{}",
        done.stdout
    );
    assert!(
        row_of(&done.stdout, "uid 2001").contains("altered"),
        "{}",
        done.stdout
    );
    assert!(done.stderr.contains("cannot be used: 1"), "{}", done.stderr);
    let done = sandbox.admin(&["list", "--json"]).failed();
    let users = &json_of(&done.stdout)["users"];
    assert_eq!(
        (&users[0]["uid"], &users[1]["user"]),
        (&json!(2001), &json!("bob"))
    );
    let fault = users[0]["fault"].as_str().expect("a fault");
    assert!(fault.contains("altered"), "{fault}");
    let said = sandbox.admin(&["status", "alice"]).failed().stderr;
    assert!(
        said.contains("altered") && said.contains("disable"),
        "{said}"
    );
}

#[test]
fn a_record_of_a_name_with_another_uid_is_no_enrollment() {
    let (sandbox, _) = Sandbox::with_alice();
    sandbox.remove_account("alice");
    sandbox.add_account("alice", 3001);
    sandbox.add_account("eve", 2001);
    let said = sandbox.admin(&["status", "eve"]).failed().stderr;
    assert!(said.contains("disable --uid 2001"), "{said}");
    let list = sandbox.admin(&["list"]).failed().stdout;
    assert!(
        row_of(&list, "uid 2001").contains("disable --uid 2001"),
        "{list}"
    );
}

#[test]
fn a_state_that_cannot_be_read_is_told_with_what_to_do() {
    let (sandbox, _) = Sandbox::with_alice();
    let state = sandbox.path("var/lib/pam_mfa/state/2001");
    for block in fs::read_dir(state).expect("list the state") {
        fs::write(block.expect("a block").path(), "junk").expect("spoil the block");
    }
    let text = sandbox.admin(&["status", "alice"]).ok().stdout;
    assert!(text.contains("not taken now"), "{text}");
    for field in ["  Last used   ", "Last login    ", "Failed since  "] {
        assert!(text.contains(&format!("{field}unknown\n")), "{text}");
    }
    assert!(text.contains("mfa-admin regenerate alice"), "{text}");
    assert!(row_of(&sandbox.admin(&["list"]).ok().stdout, "alice").contains("unknown"));
    let json = json_of(&sandbox.admin(&["status", "alice", "--json"]).ok().stdout);
    assert_eq!(
        (&json["backup_codes"]["left"], &json["state_readable"]),
        (&json!(null), &json!(false))
    );
    sandbox.admin(&["regenerate", "alice"]).ok();
    let text = sandbox.admin(&["status", "alice"]).ok().stdout;
    assert!(text.contains("10 of 10 left"), "{text}");
}

#[test]
fn the_named_repair_works_where_the_uid_was_given_to_somebody_else() {
    let (sandbox, _) = Sandbox::with_alice();
    sandbox.remove_account("alice");
    sandbox.add_account("alice", 3001);
    sandbox.add_account("eve", 2001);
    // Nobody gets codes or tries that no login would take, or is told that he is enrolled.
    for command in ["regenerate", "unlock", "enroll"] {
        let said = sandbox.admin(&[command, "eve"]).failed().stderr;
        assert!(said.contains("disable --uid 2001"), "{command}: {said}");
    }
    sandbox.admin(&["disable", "--uid", "2001", "--yes"]).ok();
    assert!(
        sandbox
            .admin(&["list"])
            .ok()
            .stdout
            .contains("Nobody is enrolled")
    );
    sandbox.enroll("alice");
    sandbox
        .admin(&["disable", "--uid", "2001", "--yes"])
        .failed();
}

#[test]
fn a_damaged_record_is_named_before_a_new_secret_is_shown() {
    let (sandbox, _) = Sandbox::with_alice();
    let record = sandbox.path("var/lib/pam_mfa/users/2001.toml");
    fs::write(record, "junk").expect("spoil the record");
    let done = sandbox.admin(&["enroll", "alice", "--replace"]).failed();
    assert_eq!(done.stdout, "");
    assert!(done.stderr.contains("(mfa-admin disable)"), "{done:?}");
}

#[test]
fn for_somebody_who_is_not_there_no_store_is_made() {
    let sandbox = Sandbox::uninitialized();
    let done = sandbox.admin(&["enroll", "nosuch"]).failed();
    assert_eq!(done.stdout, "");
    assert!(files(&sandbox).is_empty(), "{done:?}");
}

#[test]
fn status_and_unlock_tell_why_codes_in_a_row_are_asked_for() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.at(NOW + 10 * 86400);
    let code = alice.code_at(NOW + 10 * 86400);
    assert!(sandbox.login("alice", &[&code]).granted());
    sandbox.at(NOW);
    for command in ["status", "unlock"] {
        let said = sandbox.admin(&[command, "alice"]).ok().stdout;
        assert!(said.contains("Set the clock."), "{command}: {said}");
        assert!(!said.contains("mfa-admin status"), "{said}");
    }
    sandbox.at(NOW + 20 * 86400);
    let state = sandbox.path("var/lib/pam_mfa/state/2001");
    for day in 0..5000 {
        fs::write(state.join(format!("guess-{day}")), "").expect("claim a name");
    }
    let said = sandbox.admin(&["status", "alice"]).ok().stdout;
    assert!(
        said.contains(
            "until they were accepted once, or, if the clock was ahead, until: mfa-admin unlock"
        ),
        "{said}"
    );
    let said = sandbox.admin(&["unlock", "alice"]).ok().stdout;
    assert!(said.contains("A login asks for one code."), "{said}");
}

#[test]
fn whoever_breaks_off_before_the_codes_are_active_keeps_the_old_ones() {
    need!("/usr/bin/strace");
    let (sandbox, alice) = Sandbox::with_alice();
    // As soon as signals are held back, long before anything is asked.
    let inject = "inject=signalfd4:signal=INT:when=1";
    let words = ["strace", "-qq", "-o", "/dev/null", "-e", inject];
    let command = sandbox.admin_command(&["regenerate", "alice"]);
    let said = run(&mut under(&words, &command), "").failed().stderr;
    assert!(said.contains("nothing was changed for alice"), "{said}");
    assert!(sandbox.login("alice", &[&alice.backup_codes[0]]).granted());
}

#[test]
fn a_secret_that_nobody_waits_for_stays_on_the_terminal() {
    let sandbox = Sandbox::new();
    let terminal = sandbox.admin_on_terminal(&["enroll", "alice", "--no-verify", "--yes"]);
    let (code, shown) = terminal.finish();
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("Secret:") && !shown.contains("\x1b[?1049h"),
        "{shown}"
    );
}

#[test]
fn codes_that_fit_no_page_stay_on_the_terminal() {
    let (sandbox, _) = Sandbox::with_alice();
    let low = ["sh", "-c", "stty rows 10 cols 80 && exec \"$0\" \"$@\""];
    let command = sandbox.admin_command(&["regenerate", "alice"]);
    let (code, shown) = Pty::spawn(under(&low, &command)).finish();
    assert!(
        code == 0 && shown.contains("Clear them from the terminal"),
        "{shown}"
    );
}
