//! A configuration that is not understood: every problem is told at once, and nobody gets in.

use std::{fs, os::unix::fs::symlink};

use mfa_tests::{pam, sandbox::Sandbox};

const CONFIG: &str = "etc/pam_mfa/config.toml";
const OUT_OF_ORDER: &str = "The verification code cannot be checked now. The administrator finds the reason in the system log.";
const CHECK: [&str; 2] = ["config", "check"];

/// Alice is enrolled; behind the module everybody is let in.
fn sandbox() -> Sandbox {
    let (sandbox, _) = Sandbox::with_alice();
    sandbox.stack(
        "auth [success=ok ignore=ignore default=die] {mfa}\nauth required pam_permit.so\n\
         account required pam_permit.so\n",
    );
    sandbox
}

fn configure(sandbox: &Sandbox, text: impl AsRef<[u8]>) {
    // Whatever the umask, others must not be able to write it.
    sandbox.write(CONFIG, "");
    fs::write(sandbox.path(CONFIG), text).expect("write the configuration");
}

fn path(sandbox: &Sandbox) -> String {
    sandbox.path(CONFIG).display().to_string()
}

/// The check fails and says all these words; a login is refused without a prompt, and its line in the
/// log says them, too.
#[track_caller]
fn assert_bad(sandbox: &Sandbox, name: &str, code: i32, words: &[&str]) {
    let check = sandbox.admin(&CHECK).failed();
    assert_eq!((check.code(), &*check.stdout), (1, ""), "{name}");
    let outcome = sandbox.login("alice", &[]);
    assert_eq!(
        (outcome.code, outcome.setcred),
        (code, None),
        "{name}: {outcome:#?}"
    );
    assert_eq!(outcome.shown(), format!("{OUT_OF_ORDER}\n"), "{name}");
    let line = sandbox.decisions().pop().expect("a line");
    for word in [&path(sandbox)]
        .into_iter()
        .map(String::as_str)
        .chain(words.iter().copied())
    {
        assert!(
            check.stderr.contains(word),
            "{name}: no {word:?} in {}",
            check.stderr
        );
        let logged = word.replace('"', "'");
        assert!(line.contains(&logged), "{name}: no {word:?} in {line}");
    }
}

#[test]
fn every_problem_is_told_at_once_with_line_key_and_what_was_expected() {
    let sandbox = sandbox();
    configure(
        &sandbox,
        "tries = 0\ntris = 3\n\nskip_until = '2027-01-31'\ntrusted_networks = [\n'gate.example.org']\n[exempt]\nusers = 'bob'\n[service.su]\necho = 'no'\n",
    );
    let problems = [
        "line 1: `tries`: expected a number from 1 to 10",
        "line 2: `tris`: unknown key; known here: skip_until, unenrolled, ",
        "line 4: `skip_until`: expected a day such as 2027-01-31, without quotes",
        "line 6: `trusted_networks`: \"gate.example.org\" is no address; expected a literal one",
        "line 8: `exempt.users`: expected a list of names such as [\"alice\"]",
        "line 10: `service.su.echo`: expected true or false",
    ];
    assert_bad(&sandbox, "six", pam::SERVICE_ERR, &problems);
    let stderr = sandbox.admin(&CHECK).failed().stderr;
    let lines: Vec<&str> = stderr.lines().skip(1).map(str::trim).collect();
    assert_eq!(lines.len(), problems.len(), "{stderr}");
    assert!(
        lines
            .iter()
            .zip(problems)
            .all(|(line, problem)| line.starts_with(problem)),
        "{stderr}"
    );
    configure(&sandbox, "tries = 1\n");
    sandbox.admin(&CHECK).ok();
}

