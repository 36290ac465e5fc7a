//! Users who are not enrolled: refused like anybody else, or skipped until a day.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::{PermissionsExt, chown, symlink},
    time::{Duration, SystemTime},
};

use mfa_tests::{enrolled::NOW, need_root, outcome::Outcome, pam, sandbox::Sandbox};

const CONFIG: &str = "etc/pam_mfa/config.toml";
const PROMPT: &str = "Verification code or backup code: ";
const DAY: u64 = 86_400;
/// 2023-11-14, the day of `NOW`.
const TODAY: u64 = NOW / DAY * DAY;

/// Alice is enrolled, nobody else is; behind the module everybody is let in.
fn sandbox() -> Sandbox {
    let (sandbox, _) = Sandbox::with_alice();
    let behind = "auth required pam_permit.so\naccount required pam_permit.so\n";
    sandbox.stack(&format!(
        "auth [success=ok ignore=ignore default=die] {{mfa}}\n{behind}"
    ));
    sandbox
}

/// Writes the configuration as if that had been done at `time`.
fn configure(sandbox: &Sandbox, text: &str, time: u64) {
    sandbox.write(CONFIG, text);
    let file = File::options().write(true).open(sandbox.path(CONFIG));
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(time);
    let set = file.and_then(|file| file.set_modified(time));
    set.expect("set the time of a file");
}

fn add_group(sandbox: &Sandbox, line: &str) {
    let path = sandbox.confdir().with_file_name("nss").join("group");
    let file = OpenOptions::new().append(true).open(path);
    let written = file.and_then(|mut file| writeln!(file, "{line}"));
    written.expect("add a group");
}

#[track_caller]
fn assert_skipped(sandbox: &Sandbox, outcome: &Outcome, told: &str) {
    assert!(outcome.granted(), "{outcome:#?}");
    assert_eq!((outcome.prompts.len(), &*outcome.shown()), (0, told));
    let line = sandbox.decisions().pop().expect("a line");
    let rule = line.ends_with("rule=\"not enrolled; unenrolled = 'skip'\"");
    assert!(rule && line.contains(": not-asked user=bob "), "{line}");
}

/// Asked as often as anybody, told the same, and refused.
#[track_caller]
fn assert_denied(sandbox: &Sandbox, user: &str) {
    let outcome = sandbox.login(user, &["123456", "abcd-efgh-2345", "password"]);
    assert_eq!((outcome.code, outcome.setcred), (pam::AUTH_ERR, None));
    assert_eq!(outcome.prompts, [PROMPT; 3]);
    assert_eq!(outcome.errors, ["Wrong code."; 3]);
    assert_eq!(outcome.infos.len(), 0, "{outcome:#?}");
    let line = sandbox.decisions().pop().expect("a line");
    let reason = format!("refused user={user} reason=not-enrolled,not-enrolled,no-code ");
    assert!(line.contains(&reason), "{line}");
}

#[test]
fn by_default_whoever_is_not_enrolled_is_asked_like_anybody_and_refused() {
    let sandbox = sandbox();
    for text in [
        "",
        "unenrolled = \"deny\"",
        "group.bob.unenrolled = \"deny\"",
    ] {
        configure(&sandbox, text, TODAY);
        assert_denied(&sandbox, "bob");
    }
    fs::remove_file(sandbox.path(CONFIG)).expect("remove the configuration");
    assert_denied(&sandbox, "bob");
    // What is shown is what an enrolled user with wrong codes sees.
    let shown = |user| sandbox.login(user, &["", "abcd-efgh-2345", "1234"]).shown();
    assert_eq!(shown("bob"), shown("alice"));
}

#[test]
fn without_a_last_day_whoever_is_not_enrolled_is_skipped_in_silence() {
    let sandbox = sandbox();
    configure(&sandbox, "unenrolled = \"skip\"", TODAY);
    for time in [TODAY, TODAY + 20_000 * DAY] {
        let outcome = sandbox.client("bob").at(time).login(&[]);
        assert_skipped(&sandbox, &outcome, "");
    }
    // Who is enrolled is asked all the same.
    assert_eq!(sandbox.login("alice", &[]).prompts, [PROMPT]);
}

