//! Logins through sshd.

use mfa_tests::{PASSWORD, PASSWORD_HASH, enrolled::now, machine::Machine, sshd::Sshd};

use super::{
    CONFIG, VICTIM, at_sshd,
    scene::{Foreseen, Scene},
    wait_until,
};
use crate::{debian, logins};

const HERE: &str = "127.0.0.1";

/// sshd with our line behind the password.
#[track_caller]
pub fn start(machine: &Machine) -> Sshd<'_> {
    debian::ask_at(machine, "sshd");
    debian::start_sshd(machine)
}

/// Gives the answer to all three prompts, in vain.
#[track_caller]
pub fn refused(sshd: &Sshd, user: &str, answer: &str) {
    let mut ssh = logins::behind_password(sshd, user);
    for _ in 0..3 {
        ssh.expect("backup code: ");
        ssh.send_line(answer);
    }
    assert_eq!(ssh.finish().0, 255, "{:#?}", sshd.log());
}

/// Gives the answer to the first prompt, and goes away at the second.
#[track_caller]
fn gone_after(sshd: &Sshd, user: &str, answer: &str) {
    let mut ssh = logins::behind_password(sshd, user);
    ssh.expect("backup code: ");
    ssh.send_line(answer);
    ssh.expect("backup code: ");
    let lines = sshd.log().len();
    ssh.send("\x03");
    wait_until("the end of the connection", || {
        let over = |line: &String| {
            line.starts_with("Connection closed") || line.starts_with("Connection reset")
        };
        sshd.log()[lines..].iter().any(over)
    });
}

/// A login that ends without our prompt.
#[track_caller]
fn without_prompt(sshd: &Sshd, user: &str) -> i32 {
    logins::behind_password(sshd, user).finish().0
}

/// The lines of a login with three answers, all refused for the same reason; `hint` stands behind them.
fn thrice(user: &str, word: &str, hint: &str) -> [String; 3] {
    let line = |what: &str| at_sshd(what, HERE) + hint;
    let missed = line(&format!("missed user={user} reason={word}"));
    let refused = line(&format!("refused user={user} reason={word},{word},{word}"));
    [missed.clone(), missed, refused]
}

#[test]
fn logins_at_sshd() {
    let scene = Scene::new();
    let machine = &scene.machine;
    machine.add_user("bob");
    let alice = machine.enroll("alice");
    let (wrong, spent) = (alice.wrong_code_at(now()), &alice.backup_codes[0]);
    let sshd = start(machine);
    let mut foreseen = Foreseen::default();

    let code = alice.code_at(now());
    logins::by_code(&sshd, &code);
    let granted = "granted user=alice method=totp device=phone";
    foreseen.normal(&at_sshd(granted, HERE));
    let mut in_vain = |user: &str, answer: &str, word: &str, hint: &str, counts| {
        refused(&sshd, user, answer);
        for line in thrice(user, word, hint) {
            foreseen.line(&line, counts, true);
        }
    };
    let hint = " hint=\"the answer was the password again: if it was sshd that gave it, set \
        KbdInteractiveAuthentication yes and PasswordAuthentication no in sshd_config\"";
    in_vain("alice", &code, "replayed-code", "", None);
    in_vain("alice", &wrong, "wrong-code", "", Some(HERE));
    in_vain("alice", "what?", "no-code", "", Some(HERE));
    in_vain("alice", PASSWORD, "password", hint, None);
    in_vain("bob", "123456", "not-enrolled", "", None);
    logins::by_code(&sshd, spent);
    let granted = "granted user=alice method=backup left=9 failures=3";
    foreseen.normal(&at_sshd(granted, HERE));
    refused(&sshd, "alice", spent);
    for line in thrice("alice", "spent-backup-code", "") {
        foreseen.mailed(&line);
    }

    // sshd kills the process that we run in: there is no other line.
    gone_after(&sshd, "alice", &wrong);
    let missed = at_sshd("missed user=alice reason=wrong-code", HERE);
    foreseen.guess(HERE, &missed);

    // Never gets as far as we: nothing of the name is in our lines.
    let stranger = format!("x rhost={VICTIM}");
    assert_eq!(without_prompt(&sshd, &stranger), 255);
    // This one is somebody's name.
    let line = format!("{stranger}:{PASSWORD_HASH}:2010:2010::/:/bin/sh");
    machine.sh(&format!("echo '{line}' >>/etc/passwd"));
    let odd = machine.enroll(&stranger);
    refused(&sshd, &stranger, &odd.wrong_code_at(now()));
    for line in thrice(&format!("x\\x20rhost\\x3d{VICTIM}"), "wrong-code", "") {
        foreseen.guess(HERE, &line);
    }

    // Nothing is wrong with these people.
    let out_of_order = |reason: &str| {
        let refused = format!("refused user=alice reason={reason}");
        at_sshd(&refused, HERE) + " error=\""
    };
    machine.write(CONFIG, "tris = 3\n", "0644");
    assert_eq!(without_prompt(&sshd, "alice"), 255);
    foreseen.mailed(&out_of_order("config"));
    machine.write(CONFIG, "[exempt]\nusers = [\"bob\"]\n", "0644");
    assert_eq!(without_prompt(&sshd, "bob"), 0);
    let exempt = at_sshd("not-asked user=bob", HERE) + " rule=\"exempt.users: bob\"";
    foreseen.normal(&exempt);
    machine.sh("mv /var/lib/pam_mfa/users /var/lib/pam_mfa/lost");
    assert_eq!(without_prompt(&sshd, "alice"), 255);
    foreseen.mailed(&out_of_order("fault"));
    foreseen.assert_in(&scene);
}
