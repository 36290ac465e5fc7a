//! What the log says: one line a decision and one an answer refused before it, nothing that was typed,
//! nothing that looks like more lines.

use mfa_tests::{
    PASSWORD, enrolled::NOW, locate, log::of_module, machine::Machine, need_root, outcome::Outcome,
    sandbox::Sandbox,
};

/// The last line of a login, its decision; those before it tell of answers that were refused.
#[track_caller]
fn line_of(sandbox: &Sandbox, login: impl FnOnce()) -> String {
    let before = sandbox.log().len();
    login();
    let mut lines = sandbox.log().split_off(before);
    let last = lines.pop().expect("a line");
    let missed = |line: &String| line.contains("pam_mfa(") && line.contains("): missed user=");
    assert!(lines.iter().all(missed), "{lines:#?}");
    last
}

/// From `pam_mfa(` on, after the priority of facility `authpriv` and the date.
#[track_caller]
fn assert_line(line: &str, severity: u32, text: &str) {
    let priority = format!("<{}>", 10 * 8 + severity);
    assert!(line.starts_with(&priority), "{priority} {line}");
    assert!(line.ends_with(&format!(": {text}")), "{text}\n{line}");
}

#[test]
fn a_verification_code_that_was_let_in() {
    let (sandbox, alice) = Sandbox::with_alice();
    let line = line_of(&sandbox, || {
        let client = sandbox.client("alice").rhost("203.0.113.7").tty("ssh");
        assert!(client.login(&[&alice.code(0)]).granted());
    });
    assert_line(
        &line,
        6,
        "pam_mfa(test:auth): granted user=alice method=totp device=phone rhost=203.0.113.7 tty=ssh",
    );
}

#[test]
fn a_device_has_the_name_it_was_given() {
    let sandbox = Sandbox::new();
    sandbox.at(NOW);
    let enroll = [
        "enroll",
        "bob",
        "--no-verify",
        "--yes",
        "--json",
        "--device",
        "old-phone",
    ];
    let json = sandbox.admin(&enroll).ok().stdout;
    let bob: mfa_tests::enrolled::Enrolled = serde_json::from_str(&json).expect("JSON");
    let line = line_of(&sandbox, || {
        assert!(sandbox.login("bob", &[&bob.code(0)]).granted())
    });
    assert_line(
        &line,
        6,
        "pam_mfa(test:auth): granted user=bob method=totp device=old-phone rhost= tty=",
    );
}

#[test]
fn a_backup_code_that_was_let_in_at_the_second_try() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.service("console", "auth required {mfa}\n");
    let line = line_of(&sandbox, || {
        let client = sandbox.client("alice").service("console").tty("/dev/tty1");
        client.login(&["what?", &alice.backup_codes[0]]);
    });
    assert_line(
        &line,
        6,
        "pam_mfa(console:auth): granted user=alice method=backup left=9 rhost= tty=/dev/tty1",
    );
}

#[test]
fn a_refusal_has_a_reason_for_each_answer() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.login("alice", &[&alice.backup_codes[0]]);
    sandbox.login("alice", &[&alice.code(0)]);
    let refusals = [
        (
            [&*alice.wrong_code(), "what?", &alice.wrong_code()],
            "wrong-code,no-code,wrong-code",
        ),
        (
            [&alice.code(0), &alice.backup_codes[0], ""],
            "replayed-code,spent-backup-code,no-code",
        ),
    ];
    for (answers, reasons) in refusals {
        let line = line_of(&sandbox, || {
            sandbox
                .client("alice")
                .rhost("host.example")
                .login(&answers);
        });
        assert_line(
            &line,
            5,
            &format!(
                "pam_mfa(test:auth): refused user=alice reason={reasons} rhost=host.example tty="
            ),
        );
    }
}

#[test]
fn a_user_who_went_away_is_a_line_too() {
    let (sandbox, _) = Sandbox::with_alice();
    let line = line_of(&sandbox, || drop(sandbox.login("alice", &[])));
    assert_line(
        &line,
        5,
        "pam_mfa(test:auth): refused user=alice reason=no-answer rhost= tty=",
    );
}

