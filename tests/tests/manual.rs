//! The manual pages, `config/config.toml` and the code say the same.

use std::{collections::BTreeSet, fs};

use mfa_core::config::Config;
use mfa_tests::{
    enrolled::{NOW, STEP},
    manual::{assert_renders, examples, read, tags},
    need,
    outcome::Outcome,
    pam::{self, Reply},
    protocol::Event,
    sandbox::Sandbox,
};

const TOML_5: &str = "docs/man/pam_mfa.toml.5";
const PAM_MFA_8: &str = "docs/man/pam_mfa.8";
const CONFIG: &str = "config/config.toml";

/// `users` in `[require]` → `require.users`.
fn path(heading: &str, key: &str) -> String {
    match heading.strip_prefix('[') {
        Some(table) => format!("{}.{key}", table.trim_end_matches(']')),
        None => key.to_owned(),
    }
}

/// Each key with its path, and the value that is shown.
type Shown = Vec<(String, String)>;

fn shown_in_page() -> Shown {
    let keys = tags(TOML_5, "KEYS").into_iter().map(|(heading, tag)| {
        let (key, value) = tag.split_once(" = ").expect("a key and its default");
        (path(&heading, key), value.to_owned())
    });
    keys.collect()
}

/// A line that shows a key or a table begins with `#` and no blank; prose has a blank there.
fn commented(line: &str) -> Option<&str> {
    line.strip_prefix('#')
        .filter(|rest| !rest.is_empty() && !rest.starts_with(' '))
}

fn shown_in_file() -> Shown {
    let (mut shown, mut table) = (Shown::new(), String::new());
    for line in read(CONFIG).lines().filter_map(commented) {
        match line.split_once(" = ") {
            Some((key, value)) => shown.push((path(&table, key), value.to_owned())),
            None => table = line.to_owned(),
        }
    }
    shown
}

/// The keys that the parser knows below this path, as its errors name them. Services have small
/// letters only.
fn known(below: &str, keys: &mut BTreeSet<String>) {
    let problems = Config::parse(format!("{below}name = 1").as_bytes()).expect_err(below);
    let problem = problems[0].text.clone();
    if let Some((_, here)) = problem.split_once("known here: ") {
        for key in here.split(", ") {
            known(&format!("{below}{key}."), keys);
        }
    } else if problem.contains("expected a table") {
        known(&format!("{below}name."), keys);
    } else {
        let key = below.trim_end_matches('.').replace(".name", ".NAME");
        keys.insert(key);
    }
}

#[test]
fn file_code_and_manual_page_know_the_same_keys() {
    let mut keys = BTreeSet::new();
    known("", &mut keys);
    assert!(keys.contains("group.NAME.skip_until"), "{keys:?}");
    let names = |shown: Shown| -> BTreeSet<String> {
        let count = shown.len();
        let names: BTreeSet<String> = shown.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), count, "a key stands there twice");
        names
    };
    assert_eq!(names(shown_in_file()), keys);
    assert_eq!(names(shown_in_page()), keys);
}

#[test]
fn file_and_manual_page_show_the_same_defaults_in_the_same_order() {
    assert_eq!(shown_in_file(), shown_in_page());
}

#[test]
fn every_key_of_the_file_has_its_reason_above_it() {
    let text = read(CONFIG);
    let mut above = "";
    for line in text.lines() {
        if commented(line).is_some() {
            assert!(above.starts_with('#') && above != "#", "{line}");
        }
        above = line;
    }
}

