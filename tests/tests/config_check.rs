//! `mfa-admin config check`: the policy, what in it looks like an accident, and what it says about a
//! login, which is what the module does.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    time::{Duration, SystemTime},
};

use mfa_tests::{
    command::{Finished, run},
    enrolled::NOW,
    locate,
    sandbox::Sandbox,
};

const CONFIG: &str = "etc/pam_mfa/config.toml";
const CHECK: [&str; 2] = ["config", "check"];

/// Alice is enrolled, bob and carol are not; alice and bob are in `staff`. Behind the module
/// everybody is let in.
fn sandbox() -> Sandbox {
    let (sandbox, _) = Sandbox::with_alice();
    let stack = "auth [success=ok ignore=ignore default=die] {mfa}\nauth required pam_permit.so\n\
                 account required pam_permit.so\n";
    sandbox.stack(stack);
    for service in ["login", "sshd", "su", "su-l", "only-here"] {
        sandbox.write(&format!("etc/pam.d/{service}"), "");
    }
    let path = sandbox.confdir().with_file_name("nss").join("group");
    let file = OpenOptions::new().append(true).open(path);
    let written = file.and_then(|mut file| writeln!(file, "staff:x:3000:alice,bob"));
    written.expect("add a group");
    sandbox
}

fn configure(sandbox: &Sandbox, text: &str) {
    sandbox.write(CONFIG, text);
    set_changed(sandbox, NOW);
}

/// As if the file had been changed at `time`.
fn set_changed(sandbox: &Sandbox, time: u64) {
    let file = File::options().write(true).open(sandbox.path(CONFIG));
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(time);
    let set = file.and_then(|file| file.set_modified(time));
    set.expect("set the time of a file");
}

/// With the accounts of the real system, which answers "no" for a name that nobody has.
#[track_caller]
fn check_with_real_accounts(sandbox: &Sandbox) -> Finished {
    let mut command = sandbox.admin_command(&CHECK);
    run(command.env("LD_PRELOAD", locate::virtual_clock()), "")
}

fn path(sandbox: &Sandbox) -> String {
    sandbox.path(CONFIG).display().to_string()
}

#[test]
fn without_a_file_the_defaults_hold() {
    let sandbox = sandbox();
    let policy = "Not enrolled:    denied\n\
                  Asked:           everybody\n\
                  Exempt:          nobody\n\
                  Trusted:         none\n\
                  Prompt:          \"Verification code or backup code: \", what is typed is hidden, 3 tries\n\
                  Suspended:       never\n";
    let shown = sandbox.admin(&CHECK).ok();
    let absent = format!(
        "{}: not there; the defaults hold\n\n{policy}",
        path(&sandbox)
    );
    assert_eq!((shown.stdout, shown.stderr), (absent, String::new()));
    // So they do with the file that is installed, in which every key is commented out.
    for text in [
        fs::read_to_string(locate::workspace().join("config/config.toml")).expect("read"),
        String::new(),
    ] {
        configure(&sandbox, &text);
        let shown = sandbox.admin(&CHECK).ok().stdout;
        assert_eq!(shown, format!("{}: in order\n\n{policy}", path(&sandbox)));
    }
}

#[test]
fn the_whole_policy_is_shown() {
    let sandbox = sandbox();
    configure(
        &sandbox,
        "unenrolled = 'skip'\nskip_until = 2027-01-31\n\
         trusted_networks = ['::ffff:10.0.0.0/104', '2001:db8::/32', '192.0.2.1']\n\
         prompt = 'Code: '\necho = true\ntries = 1\nsuspend_after = 20\n\
         [require]\nusers = ['alice', 'bob']\ngroups = ['staff']\nservices = ['sshd', 'su', 'su-l']\n\
         [exempt]\nusers = ['carol']\nservices = ['login']\n\
         [group.bob]\nunenrolled = 'skip'\n[group.staff]\n\
         [service.su]\necho = false\ntries = 2\n",
    );
    assert_eq!(
        sandbox.admin(&CHECK).ok().stdout,
        format!(
            "{}: in order\n\n\
             Not enrolled:    not asked until 2027-01-31 (UTC)\n  \
               group bob:     not asked\n  \
               group staff:   denied\n\
             Asked:           users alice, bob or groups staff and services sshd, su, su-l\n\
             Exempt:          users carol or services login\n\
             Trusted:         10.0.0.0/8, 2001:db8::/32, 192.0.2.1/32\n\
             Prompt:          \"Code: \", what is typed is shown, 1 try\n  \
               service su:    \"Code: \", what is typed is hidden, 2 tries\n\
             Suspended:       after 20 failures in a row\n",
            path(&sandbox)
        )
    );
}

#[test]
fn a_file_of_1970_is_there() {
    let sandbox = sandbox();
    configure(&sandbox, "tries = 1\n");
    set_changed(&sandbox, 0);
    let shown = sandbox.admin(&CHECK).ok().stdout;
    assert!(
        shown.starts_with(&format!("{}: in order\n", path(&sandbox))),
        "{shown}"
    );
}

