//! How it is asked, for each service and on the PAM line: text, echo, tries, `service=`, `debug`.

use std::fs;

use mfa_tests::{
    PASSWORD,
    log::decisions,
    machine::Machine,
    need_root,
    outcome::Outcome,
    pam::{self, PROMPT_ECHO_ON},
    protocol::Event,
    sandbox::Sandbox,
};

const CONFIG: &str = "etc/pam_mfa/config.toml";
const PROMPT: &str = "Verification code or backup code: ";
const WRONG: &str = "Wrong code.";
const OUT_OF_ORDER: &str = "The verification code cannot be checked now. The administrator finds the reason in the system log.";
const ACCOUNT: &str = "account required pam_permit.so\n";

/// The module with these words behind it, as the service `test`.
fn put(sandbox: &Sandbox, words: &str) {
    sandbox.stack(&format!("auth required {{mfa}} {words}\n{ACCOUNT}"));
}

/// The first prompt, whether what is typed is shown, and how many prompts there were. Wrong answers
/// cost nothing: none of them can be a code.
#[track_caller]
fn asked(sandbox: &Sandbox, service: &str) -> (String, bool, usize) {
    let outcome = sandbox.client("alice").service(service).login(&["x"; 20]);
    assert_eq!(outcome.code, pam::AUTH_ERR, "{outcome:#?}");
    let prompts = prompts(&outcome);
    let first = prompts[0].clone();
    assert!(
        prompts.iter().all(|prompt| *prompt == first),
        "{outcome:#?}"
    );
    (first.0, first.1, prompts.len())
}

fn prompts(outcome: &Outcome) -> Vec<(String, bool)> {
    let prompt = |event: &Event| match event {
        Event::Prompt { style, text } => Some((text.clone(), *style == PROMPT_ECHO_ON)),
        _ => None,
    };
    outcome.events.iter().filter_map(prompt).collect()
}

#[test]
fn each_service_may_ask_in_its_own_way() {
    let (sandbox, alice) = Sandbox::with_alice();
    for service in ["sshd", "sudo", "su"] {
        sandbox.service(service, &format!("auth required {{mfa}}\n{ACCOUNT}"));
    }
    for (text, sshd, sudo, su) in [
        (
            "",
            (PROMPT, false, 3),
            (PROMPT, false, 3),
            (PROMPT, false, 3),
        ),
        (
            "prompt = 'Code? '\necho = true\ntries = 5\n\
             [service.sudo]\nprompt = 'sudo: '\necho = false\ntries = 1\n\
             [service.su]\ntries = 10\n",
            ("Code? ", true, 5),
            ("sudo: ", false, 1),
            ("Code? ", true, 10),
        ),
        (
            "[service.sudo]\necho = true\n[service.sud]\nprompt = 'x'\n",
            (PROMPT, false, 3),
            (PROMPT, true, 3),
            (PROMPT, false, 3),
        ),
    ] {
        sandbox.write(CONFIG, text);
        for (service, (prompt, echo, tries)) in [("sshd", sshd), ("sudo", sudo), ("su", su)] {
            let expected = (prompt.to_owned(), echo, tries);
            assert_eq!(asked(&sandbox, service), expected, "{service}: {text}");
        }
    }
    // The last of the tries is one.
    let mut answers = vec!["x"; 9];
    let code = alice.code(0);
    answers.push(&code);
    sandbox.write(CONFIG, "[service.su]\ntries = 10\n");
    let outcome = sandbox.client("alice").service("su").login(&answers);
    assert!(
        outcome.granted() && outcome.prompts.len() == 10,
        "{outcome:#?}"
    );
}

#[test]
fn the_name_of_a_service_may_be_any_text() {
    let (sandbox, _) = Sandbox::with_alice();
    for (service, key) in [
        ("my.service", "'my.service'"),
        ("a b", "\"a b\""),
        ("say\"hi\"", "'say\"hi\"'"),
        ("grüße", "\"gr\\u00fc\\u00dfe\""),
        ("prompt", "prompt"),
    ] {
        sandbox.service(service, &format!("auth required {{mfa}}\n{ACCOUNT}"));
        sandbox.write(CONFIG, &format!("[service.{key}]\nprompt = 'mine: '\n"));
        assert_eq!(asked(&sandbox, service).0, "mine: ", "{service}");
    }
    // Without the quotes it is a table in a table.
    sandbox.write(CONFIG, "[service.my.service]\nprompt = 'mine: '\n");
    let outcome = sandbox.client("alice").service("my.service").login(&[]);
    assert_eq!((outcome.code, outcome.prompts.len()), (pam::SERVICE_ERR, 0));
}