#[test]
fn until_the_last_day_he_is_told_at_every_login_how_long_is_left_and_how_to_enroll() {
    let sandbox = sandbox();
    configure(
        &sandbox,
        "unenrolled = \"skip\"\nskip_until = 2023-11-16\n",
        TODAY,
    );
    for (time, left) in [
        (TODAY, "2 days are left"),
        (TODAY + DAY - 1, "2 days are left"),
        (TODAY + DAY, "1 day is left"),
        (TODAY + 2 * DAY, "today is the last day"),
        (TODAY + 3 * DAY - 1, "today is the last day"),
    ] {
        let told = format!(
            "You have no second factor yet. After 2023-11-16 (UTC) you cannot log in without one: \
             {left}. Get one with: sudo mfa-admin enroll bob\n"
        );
        for _ in 0..2 {
            let outcome = sandbox.client("bob").at(time).login(&[]);
            assert_skipped(&sandbox, &outcome, &told);
            assert_eq!(outcome.infos.len(), 1);
        }
        let outcome = sandbox.client("bob").at(time).silent().login(&[]);
        assert_skipped(&sandbox, &outcome, "");
    }
    for late in [3 * DAY, 4 * DAY, 10_000 * DAY] {
        sandbox.at(TODAY + late);
        assert_denied(&sandbox, "bob");
    }
}

#[test]
fn a_clock_before_the_file_denies_where_there_is_a_last_day() {
    let sandbox = sandbox();
    let until = "unenrolled = \"skip\"\nskip_until = 2023-11-20\n";
    for (text, changed, skipped) in [
        (until, NOW, true),
        (until, NOW + 1, false),
        (until, NOW + 1000 * DAY, false),
        ("unenrolled = \"skip\"\n", NOW + 1, true),
        (
            "group.bob.unenrolled = \"skip\"\ngroup.bob.skip_until = 2023-11-20",
            NOW + 1,
            false,
        ),
    ] {
        configure(&sandbox, text, changed);
        match skipped {
            true => assert!(sandbox.login("bob", &[]).granted(), "{text}"),
            false => assert_denied(&sandbox, "bob"),
        }
    }
    configure(&sandbox, until, TODAY);
    for time in [-1, 0, 1, i64::from(u32::MAX)] {
        assert!(
            !sandbox.client("bob").at_any(time).login(&[]).granted(),
            "{time}"
        );
    }
}

#[test]
fn the_strictest_group_counts_more_than_what_holds_for_all() {
    let sandbox = sandbox();
    for line in [
        "staff:x:3000:bob,carol",
        "guests:x:3001:bob",
        "empty:x:3002:",
    ] {
        add_group(&sandbox, line);
    }
    let skip = |group: &str| format!("[group.{group}]\nunenrolled = \"skip\"\n");
    let deny = |group: &str| format!("[group.{group}]\nunenrolled = \"deny\"\n");
    let late = |group: &str| format!("{}skip_until = 2023-11-13\n", skip(group));
    for (text, skipped) in [
        (skip("staff"), ["bob", "carol"].as_slice()),
        (skip("guests"), &["bob"]),
        (skip("dave"), &["dave"]),
        (skip("empty"), &[]),
        (skip("staff") + &deny("guests"), &["carol"]),
        (deny("staff") + &skip("guests"), &[]),
        (skip("staff") + &late("guests"), &["carol"]),
        (
            format!("unenrolled = \"skip\"\n{}", deny("staff")),
            &["dave"],
        ),
        (
            format!("unenrolled = \"skip\"\n{}", late("guests")),
            &["carol", "dave"],
        ),
        (
            format!("unenrolled = \"skip\"\n{}", "[group.dave]\n"),
            &["bob", "carol"],
        ),
        (
            format!("unenrolled = \"deny\"\n{}", skip("staff")),
            &["bob", "carol"],
        ),
    ] {
        configure(&sandbox, &text, TODAY);
        for user in ["bob", "carol", "dave"] {
            match skipped.contains(&user) {
                true => assert!(sandbox.login(user, &[]).granted(), "{user}: {text}"),
                false => assert_denied(&sandbox, user),
            }
        }
    }
}