#[test]
fn a_login_is_ruled_as_the_module_rules_it() {
    let sandbox = sandbox();
    let skip = "unenrolled = 'skip'\nskip_until = 2023-11-14";
    for (text, user, rhost, ruling) in [
        ("", "alice", "", "asked (no rule says otherwise)"),
        (
            "exempt.users = ['alice']",
            "alice",
            "",
            "not asked (exempt.users: alice)",
        ),
        (
            "exempt.groups = ['staff']",
            "bob",
            "",
            "not asked (exempt.groups: staff)",
        ),
        (
            "exempt.groups = ['staff']",
            "carol",
            "",
            "asked and refused (not enrolled; unenrolled = \"deny\"). Enroll with: mfa-admin enroll carol",
        ),
        (
            "exempt.services = ['test']",
            "alice",
            "",
            "not asked (exempt.services: test)",
        ),
        (
            "exempt.services = ['other']",
            "alice",
            "",
            "asked (no rule says otherwise)",
        ),
        (
            "require.services = ['other']",
            "alice",
            "",
            "not asked (require.services does not name the service)",
        ),
        (
            "require.users = ['alice']",
            "alice",
            "",
            "asked (require.users: alice)",
        ),
        (
            "require.groups = ['staff']",
            "alice",
            "",
            "asked (require.groups: staff)",
        ),
        (
            "require.groups = ['staff']",
            "carol",
            "",
            "not asked (require names neither the user nor a group of his)",
        ),
        (
            "trusted_networks = ['203.0.113.0/24']",
            "alice",
            "203.0.113.9",
            "not asked (trusted_networks: 203.0.113.0/24)",
        ),
        (
            "trusted_networks = ['203.0.113.0/24']",
            "alice",
            "::ffff:203.0.113.9",
            "not asked (trusted_networks: 203.0.113.0/24)",
        ),
        (
            "trusted_networks = ['203.0.113.0/24']",
            "alice",
            "office.example.org",
            "asked (no rule says otherwise)",
        ),
        (
            "unenrolled = 'skip'",
            "alice",
            "",
            "asked (no rule says otherwise)",
        ),
        (
            "unenrolled = 'skip'",
            "bob",
            "",
            "not asked (not enrolled; unenrolled = \"skip\")",
        ),
        (
            skip,
            "bob",
            "",
            "not asked (not enrolled; unenrolled = \"skip\")",
        ),
        (
            "unenrolled = 'skip'\nskip_until = 2023-11-13",
            "bob",
            "",
            "asked and refused (not enrolled; skip_until is over). Enroll with: mfa-admin enroll bob",
        ),
        (
            "group.staff.unenrolled = 'skip'",
            "bob",
            "",
            "not asked (not enrolled; group.staff.unenrolled = \"skip\")",
        ),
        (
            "unenrolled = 'skip'\n[group.staff]",
            "bob",
            "",
            "asked and refused (not enrolled; group.staff.unenrolled = \"deny\"). Enroll with: mfa-admin enroll bob",
        ),
    ] {
        configure(&sandbox, text);
        let mut words = vec!["config", "check", "--user", user, "--service", "test"];
        let mut client = sandbox.client(user);
        let mut from = String::new();
        if !rhost.is_empty() {
            words.extend(["--rhost", rhost]);
            client = client.rhost(rhost);
            from = format!(" from {rhost}");
        }
        let shown = sandbox.admin(&words).ok().stdout;
        let last = shown.lines().last().expect("a line");
        assert_eq!(last, format!("{user} at test{from}: {ruling}"), "{text}");

        let outcome = client.login(&[]);
        let asked = !ruling.starts_with("not asked");
        assert_eq!(
            (outcome.granted(), outcome.prompts.len()),
            (!asked, asked.into()),
            "{text}: {user}"
        );
        if !asked {
            let line = sandbox.decisions().pop().expect("a line");
            let rule = line
                .split_once("rule=\"")
                .expect("a rule")
                .1
                .trim_end_matches('"');
            assert!(ruling.replace('"', "'").contains(rule), "{ruling}: {line}");
        }
    }
    configure(&sandbox, skip);
    set_changed(&sandbox, NOW + 1);
    let shown = sandbox
        .admin(&["config", "check", "--user", "bob"])
        .ok()
        .stdout;
    assert!(
        shown.contains(
            "bob at login: asked and refused (not enrolled; skip_until, and the clock stands before"
        ),
        "{shown}"
    );
}