#[test]
fn who_is_not_enrolled_is_named() {
    let (sandbox, _) = Sandbox::with_alice();
    let line = line_of(&sandbox, || drop(sandbox.login("bob", &["123456"; 3])));
    assert_line(
        &line,
        5,
        "pam_mfa(test:auth): refused user=bob reason=not-enrolled,not-enrolled,not-enrolled rhost= tty=",
    );
}

fn stranger(sandbox: &Sandbox, name: &str, answers: &[&str]) -> Outcome {
    sandbox.client(name).real_accounts().login(answers)
}

#[test]
fn who_does_not_exist_is_not_named_for_people_type_passwords_there() {
    let (sandbox, _) = Sandbox::with_alice();
    for name in ["hunter2", "alice\n", "a/b"] {
        let line = line_of(&sandbox, || drop(stranger(&sandbox, name, &["123456"; 3])));
        assert!(
            line.contains("refused user=(unknown) reason=unknown-user,"),
            "{line}"
        );
        assert!(!line.contains(name.trim_end()), "{line}");
    }
}

#[test]
fn who_does_not_exist_is_not_named_whatever_he_types() {
    let (sandbox, _) = Sandbox::with_alice();
    for answers in [&["what?"; 3][..], &["123456", "what?", ""], &["what?"], &[]] {
        let line = line_of(&sandbox, || drop(stranger(&sandbox, "hunter2", answers)));
        assert!(!line.contains("hunter2"), "{answers:?} {line}");
    }
}

#[test]
fn who_may_not_exist_is_not_named_when_nothing_can_be_decided() {
    let (sandbox, _) = Sandbox::with_alice();
    // libnss-wrapper answers with an error for whoever is not in its file.
    let line = line_of(&sandbox, || drop(sandbox.login("hunter2", &[])));
    assert!(!line.contains("hunter2"), "{line}");
    sandbox.write("etc/pam_mfa/config.toml", "tris = 3\n");
    let line = line_of(&sandbox, || drop(stranger(&sandbox, "hunter2", &[])));
    assert!(!line.contains("hunter2"), "{line}");
}

#[test]
fn nothing_said_by_a_stranger_ends_the_line_or_looks_like_a_key() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.service("a b\n", "auth required {mfa}\n");
    sandbox.add_account("anna lena", 2010);
    let evil = "x\r\n<34>evil user=root \u{1b}[2J\u{9b}\u{7f}\"\u{2028}";
    let clean =
        "x\\u{d}\\u{a}<34>evil\\x20user\\x3droot\\x20\\u{1b}[2J\\u{9b}\\u{7f}\\x22\\u{2028}";
    let line = line_of(&sandbox, || {
        let client = sandbox
            .client("alice")
            .service("a b\n")
            .rhost(evil)
            .tty(evil);
        client.login(&[&alice.code(0)]);
    });
    assert_line(
        &line,
        6,
        &format!(
            "pam_mfa(a\\x20b\\u{{a}}:auth): granted user=alice method=totp device=phone rhost={clean} tty={clean}"
        ),
    );
    let line = line_of(&sandbox, || drop(sandbox.login("anna lena", &[])));
    assert!(line.contains(" user=anna\\x20lena reason="), "{line}");
    let long = "x".repeat(100_000);
    let line = line_of(&sandbox, || {
        drop(sandbox.client("alice").rhost(&long).login(&[]))
    });
    assert!(line.len() < 1000, "{}", line.len());
}

#[test]
fn no_line_tells_a_secret_or_what_was_typed() {
    let (sandbox, alice) = Sandbox::with_alice();
    sandbox.stack(
        "auth optional pam_unix.so nodelay\nauth required {mfa}\naccount required pam_permit.so\n",
    );
    let (right, next, wrong) = (alice.code(0), alice.code(1), alice.wrong_code());
    let typed = [
        &right,
        &right,
        &next,
        &alice.code(7),
        &wrong,
        &alice.backup_codes[0],
        &alice.backup_codes[0],
    ];
    for user in ["alice", "bob"] {
        for code in typed {
            sandbox.login(user, &[PASSWORD, code, "typed by mistake", code]);
            sandbox.login(user, &["wrong password", code]);
        }
    }
    let mut secret = vec![
        PASSWORD,
        "wrong password",
        "typed by mistake",
        &alice.secret,
    ];
    secret.extend(typed.into_iter().map(String::as_str));
    assert_eq!(sandbox.decisions().len(), 2 * 7 * 2);
    // The priority, the date and the pid before our text are digits too.
    for line in of_module(&sandbox.log()) {
        let told = secret.iter().find(|word| line.contains(**word));
        assert_eq!(told, None, "{line}");
    }
}

