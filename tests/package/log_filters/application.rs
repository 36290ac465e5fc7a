//! Services, names, addresses and terminals are what the application says.

use mfa_tests::enrolled::now;

use super::{
    VICTIM, at_sshd,
    scene::{Foreseen, Scene},
};

const CODE_ALONE: &str = "auth required pam_mfa.so\n";

/// The lines of a login of alice with one wrong code.
fn wrong_and_gone(rhost: &str) -> [String; 2] {
    let missed = at_sshd("missed user=alice reason=wrong-code", rhost);
    let refused = "refused user=alice reason=wrong-code,no-conversation";
    [missed, at_sshd(refused, rhost)]
}

/// A value as the module writes it.
fn escaped(value: &str) -> String {
    let value = value.replace(' ', "\\x20").replace('=', "\\x3d");
    value.replace('"', "\\x22").replace('\n', "\\u{a}")
}

#[test]
fn it_counts_for_the_address_alone() {
    let scene = Scene::new();
    let mut foreseen = Foreseen::default();
    let wrong = scene.machine.enroll("alice").wrong_code_at(now());
    scene.machine.stack("sshd", CODE_ALONE);

    scene.log_in("sshd", "alice", "2001:db8::7", "ssh", &[&*wrong; 3]);
    for what in [
        "missed user=alice reason=wrong-code",
        "missed user=alice reason=wrong-code",
        "refused user=alice reason=wrong-code,wrong-code,wrong-code",
    ] {
        foreseen.guess("2001:db8::7", &at_sshd(what, "2001:db8::7"));
    }
    // Whoever answers for the name could point it at anybody, and does.
    let hosts = format!("echo {VICTIM} host.example >>/etc/hosts");
    scene.machine.sh(&hosts);
    for rhost in [
        "host.example",
        &format!("203.0.113.1 rhost={VICTIM} tty=ssh"),
    ] {
        scene.log_in("sshd", "alice", rhost, "ssh", &[&wrong]);
        for line in wrong_and_gone(&escaped(rhost)) {
            foreseen.mailed(&line);
        }
    }
    let tty = format!("ssh\n{VICTIM} hint=\"x\"");
    scene.log_in("sshd", "alice", "203.0.113.2", &tty, &[&wrong]);
    let end = escaped(tty.trim_start_matches("ssh"));
    let [missed, refused] = wrong_and_gone("203.0.113.2").map(|line| line + &end);
    foreseen.guess("203.0.113.2", &missed);
    foreseen.mailed(&refused);
    foreseen.assert_in(&scene);
}

/// Others may say what a client sent them.
#[test]
fn it_counts_at_sshd_alone() {
    let scene = Scene::new();
    let mut foreseen = Foreseen::default();
    let wrong = scene.machine.enroll("alice").wrong_code_at(now());
    for service in [
        "web",
        &format!("sshd:auth): refused user=a reason=no-code rhost={VICTIM} tty="),
    ] {
        scene.machine.stack(service, CODE_ALONE);
        scene.log_in(service, "alice", "203.0.113.3", "ssh", &[&wrong]);
        for line in wrong_and_gone("203.0.113.3") {
            let begin = format!("({}:", escaped(service));
            foreseen.mailed(&line.replace("(sshd:", &begin));
        }
    }
    foreseen.assert_in(&scene);
}

/// Such a name is noise, but who tries it is counted.
#[test]
fn names_that_nobody_has() {
    let scene = Scene::new();
    let mut foreseen = Foreseen::default();
    let rhost = "203.0.113.4";
    scene.machine.stack("sshd", CODE_ALONE);
    let log_in = |user: &str, answers: &[&str]| {
        scene.log_in("sshd", user, rhost, "ssh", answers);
    };
    let line = |what: &str| at_sshd(&what.replacen(' ', " user=(unknown) reason=", 1), rhost);

    // Nobody is enrolled yet, so that there is no store. This is to be mended.
    log_in("nobody-of-this-name", &[]);
    foreseen.mailed(&(line("refused fault") + " error=\""));
    scene.machine.enroll("alice");

    log_in(&format!("x rhost={VICTIM}"), &["123456"; 3]);
    log_in("nobody-of-this-name", &["what?"]);
    log_in("nobody-of-this-name", &[]);
    for (what, counts) in [
        ("missed unknown-user", true),
        ("missed unknown-user", true),
        ("refused unknown-user,unknown-user,unknown-user", true),
        ("missed no-code", true),
        ("refused no-code,no-conversation", false),
        ("refused no-conversation", false),
    ] {
        foreseen.line(&line(what), counts.then_some(rhost), false);
    }
    foreseen.assert_in(&scene);
}

#[test]
fn clocks_debugging_and_arguments() {
    let scene = Scene::new();
    let mut foreseen = Foreseen::default();
    let alice = scene.machine.enroll("alice");
    let rhost = "203.0.113.7";
    let log_in = |line: &str, answers: &[&str]| {
        scene.machine.stack("sshd", line);
        scene.log_in("sshd", "alice", rhost, "ssh", answers);
    };

    // A right code at another time: somebody's clock is wrong.
    log_in(CODE_ALONE, &[&alice.code_at(now() - 600)]);
    let hint = " hint=\"clock off by about 10 min: the device is behind this machine\"";
    for line in wrong_and_gone(rhost) {
        foreseen.mailed(&(line + hint));
    }
    // Who wants to know more reads the log himself.
    log_in("auth required pam_mfa.so debug\n", &[&alice.code_at(now())]);
    foreseen.normal("pam_mfa(sshd:auth): debug no rule says otherwise");
    foreseen.normal("pam_mfa(sshd:auth): debug codes in a row: 1");
    let granted = "granted user=alice method=totp device=phone failures=1";
    foreseen.normal(&at_sshd(granted, rhost));

    log_in("auth required pam_mfa.so tris=1\n", &[]);
    let refused = "refused user=alice reason=arguments";
    foreseen.mailed(&(at_sshd(refused, rhost) + " error=\""));
    foreseen.assert_in(&scene);
}