#[test]
fn in_two_groups_the_earlier_day_is_told() {
    let sandbox = sandbox();
    add_group(&sandbox, "staff:x:3000:bob");
    let text = "[group.bob]\nunenrolled = \"skip\"\nskip_until = 2023-12-01\n\
                [group.staff]\nunenrolled = \"skip\"\nskip_until = 2023-11-24\n";
    configure(&sandbox, text, TODAY);
    let infos = sandbox.login("bob", &[]).infos;
    assert!(
        infos[0].contains("After 2023-11-24 (UTC)") && infos[0].contains("10 days are left"),
        "{infos:?}"
    );
}

const RECORD: &str = "var/lib/pam_mfa/users/2001.toml";
const STATE: &str = "var/lib/pam_mfa/state/2001";

/// What is done to a store in which alice is enrolled and bob is not.
type Damage = fn(&Sandbox);

fn remove(sandbox: &Sandbox, path: &str) {
    let path = sandbox.path(path);
    let removed = match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    removed.expect("remove something of ours");
}

fn set_mode(sandbox: &Sandbox, path: &str, mode: u32) {
    fs::set_permissions(sandbox.path(path), Permissions::from_mode(mode)).expect("set a mode");
}

/// Nobody gets in, and nobody is asked: with `unenrolled = "skip"` there is no guess about who is
/// enrolled.
#[track_caller]
fn assert_all_refused(name: &str, sandbox: &Sandbox, users: &[&str]) {
    for user in users {
        let outcome = sandbox.login(user, &[]);
        assert_eq!(
            outcome.code,
            pam::AUTHINFO_UNAVAIL,
            "{name}: {user}: {outcome:#?}"
        );
        assert_eq!(outcome.prompts.len(), 0, "{name}: {user}");
        let line = sandbox.decisions().pop().expect("a line");
        assert!(line.contains("reason=fault "), "{name}: {line}");
    }
}

fn with_skip(damage: Damage) -> Sandbox {
    let sandbox = sandbox();
    configure(&sandbox, "unenrolled = \"skip\"\n", TODAY);
    damage(&sandbox);
    sandbox
}

#[test]
fn without_the_mark_of_the_store_nobody_is_skipped() {
    let damage: Damage = |s| remove(s, "var/lib/pam_mfa/users/.store");
    assert_all_refused("no mark", &with_skip(damage), &["bob"]);
}

#[test]
fn a_store_that_is_not_in_order_skips_nobody() {
    let damages: [(&str, Damage); 8] = [
        ("no key", |s| remove(s, "etc/pam_mfa/key")),
        ("another key", |s| {
            let text = format!("{} {}\n", "1".repeat(16), "2".repeat(64));
            fs::write(s.path("etc/pam_mfa/key"), text).expect("write a key");
        }),
        ("a key that others may read", |s| {
            set_mode(s, "etc/pam_mfa/key", 0o644)
        }),
        ("no store", |s| remove(s, "var/lib/pam_mfa")),
        ("an empty /var", |s| {
            remove(s, "var");
            fs::create_dir(s.path("var")).expect("make a directory");
        }),
        ("an empty store", |s| {
            remove(s, "var/lib/pam_mfa/users");
            fs::create_dir(s.path("var/lib/pam_mfa/users")).expect("make a directory");
            set_mode(s, "var/lib/pam_mfa/users", 0o700);
        }),
        ("users open to others", |s| {
            set_mode(s, "var/lib/pam_mfa/users", 0o755)
        }),
        ("a state that is a file", |s| {
            remove(s, "var/lib/pam_mfa/state");
            fs::write(s.path("var/lib/pam_mfa/state"), "").expect("write a file");
        }),
    ];
    for (name, damage) in damages {
        assert_all_refused(name, &with_skip(damage), &["alice", "bob"]);
    }
}