#[test]
fn the_pam_line_counts_more_than_the_configuration() {
    let (sandbox, _) = Sandbox::with_alice();
    let text = "prompt = 'all: '\ntries = 4\n[service.test]\nprompt = 'test: '\necho = false\n\
                [service.other]\nprompt = 'other: '\ntries = 2\necho = true\n";
    sandbox.write(CONFIG, text);
    for (words, prompt, echo, tries) in [
        ("", "test: ", false, 4),
        ("prompt=line:", "line:", false, 4),
        ("[prompt=My code = ]", "My code = ", false, 4),
        ("echo", "test: ", true, 4),
        ("tries=1", "test: ", false, 1),
        ("tries=10 echo prompt=%n%s", "%n%s", true, 10),
        ("service=other", "other: ", true, 2),
        ("service=other tries=5", "other: ", true, 5),
        ("service=nothing", "all: ", false, 4),
        ("debug", "test: ", false, 4),
    ] {
        put(&sandbox, words);
        assert_eq!(
            asked(&sandbox, "test"),
            (prompt.to_owned(), echo, tries),
            "{words}"
        );
    }
    for length in [1, 256] {
        let prompt = "x".repeat(length);
        put(&sandbox, &format!("prompt={prompt}"));
        assert_eq!(asked(&sandbox, "test").0, prompt);
    }
}

#[test]
fn service_on_the_line_decides_which_policy_holds_and_the_log_names_the_real_one() {
    let (sandbox, _) = Sandbox::with_alice();
    let control = "auth [success=ok ignore=ignore default=die]";
    for (text, words, asks) in [
        ("exempt.services = ['other']", "service=other", false),
        ("exempt.services = ['other']", "", true),
        ("exempt.services = ['test']", "service=other", true),
        ("require.services = ['other']", "service=other", true),
        ("require.services = ['test']", "service=other", false),
    ] {
        sandbox.write(CONFIG, text);
        sandbox.stack(&format!(
            "{control} {{mfa}} {words}\nauth required pam_permit.so\n{ACCOUNT}"
        ));
        let outcome = sandbox.login("alice", &[]);
        assert_eq!(
            (outcome.granted(), outcome.prompts.len()),
            (!asks, asks.into()),
            "{text} {words}"
        );
        let line = sandbox.decisions().pop().expect("a line");
        assert!(line.starts_with("pam_mfa(test:auth): "), "{line}");
    }
}

#[test]
fn a_prompt_for_codes_in_a_row_says_so_whatever_is_configured() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.write(CONFIG, "prompt = 'mine: '\necho = true\ntries = 10\n");
    let wrong = alice.wrong_code();
    let outcome = sandbox.login("alice", &[&*wrong; 10]);
    assert_eq!(outcome.prompts, ["mine: "; 10]);
    let outcome = sandbox.login("alice", &[]);
    let (prompt, echo) = prompts(&outcome).remove(0);
    assert!(
        prompt.starts_with("2 codes in a row are needed") && echo,
        "{prompt}"
    );
}

#[test]
fn whoever_wants_silence_sees_prompts_alone() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.write(CONFIG, "prompt = 'mine: '\n");
    let outcome = sandbox.client("alice").silent().login(&["x", "x", "x"]);
    assert_eq!(
        outcome.prompts,
        ["mine: ", "Wrong code. mine: ", "Wrong code. mine: "]
    );
    assert_eq!((outcome.errors.len(), outcome.infos.len()), (0, 0));
    let outcome = sandbox
        .client("alice")
        .silent()
        .login(&[&alice.backup_codes[0]]);
    assert!(outcome.granted(), "{outcome:#?}");
    assert_eq!(outcome.shown(), "mine: \n");
    put(&sandbox, "nonsense");
    assert_eq!(sandbox.client("alice").silent().login(&[]).shown(), "");
}

#[test]
fn without_silence_everything_is_told() {
    let (sandbox, alice) = Sandbox::with_alice();
    let outcome = sandbox.login("alice", &["x", &alice.backup_codes[0]]);
    assert_eq!(
        (&*outcome.errors, &*outcome.infos),
        (
            &[WRONG.to_owned()][..],
            &["9 backup codes are left.".to_owned()][..]
        )
    );
}

