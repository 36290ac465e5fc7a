//! Who is asked for a second factor: `require`, `exempt` and `trusted_networks`, in the stack that
//! is shipped.

use std::{fs::OpenOptions, io::Write};

use mfa_tests::{client::Client, pam, sandbox::Sandbox};

const CONFIG: &str = "etc/pam_mfa/config.toml";
const CONTROL: &str = "auth [success=ok ignore=ignore default=die]";
const PROMPT: &str = "Verification code or backup code: ";

/// What became of somebody who types nothing.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Asked,
    /// Let in by the module behind ours; the rule, as the log has it.
    NotAsked(String),
    /// Refused at once: nothing could be decided.
    Refused,
}

fn not_asked(rule: &str) -> Fate {
    Fate::NotAsked(rule.to_owned())
}

#[track_caller]
fn fate(sandbox: &Sandbox, client: Client) -> Fate {
    let outcome = client.login(&[]);
    let line = sandbox.decisions().pop().expect("a line");
    if outcome.granted() {
        assert_eq!(outcome.shown(), "", "{outcome:#?}");
        let rule = line.split_once(" rule=\"").expect(&line).1;
        assert!(line.contains("auth): not-asked user="), "{line}");
        return Fate::NotAsked(rule.trim_end_matches('"').to_owned());
    }
    if outcome.prompts.is_empty() {
        assert_eq!(outcome.code, pam::AUTHINFO_UNAVAIL, "{outcome:#?}");
        assert!(line.contains("reason=fault "), "{line}");
        return Fate::Refused;
    }
    assert_eq!(
        (outcome.code, &*outcome.prompts),
        (pam::AUTH_ERR, &[PROMPT.to_owned()][..])
    );
    assert!(line.contains("reason=no-answer "), "{line}");
    Fate::Asked
}

/// Alice is enrolled and known as `al`, too; bob and she are in `staff`, which is the primary group of
/// `erin`. The services `test` and `other` have the shipped control and something behind it.
fn sandbox() -> Sandbox {
    let (sandbox, _) = Sandbox::with_alice();
    let stack =
        format!("{CONTROL} {{mfa}}\nauth required pam_permit.so\naccount required pam_permit.so\n");
    sandbox.stack(&stack);
    sandbox.service("other", &stack);
    sandbox.add_account("al", 2001);
    add(&sandbox, "group", "staff:x:3000:bob,alice\nother:x:3001:\n");
    add(&sandbox, "passwd", "erin:x:2005:3000:erin:/:/bin/sh\n");
    sandbox
}

fn add(sandbox: &Sandbox, file: &str, lines: &str) {
    let folder = sandbox.confdir().with_file_name("nss");
    let file = OpenOptions::new().append(true).open(folder.join(file));
    let written = file.and_then(|mut file| file.write_all(lines.as_bytes()));
    written.expect("add to the accounts");
}

#[test]
fn who_is_exempt_is_not_asked() {
    let sandbox = sandbox();
    for (text, user, rule) in [
        ("exempt.users = ['bob', 'alice']", "alice", "users: alice"),
        ("exempt.users = ['alice']", "al", "users: alice"),
        ("exempt.users = ['al']", "alice", "users: al"),
        ("exempt.groups = ['other', 'staff']", "bob", "groups: staff"),
        ("exempt.groups = ['staff']", "erin", "groups: staff"),
        ("exempt.groups = ['alice']", "alice", "groups: alice"),
        ("exempt.services = ['test']", "alice", "services: test"),
        (
            "exempt.users = ['bob']\nexempt.services = ['test']",
            "alice",
            "services: test",
        ),
        (
            "require.users = ['alice']\nexempt.groups = ['staff']",
            "alice",
            "groups: staff",
        ),
    ] {
        sandbox.write(CONFIG, text);
        let fate = fate(&sandbox, sandbox.client(user));
        assert_eq!(fate, not_asked(&format!("exempt.{rule}")), "{text}");
    }
}