/// The file with every key set; `wanted` says which.
fn uncommented(wanted: impl Fn(&str) -> bool) -> String {
    let text = read(CONFIG);
    let lines = text.lines().map(|line| match commented(line) {
        Some(shown) if wanted(shown) => shown
            .replace("group.NAME", "group.bob")
            .replace("service.NAME", "service.test"),
        _ => line.to_owned(),
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// `skip_until` has no default, and holds beside "skip" alone.
fn has_default(line: &str) -> bool {
    !line.starts_with("skip_until")
}

#[test]
fn the_file_says_nothing_but_the_defaults() {
    let shipped = Config::parse(read(CONFIG).as_bytes());
    assert_eq!(shipped, Ok(Config::default()));
    let set = Config::parse(uncommented(has_default).as_bytes()).expect("a sound file");
    let default = Config::default();
    assert_eq!(
        Config {
            groups: default.groups.clone(),
            services: default.services.clone(),
            asking: default.asking.clone(),
            ..set.clone()
        },
        default
    );
    assert_eq!(set.groups["bob"], default.unenrolled);
    assert_eq!(set.services["test"], set.asking);
    let (deny, skip) = ("\nunenrolled = \"deny\"", "\nunenrolled = \"skip\"");
    let skip = uncommented(|_| true).replace(deny, skip);
    assert!(Config::parse(skip.as_bytes()).is_ok(), "{skip}");
}

#[test]
fn a_login_is_asked_the_same_with_every_default_set_and_without_a_file() {
    let (bare, alice) = Sandbox::with_alice();
    let (set, _) = Sandbox::with_alice();
    set.write("etc/pam_mfa/config.toml", &uncommented(has_default));
    for user in ["alice", "bob"] {
        let [bare, set] = [&bare, &set].map(|sandbox| {
            let outcome = sandbox.login(user, &[alice.wrong_code().as_str(); 20]);
            let events = outcome.events.into_iter();
            // How long it takes, and how much memory, is another matter.
            let events =
                events.filter(|event| !matches!(event, Event::Delay { .. } | Event::Memory { .. }));
            events.collect::<Vec<_>>()
        });
        assert_eq!(bare, set);
    }
}

#[test]
fn the_examples_of_the_manual_pages_are_sound() {
    let examples_of_file = examples(TOML_5, "EXAMPLES");
    assert!(!examples_of_file.is_empty());
    for text in examples_of_file {
        assert!(Config::parse(text.as_bytes()).is_ok(), "{text}");
    }
    let stacks = read("docs/pam.md");
    let examples_of_line = examples(PAM_MFA_8, "EXAMPLES");
    assert!(!examples_of_line.is_empty());
    for text in examples_of_line {
        let text = text.replace(" \\\n      ", " ");
        assert!(stacks.contains(&format!("\n{text}```\n")), "{text}");
    }
}

/// The options in the manual page, as `tries=NUMBER`.
fn options() -> Vec<String> {
    let tags = tags(PAM_MFA_8, "OPTIONS").into_iter();
    tags.map(|(_, tag)| tag).collect()
}

#[test]
fn every_option_of_the_manual_page_is_taken() {
    let (sandbox, alice) = Sandbox::with_alice();
    let options = options();
    assert!(options.len() > 5, "{options:?}");
    for (option, time) in options.iter().zip((NOW..).step_by(STEP as usize)) {
        let option = option
            .replace("DIR", sandbox.root().to_str().expect("a path in UTF-8"))
            .replace("NAME", "sshd")
            .replace("prompt=TEXT", "[prompt=Code: ]")
            .replace("NUMBER", "2");
        sandbox.stack(&format!(
            "auth optional pam_unix.so nodelay\n\
             auth required {{mfa}} {option}\n\
             account required pam_permit.so\n"
        ));
        let code = alice.code_at(time);
        let behind_password = format!("wrong{code}");
        let outcome = sandbox.at(time).login("alice", &[&behind_password, &code]);
        assert!(outcome.granted(), "{option}: {outcome:#?}");
    }
}

/// The words in quotes in the source that reads the options: among them are their names, and
/// whether a word is an option is asked of the module.
fn candidates() -> BTreeSet<String> {
    let source = read("mfa-core/src/arguments.rs");
    let quoted = source.split('"').skip(1).step_by(2);
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let names = quoted.filter(|text| !text.is_empty() && text.chars().all(is_name));
    names.map(str::to_owned).collect()
}

#[test]
fn every_option_that_is_taken_stands_in_the_manual_page() {
    let options = options();
    let names = options.iter().map(|option| match option.split_once('=') {
        Some((name, _)) => format!("{name}="),
        None => option.clone(),
    });
    let documented: BTreeSet<String> = names.collect();
    let (sandbox, _) = Sandbox::with_alice();
    let is_taken = |word: &str| {
        sandbox.stack(&format!("auth required {{mfa}} {word}\n"));
        sandbox.login("alice", &[]).code != pam::SERVICE_ERR
    };
    assert!(!is_taken("unknown") && !is_taken("unknown=1"));
    let mut known = BTreeSet::new();
    for name in candidates() {
        let with_value = format!("{name}=");
        // What is taken must be a path or a number, if it must be something.
        if ["1", "/"]
            .iter()
            .any(|value| is_taken(&format!("{with_value}{value}")))
        {
            known.insert(with_value);
        }
        if is_taken(&name) {
            known.insert(name);
        }
    }
    assert_eq!(known, documented);
}

/// A login in which the module returns this, and nothing else gets through.
fn provoke(name: &str) -> Outcome {
    let (sandbox, alice) = Sandbox::with_alice();
    let config = |text| sandbox.write("etc/pam_mfa/config.toml", text);
    let word = name.trim_start_matches("PAM_").to_lowercase();
    sandbox.stack(&format!(
        "auth [{word}=1 default=bad] {{mfa}}\n\
         auth requisite pam_deny.so\n\
         auth required pam_permit.so\n\
         account required pam_permit.so\n"
    ));
    let (right, wrong) = (&*alice.code(0), &*alice.wrong_code());
    match name {
        "PAM_SUCCESS" => {}
        "PAM_IGNORE" => config("exempt.users = ['alice']"),
        "PAM_AUTH_ERR" => return sandbox.login("alice", &[wrong; 3]),
        "PAM_MAXTRIES" => {
            config("suspend_after = 1\ntries = 1");
            assert!(!sandbox.login("alice", &[wrong]).granted());
        }
        "PAM_AUTHINFO_UNAVAIL" => {
            fs::remove_file(sandbox.path("etc/pam_mfa/key")).expect("remove the key");
        }
        "PAM_SERVICE_ERR" => config("unknown = 1"),
        "PAM_CONV_ERR" => return sandbox.client("alice").null_conversation().login(&[]),
        "PAM_INCOMPLETE" => {
            let again = Reply::Error(pam::CONV_AGAIN);
            return sandbox.client("alice").insist(&again);
        }
        _ => panic!("how does one come to {name}?"),
    }
    sandbox.login("alice", &[right])
}

#[test]
fn the_module_returns_what_the_manual_page_says() {
    let tags = tags(PAM_MFA_8, "RETURN VALUES").into_iter();
    let documented: BTreeSet<String> = tags.map(|(_, name)| name).collect();
    let source = read("pam_mfa/src/pam_code.rs");
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let names = source.split("PamResultCode::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_');
        rest[..end.unwrap_or(rest.len())].to_owned()
    });
    let mut returned: BTreeSet<String> = names.collect();
    // After a panic, which the binding catches.
    returned.insert("PAM_ABORT".to_owned());
    assert_eq!(documented, returned);
    for name in documented {
        match &*name {
            // Nothing that one can do from outside leads there.
            "PAM_SYSTEM_ERR" | "PAM_ABORT" => {}
            // libpam hands this one on whatever the control field says.
            "PAM_INCOMPLETE" => assert_eq!(provoke(&name).code, pam::INCOMPLETE),
            name => assert!(provoke(name).granted(), "{name}"),
        }
    }
}

#[test]
fn the_manual_pages_are_shown_without_warnings_on_eighty_columns() {
    need!("/usr/bin/groff");
    for page in [TOML_5, PAM_MFA_8] {
        assert_renders(page);
    }
}