#[test]
fn a_hostile_file_refuses_every_login_and_harms_nobody() {
    let sandbox = sandbox();
    let open = "exempt.users = ['alice']\nunenrolled = 'skip'\n";
    for (name, text, words) in [
        ("nul", format!("{open}\0"), "line 3"),
        (
            "nul in a key",
            format!("{open}\"a\\u0000b\" = 1"),
            "line 3: `a",
        ),
        ("junk behind", format!("{open}]["), "line 3"),
        (
            "twice the same key",
            format!("{open}tries = 1\ntries = 2"),
            "line 4",
        ),
        (
            "twice the same table",
            format!("{open}[service.su]\n[service.su]"),
            "line 4",
        ),
        (
            "a table twice in two ways",
            format!("{open}[service]\nsu.tries = 1\n[service.su]"),
            "line 5",
        ),
        (
            "more of a dotted table",
            format!("{open}[exempt]\nservices = ['test']"),
            "line 3",
        ),
        (
            "an array of tables",
            format!("{open}[[group]]\nunenrolled = 'skip'"),
            "`group`: expected a table",
        ),
        (
            "a table for a value",
            format!("{open}[tries]\nx = 1"),
            "`tries`: expected a number",
        ),
        (
            "a value for a table",
            format!("{open}require = true"),
            "`require`: expected a table",
        ),
        (
            "a table in a list",
            format!("{open}trusted_networks = [{{}}]"),
            "`trusted_networks`: expected",
        ),
        (
            "a list in a list",
            format!("{open}require.users = [['bob']]"),
            "`require.users`: expected",
        ),
        (
            "a huge integer",
            format!("{open}tries = {}", "9".repeat(10_000)),
            "`tries`: expected",
        ),
        (
            "a huge float",
            format!("{open}suspend_after = 1e999"),
            "`suspend_after`: expected",
        ),
        (
            "infinity",
            format!("{open}tries = inf"),
            "`tries`: expected",
        ),
        (
            "look-alikes",
            format!("{open}\"unеnrolled\" = 'deny'"),
            "unknown key",
        ),
        (
            "other case",
            format!("{open}Tries = 1"),
            "`Tries`: unknown key",
        ),
        (
            "an empty name",
            format!("{open}require.groups = ['']"),
            "`require.groups`: expected a name",
        ),
        (
            "control in a prompt",
            format!("{open}prompt = \"a\\u001b[2J\""),
            "`prompt`: expected",
        ),
        (
            "a long prompt",
            format!("{open}prompt = '{}'", "ü".repeat(129)),
            "`prompt`: expected",
        ),
        (
            "a day that there is not",
            format!("{open}skip_until = 2023-02-29"),
            "line 3",
        ),
        (
            "a day with a time",
            format!("{open}skip_until = 2027-01-31T00:00:00Z"),
            "`skip_until`: expected",
        ),
        (
            "deep lists",
            format!("{open}x = {}", "[".repeat(100_000)),
            "line 3",
        ),
        (
            "deep tables",
            format!("{open}x = {}", "{x=".repeat(50_000)),
            "line 3",
        ),
        (
            "deep keys",
            format!("{open}{}x = 1", "x.".repeat(100_000)),
            "recursion limit",
        ),
        (
            "deep header",
            format!("{open}[{}x]", "x.".repeat(100_000)),
            "recursion limit",
        ),
        (
            "many wrong keys",
            open.to_owned() + &(0..1000).map(|n| format!("k{n} = 1\n")).collect::<String>(),
            "line 3: `k0`: unknown key",
        ),
        ("an open text", format!("{open}prompt = \"\"\"\n"), "line 3"),
        (
            "a lone return",
            format!("{open}tries = 1\rtries = 2"),
            "line 3",
        ),
    ] {
        configure(&sandbox, text);
        assert_bad(&sandbox, name, pam::SERVICE_ERR, &[words]);
    }
    for (name, bytes) in [
        (
            "latin 1",
            b"exempt.users = ['alice', 'j\xfcrgen']".as_slice(),
        ),
        ("utf 16", b"\xff\xfet\0r\0i\0"),
    ] {
        configure(&sandbox, bytes);
        assert_bad(
            &sandbox,
            name,
            pam::SERVICE_ERR,
            &["line 1: the file is not UTF-8 text"],
        );
    }
}

#[test]
fn what_is_no_plain_file_of_bounded_size_refuses_every_login() {
    let sandbox = sandbox();
    let open = "exempt.users = ['alice']\n";
    configure(&sandbox, open.to_owned() + &"#".repeat(10 << 20));
    assert_bad(
        &sandbox,
        "10 MB",
        pam::AUTHINFO_UNAVAIL,
        &["is larger than any of ours"],
    );
    fs::remove_file(sandbox.path(CONFIG)).expect("remove");
    sandbox.write("elsewhere", open);
    symlink(sandbox.path("elsewhere"), sandbox.path(CONFIG)).expect("make a link");
    assert_bad(
        &sandbox,
        "a link",
        pam::AUTHINFO_UNAVAIL,
        &["is a symbolic link"],
    );
    fs::remove_file(sandbox.path(CONFIG)).expect("remove");
    fs::create_dir(sandbox.path(CONFIG)).expect("make a directory");
    assert_bad(
        &sandbox,
        "a directory",
        pam::AUTHINFO_UNAVAIL,
        &["is not a regular file"],
    );
}

#[test]
fn a_file_from_another_system_is_understood() {
    let sandbox = sandbox();
    for text in [
        "\u{feff}exempt.users = ['alice']\n",
        "exempt.users = ['alice']\r\ntries = 1\r\n",
        "exempt.users = ['alice']",
        "\n\n  [ exempt ] # whom not\n  users = [ # these\n    'alice', ]\n",
        "exempt = { users = ['alice'] }",
        "\"exempt\".'users' = [\"\\u0061lice\"]",
    ] {
        configure(&sandbox, text);
        let shown = sandbox.admin(&CHECK).ok().stdout;
        assert!(
            shown.contains("Exempt:          users alice\n"),
            "{text}: {shown}"
        );
        assert!(sandbox.login("alice", &[]).granted(), "{text}");
    }
}

/// As many problems as the largest file can have: a login must not hang over them.
#[test]
fn a_large_file_full_of_problems_is_refused_in_time() {
    let sandbox = sandbox();
    let text = format!("trusted_networks = [\n{}]\n", "1,\n".repeat(85_000));
    configure(&sandbox, text);
    let outcome = sandbox.login("alice", &[]);
    assert_eq!(outcome.code, pam::SERVICE_ERR);
}
