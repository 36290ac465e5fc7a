//! A store that is not there, or another one, lets nobody in, asks nothing, and says in the log what
//! to do. What can be wrong with each file is in hostile_files.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
};

use mfa_tests::{enrolled::Enrolled, pam, sandbox::Sandbox};

const KEY: &str = "etc/pam_mfa/key";
const CONFIG: &str = "etc/pam_mfa/config.toml";
const MARK: &str = "var/lib/pam_mfa/users/.store";
const RECORD: &str = "var/lib/pam_mfa/users/2001.toml";
const OUT_OF_ORDER: &str = "The verification code cannot be checked now. The administrator finds the reason in the system log.";

/// Refused with this code and without a prompt; one line, which holds all these words.
#[track_caller]
fn assert_refused(sandbox: &Sandbox, user: &str, code: i32, words: &[&str]) {
    let before = sandbox.log().len();
    let outcome = sandbox.login(user, &[]);
    assert_eq!(outcome.code, code, "{outcome:#?}");
    assert_eq!(outcome.shown(), format!("{OUT_OF_ORDER}\n"));
    assert_eq!((outcome.setcred, &*outcome.stderr), (None, ""));
    let lines = sandbox.log().split_off(before);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    for word in words {
        assert!(lines[0].contains(word), "no {word:?} in {}", lines[0]);
    }
    assert_tells_nothing(sandbox, &lines[0]);
}

/// Nothing of the content of our files stands in the line, secret or not.
#[track_caller]
fn assert_tells_nothing(sandbox: &Sandbox, line: &str) {
    for path in [KEY, MARK, RECORD] {
        // It may be what is missing.
        let text = fs::read_to_string(sandbox.path(path)).unwrap_or_default();
        let words_of = |text| str::split(text, |c: char| !c.is_alphanumeric());
        let told: Vec<&str> = words_of(line).filter(|word| word.len() >= 8).collect();
        let found = words_of(&text).find(|word| told.contains(word));
        assert_eq!(found, None, "{line}");
    }
}

/// Alice cannot be decided about, and gets in once the damage is undone.
#[track_caller]
fn assert_fault(sandbox: &Sandbox, words: &[&str]) {
    assert_refused(sandbox, "alice", pam::AUTHINFO_UNAVAIL, words);
}

#[track_caller]
fn assert_mended(sandbox: &Sandbox, alice: &Enrolled) {
    assert!(sandbox.login("alice", &[&alice.code(0)]).granted());
}

fn path(sandbox: &Sandbox, below_root: &str) -> String {
    sandbox.path(below_root).display().to_string()
}

/// Moves a file or folder away while the test runs.
fn without(sandbox: &Sandbox, below_root: &str, test: impl FnOnce()) {
    let (there, away) = (sandbox.path(below_root), sandbox.path("away"));
    fs::rename(&there, &away).expect("move a file away");
    test();
    fs::rename(&away, &there).expect("move a file back");
}

#[test]
fn without_a_key_nobody_is_let_in() {
    let (sandbox, alice) = Sandbox::with_alice();
    for missing in [KEY, "etc/pam_mfa"] {
        without(&sandbox, missing, || {
            let words = ["there is no key", &path(&sandbox, KEY), "mfa-admin init"];
            assert_fault(&sandbox, &words);
            // "Nobody is enrolled" and "nobody knows" must not look alike.
            assert_refused(&sandbox, "bob", pam::AUTHINFO_UNAVAIL, &words);
        });
    }
    assert_mended(&sandbox, &alice);
}

#[test]
fn a_store_that_is_not_mounted_lets_nobody_in() {
    let (sandbox, alice) = Sandbox::with_alice();
    for missing in [MARK, "var/lib/pam_mfa/users", "var/lib/pam_mfa"] {
        without(&sandbox, missing, || {
            let words = [
                "no store",
                &path(&sandbox, MARK),
                "mounted?",
                "init --new-store",
            ];
            assert_refused(&sandbox, "bob", pam::AUTHINFO_UNAVAIL, &words);
            match missing {
                // A record under the key needs nothing else to vouch for it.
                MARK => assert_mended(&sandbox, &alice),
                _ => assert_fault(&sandbox, &words),
            }
        });
    }
    assert!(sandbox.login("alice", &[&alice.code(1)]).granted());
}

#[test]
fn records_that_are_not_mounted_are_no_lost_records() {
    let (sandbox, _) = Sandbox::with_alice();
    without(&sandbox, "var/lib/pam_mfa/users", || {
        let users = sandbox.path("var/lib/pam_mfa/users");
        DirBuilder::new()
            .mode(0o700)
            .create(users)
            .expect("make a directory");
        assert_fault(&sandbox, &["no store", "mounted?"]);
        fs::remove_dir(sandbox.path("var/lib/pam_mfa/users")).expect("remove it");
    });
}

#[test]
fn a_store_without_a_mark_does_not_tell_who_exists() {
    let (sandbox, _) = Sandbox::with_alice();
    without(&sandbox, MARK, || {
        // daemon is an account and not enrolled.
        let [known, unknown] = ["daemon", "nobody-at-all"].map(|user| {
            let outcome = sandbox.client(user).real_accounts().login(&["123456"; 3]);
            (outcome.code, outcome.shown())
        });
        assert_eq!(known, (pam::AUTHINFO_UNAVAIL, format!("{OUT_OF_ORDER}\n")));
        assert_eq!(known, unknown);
    });
}