#[test]
fn a_missing_log_changes_no_verdict() {
    let (sandbox, alice) = Sandbox::with_alice();
    std::fs::remove_file(sandbox.path("dev/log")).expect("remove the log's socket");
    assert!(sandbox.login("alice", &[&alice.code(0)]).granted());
    assert!(!sandbox.login("alice", &[&alice.code(0)]).granted());
}

#[test]
fn a_log_that_nobody_reads_changes_no_verdict() {
    let (sandbox, alice) = Sandbox::with_alice();
    let socket = sandbox.path("dev/log");
    std::fs::remove_file(&socket).expect("remove the log's socket");
    let _deaf = fill(&socket);
    assert!(sandbox.login("alice", &[&alice.code(0)]).granted());
}

/// A socket whose queue is full.
fn fill(path: &std::path::Path) -> std::os::unix::net::UnixDatagram {
    let socket = std::os::unix::net::UnixDatagram::bind(path).expect("bind a socket");
    let sender = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
    sender
        .set_nonblocking(true)
        .expect("a socket that does not wait");
    while sender.send_to(b"full", path).is_ok() {}
    socket
}

#[test]
fn a_wrong_pam_line_refuses_and_the_log_names_every_mistake() {
    need_root!();
    let machine = Machine::start();
    machine.install();
    machine.add_user("alice");
    machine.copy_in(&locate::pam_client(), "/tmp/pam-client", "0755");
    machine.stack("test", "auth required pam_mfa.so root=etc nullok debug=1\n");
    let client = [
        "/tmp/pam-client",
        "--confdir",
        "/etc/pam.d",
        "--service",
        "test",
        "--user",
        "alice",
    ];
    let shown = machine.run(&client).ok().stdout;
    assert!(
        shown.contains(r#"{"event":"result","call":"authenticate","code":3}"#),
        "{shown}"
    );
    assert!(!shown.contains("prompt"), "{shown}");
    let lines = machine.decisions();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    for word in [
        " reason=arguments ",
        "root=etc: expected an absolute path",
        "nullok: unknown",
        "debug=1: unknown",
    ] {
        assert!(lines[0].contains(word), "no {word:?} in {}", lines[0]);
    }
}

#[test]
fn whoever_breaks_off_after_a_wrong_answer_has_left_a_line() {
    let (sandbox, alice) = Sandbox::with_alice();
    let wrong = alice.wrong_code();
    for (user, named, answer, reason) in [
        ("alice", "alice", &*wrong, "wrong-code"),
        ("alice", "alice", "hello", "no-code"),
        ("nobody-there", "(unknown)", &*wrong, "unknown-user"),
    ] {
        let client = sandbox.client(user).rhost("203.0.113.7").tty("ssh");
        let client = if named == user {
            client
        } else {
            client.real_accounts()
        };
        let mut login = client.start();
        login.prompt();
        login.answer(answer);
        login.prompt();
        drop(login);
        let line = sandbox.log().pop().expect("a line");
        let text = format!(
            "pam_mfa(test:auth): missed user={named} reason={reason} rhost=203.0.113.7 tty=ssh"
        );
        assert_line(&line, 5, &text);
    }
}

#[test]
fn an_answer_after_which_nothing_is_asked_is_told_of_once() {
    let (sandbox, alice) = Sandbox::with_alice();
    let wrong = alice.wrong_code();
    sandbox.login("alice", &[&wrong, "hello", &wrong]);
    let lines = sandbox.log();
    let missed = lines.iter().filter(|line| line.contains("): missed "));
    assert_eq!((missed.count(), lines.len()), (2, 3), "{lines:#?}");
}