/// What was typed is looked for in every line when the sandbox ends, and so are the secrets.
#[test]
fn debug_tells_more_at_the_level_of_debugging_and_nothing_that_was_typed() {
    let (sandbox, alice) = Sandbox::with_alice();
    let logins = || {
        let (code, wrong) = (alice.code(0), alice.wrong_code());
        for answers in [
            &[PASSWORD, &code][..],
            &[PASSWORD, &wrong, "no code at all", PASSWORD],
            &[PASSWORD, &alice.backup_codes[0]],
            &["wrong password", "abcd-efgh-2345", "qwertz-typed"],
        ] {
            sandbox.login("alice", answers);
            sandbox.login("bob", answers);
            sandbox
                .client("typed-as-a-name")
                .real_accounts()
                .login(answers);
        }
    };
    let debug = |line: &&String| line.starts_with("<87>");
    let unix = "auth required pam_unix.so\nauth required {mfa}";
    sandbox.stack(&format!("{unix}\n{ACCOUNT}"));
    logins();
    let ours: Vec<String> = sandbox.decisions();
    assert_eq!(ours.len(), 12, "{ours:#?}");
    assert_eq!(sandbox.log().iter().find(debug), None);

    let quiet = sandbox.log().len();
    sandbox.stack(&format!("{unix} debug\n{ACCOUNT}"));
    for text in [
        "",
        "unenrolled = 'skip'",
        "exempt.services = ['test']",
        "require.users = ['alice', 'daemon']",
    ] {
        sandbox.write(CONFIG, text);
        logins();
    }
    let lines = sandbox.log().split_off(quiet);
    assert!(
        lines
            .iter()
            .any(|line| line.ends_with("debug no rule says otherwise")),
        "{lines:#?}"
    );
    for line in &lines {
        let told = line.contains("pam_mfa(test:auth): debug ");
        assert_eq!(debug(&line), told, "{line}");
        assert!(!line.contains("typed"), "{line}");
    }
    // Each login still has its one line that counts.
    let mut counts = decisions(&lines);
    counts.retain(|line| !line.contains("): debug "));
    assert_eq!(counts.len(), 48, "{lines:#?}");
}

/// None of these is taken for something else, nor left out.
const BAD: [&str; 26] = [
    "nullok",
    "Debug",
    "DEBUG",
    "debug=1",
    "debug=",
    "echo=yes",
    "echo=no",
    "noecho",
    "tries",
    "tries=",
    "tries=0",
    "tries=11",
    "tries=-1",
    "tries=3.0",
    "tries=99999999999999999999",
    "[tries= 3]",
    "prompt",
    "prompt=",
    "service",
    "service=",
    "service=TEST",
    "service=/etc/pam.d/test",
    "root",
    "root=etc",
    "unenrolled=skip",
    "exempt",
];

#[test]
fn a_bad_word_on_the_line_refuses_everybody_at_once() {
    let (sandbox, alice) = Sandbox::with_alice();
    // Not even somebody who is not asked.
    sandbox.write(CONFIG, "exempt.users = ['bob']\n");
    let long = format!("prompt={}", "x".repeat(257));
    let more = [
        long.as_str(),
        "[prompt=a\tb]",
        "use_first_pass=1",
        "secret=/home/${USER}/.x",
        "user=root",
        "=",
        "=x",
    ];
    let control = "auth [success=ok ignore=ignore default=die]";
    for word in BAD.iter().chain(&more) {
        sandbox.stack(&format!(
            "{control} {{mfa}} {word}\nauth required pam_permit.so\n{ACCOUNT}"
        ));
        for user in ["alice", "bob"] {
            let outcome = sandbox.login(user, &[&alice.code(0)]);
            assert_eq!(
                (outcome.code, outcome.setcred),
                (pam::SERVICE_ERR, None),
                "{word}"
            );
            assert_eq!(outcome.shown(), format!("{OUT_OF_ORDER}\n"), "{word}");
        }
    }
    let line = format!(
        "{control} {} root={} prompt=",
        sandbox.module().display(),
        sandbox.root().display()
    );
    let line = [
        line.as_bytes(),
        b"\xff\nauth required pam_permit.so\n",
        ACCOUNT.as_bytes(),
    ]
    .concat();
    fs::write(sandbox.confdir().join("test"), line).expect("write a service file");
    assert_eq!(sandbox.login("bob", &[]).code, pam::SERVICE_ERR);
    // The code is good as before.
    put(&sandbox, "");
    assert!(sandbox.login("alice", &[&alice.code(0)]).granted());
}

/// With a bad line the log is that of the machine.
#[test]
fn all_bad_words_of_the_line_are_logged_in_one_line() {
    need_root!();
    let (machine, _) = Machine::with_alice();
    machine.add_user("bob");
    let words = "debug tries=2 ".to_owned() + &BAD.join(" ");
    machine.stack("su", &format!("auth required pam_mfa.so {words}\n"));
    let mut su = machine.spawn_pty("bob", &["su", "alice", "-c", "id -un"]);
    let before = su.expect("su: ");
    assert!(
        before.contains(OUT_OF_ORDER) && !before.contains(PROMPT),
        "{before}"
    );
    let lines = machine.decisions();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(
        lines[0].contains("refused user=alice reason=arguments "),
        "{lines:#?}"
    );
    for word in BAD {
        let named = format!("{}: ", word.trim_matches(['[', ']']));
        assert!(lines[0].contains(&named), "{word}: {lines:#?}");
    }
    for word in ["debug: ", "tries=2: "] {
        assert!(!lines[0].contains(word), "{word}: {lines:#?}");
    }
}