#[test]
fn who_is_not_exempt_is_asked() {
    let sandbox = sandbox();
    for (text, user) in [
        ("", "alice"),
        ("[exempt]\nusers = []\ngroups = []\nservices = []", "alice"),
        ("exempt.users = ['bob', 'carol']", "alice"),
        ("exempt.groups = ['other', 'bob']", "alice"),
        // The name of a group is no user, the name of a user no group of others.
        ("exempt.groups = ['alice']", "bob"),
        (
            "exempt.services = ['other', 'tes', 'test2', 'alice']",
            "alice",
        ),
        ("exempt.groups = ['staff']", "carol"),
    ] {
        sandbox.write(CONFIG, text);
        assert_eq!(fate(&sandbox, sandbox.client(user)), Fate::Asked, "{text}");
    }
}

#[test]
fn require_names_whom_and_where() {
    let sandbox = sandbox();
    let (nobody, nowhere) = (
        "require names neither the user nor a group of his",
        "require.services does not name the service",
    );
    let both = "[require]\nservices = ['test']\ngroups = ['staff']\nusers = ['carol']";
    for (text, user, service, rule) in [
        (both, "alice", "test", None),
        (both, "erin", "test", None),
        (both, "carol", "test", None),
        (both, "dave", "test", Some(nobody)),
        (both, "carol", "other", Some(nowhere)),
        (
            "[require]\nusers = []\ngroups = []\nservices = []",
            "dave",
            "test",
            None,
        ),
        ("require.users = ['alice']", "al", "test", None),
        ("require.users = ['al']", "alice", "other", None),
        ("require.services = ['other']", "dave", "other", None),
        (
            "require.services = ['other']",
            "alice",
            "test",
            Some(nowhere),
        ),
    ] {
        sandbox.write(CONFIG, text);
        let client = sandbox.client(user).service(service);
        let expected = rule.map_or(Fate::Asked, not_asked);
        assert_eq!(fate(&sandbox, client), expected, "{text} {user} {service}");
    }
}

/// libnss-wrapper answers with an error for a name that is not in its files.
#[test]
fn a_look_up_that_fails_refuses_at_once() {
    let sandbox = sandbox();
    for text in [
        "exempt.users = ['ghost', 'bob']",
        "exempt.users = ['Alice']",
        "exempt.groups = ['ghost', 'staff']",
        "require.users = ['ghost', 'bob']",
        "require.groups = ['ghost']",
        "require.users = ['carol']\nrequire.groups = ['ghost']",
        "exempt.users = ['ghost']\nrequire.users = ['carol']",
    ] {
        sandbox.write(CONFIG, text);
        assert_eq!(
            fate(&sandbox, sandbox.client("alice")),
            Fate::Refused,
            "{text}"
        );
        let line = sandbox.decisions().pop().expect("a line");
        assert!(line.contains("the name service failed"), "{line}");
    }
    // Nor is it known who this is: no exemption helps him.
    for text in [
        "",
        "exempt.services = ['test']",
        "trusted_networks = ['192.0.2.1']",
        "unenrolled = 'skip'",
    ] {
        sandbox.write(CONFIG, text);
        let client = sandbox.client("ghost").rhost("192.0.2.1");
        assert_eq!(fate(&sandbox, client), Fate::Refused, "{text}");
    }
}

/// One of the machine and one of a directory may have the same name; the look-up by name finds the first.
#[test]
fn a_member_of_another_group_of_that_name_is_asked() {
    let sandbox = sandbox();
    add(&sandbox, "group", "staff:x:3002:carol\n");
    for (text, fate_of_carol) in [
        ("require.groups = ['staff']", Fate::Asked),
        ("exempt.groups = ['staff']", Fate::Asked),
        (
            "require.groups = ['other']",
            not_asked("require names neither the user nor a group of his"),
        ),
    ] {
        sandbox.write(CONFIG, text);
        let fate = fate(&sandbox, sandbox.client("carol"));
        assert_eq!(fate, fate_of_carol, "{text}");
    }
    sandbox.write(
        CONFIG,
        "unenrolled = 'skip'\ngroup.staff.unenrolled = 'deny'",
    );
    assert_eq!(fate(&sandbox, sandbox.client("carol")), Fate::Asked);
}