#[test]
fn what_cannot_be_looked_up_is_an_error_and_refuses() {
    let sandbox = sandbox();
    // libnss-wrapper answers with an error for a name that is not in its files.
    for (text, user) in [
        ("exempt.users = ['ghost']", "alice"),
        ("group.ghost.unenrolled = 'deny'", "bob"),
    ] {
        configure(&sandbox, text);
        let failed = sandbox.admin(&["config", "check", "--user", user]).failed();
        assert!(
            failed.stderr.contains("the name service failed"),
            "{text}: {failed:?}"
        );
    }
    configure(&sandbox, "");
    let ruled = |user| {
        sandbox
            .admin(&["config", "check", "--user", user])
            .ok()
            .stdout
    };
    let ghost = ruled("ghost");
    assert!(
        ghost.contains("ghost at login: refused (the name service failed"),
        "{ghost}"
    );
    // It vouches for those alone who have no record.
    fs::remove_file(sandbox.path("var/lib/pam_mfa/users/.store")).expect("remove the mark");
    let (alice, bob) = (ruled("alice"), ruled("bob"));
    assert!(alice.contains("alice at login: asked ("), "{alice}");
    assert!(bob.contains("bob at login: refused ("), "{bob}");
    fs::remove_file(sandbox.path("etc/pam_mfa/key")).expect("remove the key");
    let alice = ruled("alice");
    assert!(
        alice.contains("alice at login: refused (there is no key"),
        "{alice}"
    );
}

#[test]
fn services_are_looked_for_below_the_root() {
    let sandbox = sandbox();
    configure(&sandbox, "require.services = ['only-here', 'other']\n");
    let shown = sandbox.admin(&CHECK).ok().stdout;
    let place = sandbox.path("etc/pam.d");
    // Every system that has PAM has one of this name.
    let warning = format!(
        "Warning: require.services: there is no PAM service \"other\" in {}\n",
        place.display()
    );
    assert!(shown.contains(&warning), "{shown}");
    assert_eq!(shown.matches("Warning").count(), 1, "{shown}");
}

#[test]
fn what_lets_everybody_in_by_accident_is_named() {
    let sandbox = sandbox();
    for (text, warning) in [
        (
            "require.users = ['no-such-name', 'ALL', '@users', 'roоt', 'root ']",
            "Warning: require.users names nobody there is, so nobody is asked\n",
        ),
        (
            "require.services = ['no-such-service']",
            "Warning: require.services: there is no PAM service \"no-such-service\"",
        ),
        (
            "require.services = ['su']",
            "Warning: require.services: names su and not su-l",
        ),
        (
            "require.groups = ['no-such-name']",
            "Warning: require.groups: there is no group \"no-such-name\"",
        ),
        (
            "require.users = ['root', 'no-such-name']",
            "Warning: require.users: there is no user \"no-such-name\"\n",
        ),
        (
            "exempt.groups = ['no-such-name']",
            "Warning: exempt.groups: there is no group \"no-such-name\"",
        ),
        (
            "exempt.users = ['no-such-name']",
            "Warning: exempt.users: there is no user \"no-such-name\"\n",
        ),
        (
            "[group.no-such-name]",
            "Warning: group.no-such-name: there is no group \"no-such-name\"",
        ),
        (
            "trusted_networks = ['0.0.0.0/0']",
            "Warning: trusted_networks: 0.0.0.0/0 is every address: nobody is asked from afar\n",
        ),
        (
            "trusted_networks = ['::1', '::/0']",
            "Warning: trusted_networks: ::/0 is every address",
        ),
        (
            "trusted_networks = ['::ffff:0:0/96']",
            "Warning: trusted_networks: 0.0.0.0/0 is every address",
        ),
        (
            "unenrolled = 'skip'\nskip_until = 2023-11-13",
            "Warning: skip_until is over: users who are not enrolled are denied\n",
        ),
    ] {
        configure(&sandbox, text);
        let shown = check_with_real_accounts(&sandbox).ok().stdout;
        assert!(shown.contains(warning), "{text}: {shown}");
    }
    configure(
        &sandbox,
        "require.users = ['root']\nexempt.groups = ['daemon']\ntrusted_networks = ['10.0.0.0/8']\n",
    );
    let shown = check_with_real_accounts(&sandbox).ok().stdout;
    assert!(!shown.contains("Warning"), "{shown}");
    // Other programs negate so. Here it would be a list that names nobody.
    configure(&sandbox, "require.groups = ['!wheel']\n");
    assert!(
        sandbox
            .admin(&CHECK)
            .failed()
            .stderr
            .contains("who is asked stands in [require], who is not in [exempt]")
    );
}

#[test]
fn control_characters_of_the_file_do_not_reach_the_terminal() {
    let sandbox = sandbox();
    for text in [
        "\"\\u001b[2J\" = 1\n",
        "[service.\"\\u001b[2J\"]\ntries = 1\n",
        "require.services = [\"\\u001b[2J\"]\n",
    ] {
        configure(&sandbox, text);
        let shown = sandbox.admin(&CHECK);
        assert!(!(shown.stdout + &shown.stderr).contains('\u{1b}'), "{text}");
    }
}
