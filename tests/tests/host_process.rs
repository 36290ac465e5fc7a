//! The host's process is left as it was: whatever a login comes to, only the verdict tells that our
//! module was there.

use std::{fs, time::Duration};

use mfa_tests::{
    client::Client,
    enrolled::Enrolled,
    outcome::Outcome,
    pam::{self, Reply},
    process::Changes,
    protocol::{Event, LOOK},
    sandbox::Sandbox,
};

/// The host's own line in the system's log, under its own name, in the end.
const OWN_LINE: &str = "host-app: still myself\n";

fn sandbox() -> (Sandbox, Enrolled) {
    let (sandbox, alice) = Sandbox::with_alice();
    // Without it libpam complains in the log, under the name of its host.
    sandbox.service("other", "auth required pam_deny.so\n");
    (sandbox, alice)
}

/// A login that begins with a look at the process and ends with another one.
#[track_caller]
fn look(client: Client, answers: &[Reply]) -> (Outcome, Changes) {
    let limit = Duration::from_secs(20);
    let words = ["sh", "-c", "exec \"$@\" --look", "sh"];
    let mut session = client.under(&words).limit(limit).start();
    let mut answers = answers.iter();
    while session.prompt().text != LOOK {
        session.reply(answers.next().cloned().unwrap_or(Reply::Null));
    }
    let outcome = session.finish();
    let changes = outcome.events.iter().find_map(|event| match event {
        Event::Changed { what } => Some(what.clone()),
        _ => None,
    });
    (outcome, changes.expect("what changed"))
}

/// What the login comes to; the process is as it was.
#[track_caller]
fn unchanged_by(client: Client, answers: &[Reply]) -> i32 {
    let (outcome, changes) = look(client, answers);
    assert_eq!(changes, Changes::new());
    assert_eq!(outcome.stderr, OWN_LINE);
    outcome.code
}

fn text(text: &str) -> Reply {
    Reply::Text(text.as_bytes().to_vec())
}

#[test]
fn a_login_that_ends_well_changes_nothing() {
    let (sandbox, alice) = sandbox();
    for answer in [&*alice.code(0), &alice.backup_codes[0]] {
        let code = unchanged_by(sandbox.client("alice"), &[text(answer)]);
        assert_eq!(code, pam::SUCCESS);
    }
    let silent = sandbox.client("alice").silent();
    let code = unchanged_by(silent, &[text("no code"), text(&alice.code(1))]);
    assert_eq!(code, pam::SUCCESS);
}

#[test]
fn a_login_that_is_refused_changes_nothing() {
    let (sandbox, alice) = sandbox();
    let wrong = vec![text(&alice.wrong_code()); 3];
    for user in ["alice", "bob"] {
        assert_eq!(unchanged_by(sandbox.client(user), &wrong), pam::AUTH_ERR);
    }
    for (reply, code) in [
        (Reply::Null, pam::AUTH_ERR),
        (Reply::Error(pam::CONV_ERR), pam::CONV_ERR),
        (Reply::Error(pam::CONV_AGAIN), pam::INCOMPLETE),
        (Reply::Text(vec![0xff; 1000]), pam::AUTH_ERR),
    ] {
        assert_eq!(unchanged_by(sandbox.client("alice"), &[reply]), code);
    }
    let mute = sandbox.client("alice").null_conversation();
    assert_eq!(unchanged_by(mute, &[]), pam::CONV_ERR);
}

#[test]
fn a_fault_changes_nothing() {
    let (sandbox, alice) = sandbox();
    sandbox.write("etc/pam_mfa/config.toml", "tires = 1\n");
    let log_in = || unchanged_by(sandbox.client("alice"), &[text(&alice.code(0))]);
    assert_eq!(log_in(), pam::SERVICE_ERR);
    fs::remove_file(sandbox.path("etc/pam_mfa/config.toml")).expect("remove the configuration");
    fs::write(sandbox.path("var/lib/pam_mfa/users/2001.toml"), "").expect("damage the record");
    assert_eq!(log_in(), pam::AUTHINFO_UNAVAIL);
    fs::remove_file(sandbox.path("etc/pam_mfa/key")).expect("remove the key");
    assert_eq!(log_in(), pam::AUTHINFO_UNAVAIL);
    sandbox.stack("auth required {mfa} nonsense\n");
    assert_eq!(log_in(), pam::SERVICE_ERR);
}

/// Otherwise nothing above would mean anything.
#[test]
fn what_another_module_changes_is_seen() {
    let (sandbox, _) = sandbox();
    sandbox.stack("auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_umask.so umask=0077\n");
    let (outcome, changes) = look(sandbox.client("alice").session(), &[]);
    assert_eq!(outcome.open_session, Some(pam::SUCCESS));
    let umask = changes.get("Umask").cloned();
    assert_eq!(
        umask,
        Some([Some("0022".to_owned()), Some("0077".to_owned())])
    );
}