/// A source of the name service that gets no descriptor keeps silent about its groups.
#[test]
fn who_leaves_the_name_service_no_room_is_not_let_past() {
    let sandbox = sandbox();
    sandbox.write(CONFIG, "require.groups = ['other']");
    let rule = "require names neither the user nor a group of his";
    for (limit, expected) in [
        ("--nofile=64:64", not_asked(rule)),
        ("--nofile=16:16", Fate::Refused),
        ("--nofile=12:12", Fate::Refused),
    ] {
        let client = sandbox.client("bob").under(&["prlimit", limit]);
        assert_eq!(fate(&sandbox, client), expected, "{limit}");
    }
}

#[test]
fn a_group_too_large_to_be_looked_up_is_named() {
    let sandbox = sandbox();
    let members: Vec<String> = (0..200_000).map(|n| format!("user{n}")).collect();
    add(
        &sandbox,
        "group",
        &format!("crowd:x:3003:{}\n", members.join(",")),
    );
    sandbox.write(CONFIG, "require.groups = ['crowd']");
    assert_eq!(fate(&sandbox, sandbox.client("bob")), Fate::Refused);
    let log = sandbox.log().join("\n");
    assert!(
        log.contains("the group crowd has more members than"),
        "{log}"
    );
    // It stands in nobody's way where it is not named.
    sandbox.write(CONFIG, "require.groups = ['other']");
    assert!(matches!(
        fate(&sandbox, sandbox.client("bob")),
        Fate::NotAsked(_)
    ));
}

/// The real system answers "no" for a name that nobody has.
#[test]
fn a_look_up_that_answers_no_refuses_nobody() {
    let sandbox = sandbox();
    let daemon = || sandbox.client("daemon").real_accounts();
    let names = r#"["no-such-name", "Daemon", "daemon ", " daemon", "dаemon", "DOM\\daemon", "daemon@x", "1",
        "daemon\u0000", "daemon\n", "../daemon", "jürgen", "ALL", "@daemon", "%daemon", "-daemon"]"#;
    for list in ["exempt.users", "exempt.groups"] {
        sandbox.write(CONFIG, &format!("{list} = {names}"));
        assert_eq!(fate(&sandbox, daemon()), Fate::Asked, "{list}");
    }
    sandbox.write(
        CONFIG,
        &format!("exempt.users = {names}\nrequire.users = ['no-such-name', 'daemon']"),
    );
    assert_eq!(fate(&sandbox, daemon()), Fate::Asked);
    sandbox.write(CONFIG, "exempt.groups = ['no-such-name', 'daemon']");
    assert_eq!(fate(&sandbox, daemon()), not_asked("exempt.groups: daemon"));
}