#[test]
fn a_store_without_its_state_folder_takes_codes_in_a_row_and_no_backup_code() {
    let (sandbox, alice) = Sandbox::with_alice();
    fs::remove_dir_all(sandbox.path("var/lib/pam_mfa/state")).expect("remove the state");
    assert!(!sandbox.login("alice", &[&alice.backup_codes[0]]).granted());
    let codes = [-1, 0, 1].map(|step| alice.code(step));
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    assert!(!sandbox.login("alice", &codes[..2]).granted());
    assert!(sandbox.login("alice", &codes).granted());
    let log = sandbox.decisions().join("\n");
    assert!(
        log.contains("state/2001") && log.contains("mfa-admin regenerate"),
        "{log}"
    );
    sandbox.admin(&["regenerate", "alice", "--yes"]).ok();
}

#[test]
fn the_key_of_another_machine_lets_nobody_in() {
    let ((sandbox, _), other) = (Sandbox::with_alice(), Sandbox::new());
    fs::copy(other.path(KEY), sandbox.path(KEY)).expect("copy a key");
    let words = ["another key", &path(&sandbox, MARK), "Bring back the key"];
    assert_fault(&sandbox, &words);
    // Not even with a store that fits the key.
    fs::copy(other.path(MARK), sandbox.path(MARK)).expect("copy a mark");
    assert_fault(
        &sandbox,
        &["another key", &path(&sandbox, RECORD), "Bring back the key"],
    );
}

#[test]
fn somebody_elses_record_is_no_way_in() {
    let (sandbox, alice) = Sandbox::with_alice();
    let bob = "var/lib/pam_mfa/users/2002.toml";
    fs::copy(sandbox.path(RECORD), sandbox.path(bob)).expect("copy a record");
    let words = [&path(&sandbox, bob), "another user id", "mfa-admin disable"];
    assert_refused(&sandbox, "bob", pam::AUTHINFO_UNAVAIL, &words);
    assert_mended(&sandbox, &alice);
}

#[test]
fn a_record_of_an_earlier_enrollment_brings_no_backup_code_back() {
    let (sandbox, alice) = Sandbox::with_alice();
    fs::copy(sandbox.path(RECORD), sandbox.path("old")).expect("keep a record");
    sandbox
        .admin(&["regenerate", "alice", "--yes", "--json"])
        .ok();
    fs::copy(sandbox.path("old"), sandbox.path(RECORD)).expect("bring a record back");
    let outcome = sandbox.login("alice", &[&alice.backup_codes[0]]);
    assert_eq!((outcome.code, outcome.prompts.len()), (pam::AUTH_ERR, 2));
    assert!(
        outcome.errors[0].starts_with("Backup codes cannot be used now."),
        "{outcome:#?}"
    );
}

#[test]
fn a_lost_record_does_not_look_like_nobody() {
    let (sandbox, alice) = Sandbox::with_alice();
    without(&sandbox, RECORD, || {
        let words = [
            &path(&sandbox, RECORD),
            "uid 2001",
            "mfa-admin enroll",
            "mfa-admin disable",
        ];
        assert_fault(&sandbox, &words);
    });
    assert_mended(&sandbox, &alice);
    fs::remove_file(sandbox.path(RECORD)).expect("lose the record");
    // What the line names as the repair is one.
    sandbox.admin(&["disable", "alice", "--yes"]).ok();
    assert_eq!(
        sandbox.login("alice", &[alice.code(0).as_str(); 3]).code,
        pam::AUTH_ERR
    );
    let again = sandbox.enroll("alice");
    assert!(sandbox.login("alice", &[&again.code(0)]).granted());
}

#[test]
fn a_uid_that_was_given_to_somebody_else_is_no_way_in() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.remove_account("alice");
    sandbox.add_account("alice", 3001);
    sandbox.add_account("eve", 2001);
    let record = path(&sandbox, RECORD);
    let words = [&*record, "belongs to alice", "mfa-admin disable --uid 2001"];
    assert_refused(&sandbox, "eve", pam::AUTHINFO_UNAVAIL, &words);
    // Alice has no record under her new uid.
    let outcome = sandbox.login("alice", &[alice.code(0).as_str(); 3]);
    assert_eq!((outcome.code, outcome.prompts.len()), (pam::AUTH_ERR, 3));
}

#[test]
fn a_configuration_that_is_not_understood_lets_nobody_in() {
    let (sandbox, alice) = Sandbox::with_alice();
    let wrong = [
        ("tries = 3\ntris = 2\n", ["line 2", "`tris`"]),
        ("\n\ntries = \"many\"\n", ["line 3", "many"]),
        ("tries = 0\n", ["tries", "1 to 10"]),
        ("tries = 11\n", ["tries", "1 to 10"]),
        ("tries\n", ["line 1", ""]),
    ];
    for (text, words) in wrong {
        sandbox.write(CONFIG, text);
        for user in ["alice", "bob"] {
            assert_refused(
                &sandbox,
                user,
                pam::SERVICE_ERR,
                &[&path(&sandbox, CONFIG), words[0]],
            );
        }
    }
    sandbox.write(CONFIG, "# nothing\n");
    assert_mended(&sandbox, &alice);
}

#[test]
fn a_name_service_that_fails_lets_nobody_in() {
    let (sandbox, alice) = Sandbox::with_alice();
    // libnss-wrapper answers with an error for whoever is not in its file.
    sandbox.remove_account("alice");
    assert_fault(&sandbox, &["the name service failed"]);
    sandbox.add_account("alice", 2001);
    assert_mended(&sandbox, &alice);
}