#[test]
fn a_record_that_is_not_in_order_does_not_mean_not_enrolled() {
    let damages: [(&str, Damage); 8] = [
        ("lost", |s| remove(s, RECORD)),
        ("empty", |s| fs::write(s.path(RECORD), "").expect("write")),
        ("junk", |s| {
            fs::write(s.path(RECORD), "\0junk").expect("write")
        }),
        ("open to others", |s| set_mode(s, RECORD, 0o604)),
        ("a directory", |s| {
            remove(s, RECORD);
            fs::create_dir(s.path(RECORD)).expect("make a directory");
        }),
        ("a link to nothing", |s| {
            remove(s, RECORD);
            remove(s, STATE);
            symlink("nowhere", s.path(RECORD)).expect("make a link");
        }),
        ("another user's", |s| {
            fs::copy(s.path(RECORD), s.path("var/lib/pam_mfa/users/2002.toml")).expect("copy");
            remove(s, RECORD);
        }),
        ("lost, with a state that is a link", |s| {
            remove(s, RECORD);
            fs::rename(s.path(STATE), s.path("state")).expect("rename");
            symlink(s.path("state"), s.path(STATE)).expect("make a link");
        }),
    ];
    for (name, damage) in damages {
        let sandbox = with_skip(damage);
        assert_all_refused(name, &sandbox, &["alice"]);
        // Carol's is not there, and nothing else is wrong.
        assert!(sandbox.login("carol", &[]).granted(), "{name}");
    }
}

#[test]
fn a_record_of_a_wrong_owner_does_not_mean_not_enrolled() {
    need_root!();
    for path in [
        RECORD,
        "var/lib/pam_mfa/users",
        "var/lib/pam_mfa",
        "etc/pam_mfa/key",
        CONFIG,
    ] {
        let sandbox = with_skip(|_| {});
        chown(sandbox.path(path), Some(2001), None).expect("give a file away");
        assert_all_refused(path, &sandbox, &["alice"]);
    }
}

#[test]
fn a_user_id_given_to_somebody_else_is_not_skipped() {
    let sandbox = with_skip(|_| {});
    sandbox.remove_account("alice");
    sandbox.add_account("mallory", 2001);
    assert_all_refused("alice is gone", &sandbox, &["mallory"]);
    sandbox.add_account("alice", 2077);
    assert_all_refused("alice is another", &sandbox, &["mallory"]);
    let line = sandbox.decisions().pop().expect("a line");
    assert!(
        line.contains("no user of that name has the user id 2001"),
        "{line}"
    );
}

#[test]
fn a_name_service_that_fails_skips_nobody() {
    let sandbox = with_skip(|_| {});
    // libnss-wrapper answers with an error for a name that is not in its files.
    assert_all_refused("no such user", &sandbox, &["ghost"]);
    configure(
        &sandbox,
        "unenrolled = \"skip\"\ngroup.ghost.unenrolled = \"skip\"\n",
        TODAY,
    );
    assert_all_refused("no such group", &sandbox, &["bob"]);
    // Whoever is enrolled needs no group.
    assert_eq!(sandbox.login("alice", &[]).prompts, [PROMPT]);
}

#[test]
fn whoever_enrolls_during_the_rollout_is_asked_from_then_on() {
    let sandbox = sandbox();
    let text = "unenrolled = \"skip\"\nskip_until = 2023-11-20\n";
    configure(&sandbox, text, TODAY);
    assert!(sandbox.login("bob", &[]).granted());
    let bob = sandbox.enroll("bob");
    assert!(!sandbox.login("bob", &["123456"]).granted());
    assert!(sandbox.login("bob", &[&bob.code(0)]).granted());
    // A second name of his is the same user.
    sandbox.add_account("robert", 2002);
    assert_eq!(sandbox.login("robert", &[]).prompts.len(), 1);
    sandbox.admin(&["disable", "bob", "--yes"]).ok();
    assert!(sandbox.login("bob", &[]).granted());
}