#[test]
fn an_unknown_user_is_treated_like_a_known_one_and_his_name_is_not_logged() {
    let sandbox = sandbox();
    for (text, fates) in [
        (
            "exempt.services = ['test']",
            not_asked("exempt.services: test"),
        ),
        (
            "trusted_networks = ['192.0.2.0/24']",
            not_asked("trusted_networks: 192.0.2.0/24"),
        ),
        (
            "require.services = ['su']",
            not_asked("require.services does not name the service"),
        ),
        (
            "exempt.users = ['hunter2-typed']\nexempt.groups = ['hunter2-typed']",
            Fate::Asked,
        ),
        ("unenrolled = 'deny'", Fate::Asked),
    ] {
        sandbox.write(CONFIG, text);
        for user in ["hunter2-typed", "daemon"] {
            let client = sandbox.client(user).real_accounts().rhost("192.0.2.9");
            assert_eq!(fate(&sandbox, client), fates, "{user}: {text}");
        }
    }
    // Whoever does not exist is never skipped, nor left out by a list of those who must.
    for text in [
        "unenrolled = 'skip'",
        "require.users = ['root']",
        "require.groups = ['daemon']",
    ] {
        sandbox.write(CONFIG, text);
        let client = sandbox.client("hunter2-typed").real_accounts();
        assert_eq!(fate(&sandbox, client), Fate::Asked, "{text}");
    }
    let log = sandbox.log().join("\n");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn from_a_trusted_network_nobody_is_asked() {
    let sandbox = sandbox();
    for (network, rhost) in [
        ("203.0.113.0/24", "203.0.113.7"),
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.0/24", "::ffff:203.0.113.7"),
        ("203.0.113.0/24", "::FFFF:cb00:7107"),
        ("::ffff:203.0.113.0/120", "203.0.113.7"),
        ("2001:db8::/32", "2001:0DB8::1"),
        ("fe80::/64", "fe80::1%eth0"),
    ] {
        sandbox.write(
            CONFIG,
            &format!("trusted_networks = ['198.51.100.1', '{network}']"),
        );
        for user in ["alice", "bob"] {
            let fate = fate(&sandbox, sandbox.client(user).rhost(rhost));
            assert!(
                matches!(&fate, Fate::NotAsked(rule) if rule.starts_with("trusted_networks: ")),
                "{rhost}: {fate:?}"
            );
        }
    }
}

#[test]
fn what_is_no_literal_address_is_not_trusted() {
    let sandbox = sandbox();
    let networks = "trusted_networks = ['203.0.113.0/24', '127.0.0.0/8', '::1', '2001:db8::/32']";
    sandbox.write(CONFIG, networks);
    for rhost in [
        "",
        "localhost",
        "203.0.114.1",
        "203.0.113.7.example.org",
        "203.0.113.7:22",
        "203.0.113.7/24",
        "203.0.113.7 ",
        " 203.0.113.7",
        "203.0.113.7\n",
        "203.0.113.7, 192.0.2.1",
        "203.0.113.7,192.0.2.1",
        "192.0.2.1 (203.0.113.7)",
        "203.0.113.007",
        "203.0.113",
        "3405803783",
        "0x7f.0.0.1",
        "127.1",
        "[::1]",
        "[2001:db8::1]:22",
        "::203.0.113.7",
        "64:ff9b::203.0.113.7",
        "::ffff:0:203.0.113.7",
        "２０３.0.113.7",
    ] {
        let client = sandbox.client("alice").rhost(rhost);
        assert_eq!(fate(&sandbox, client), Fate::Asked, "{rhost:?}");
    }
    assert_eq!(fate(&sandbox, sandbox.client("alice")), Fate::Asked);
}

/// Whoever answers for the reverse name of an address may write anything into it.
#[test]
fn an_ipv4_address_with_a_zone_is_no_literal_address() {
    let sandbox = sandbox();
    sandbox.write(
        CONFIG,
        "trusted_networks = ['203.0.113.0/24', '2001:db8::/32']",
    );
    for rhost in [
        "203.0.113.7%eth0",
        "203.0.113.7%",
        "203.0.113.7%.example.org",
        "::ffff:203.0.113.7%x",
        "2001:db8::1%evil.example.org",
    ] {
        let client = sandbox.client("alice").rhost(rhost);
        assert_eq!(fate(&sandbox, client), Fate::Asked, "{rhost:?}");
    }
}

#[test]
fn whose_own_name_is_exempt_needs_no_look_up() {
    let sandbox = sandbox();
    // libnss-wrapper answers with an error for ghost.
    sandbox.write(CONFIG, "exempt.users = ['ghost', 'alice']\n");
    let client = sandbox.client("alice");
    assert_eq!(fate(&sandbox, client), not_asked("exempt.users: alice"));
}

#[test]
fn a_caution_does_not_tell_a_name_that_nobody_has() {
    let sandbox = sandbox();
    sandbox.write(CONFIG, "trusted_networks = ['0.0.0.0/0']\n");
    let client = sandbox.client("hunter2-secret").real_accounts();
    client.rhost("192.0.2.1").login(&[]);
    let lines = sandbox.log().join("\n");
    assert!(lines.contains("is every address"), "{lines}");
    assert!(!lines.contains("hunter2"), "{lines}");
}
