//! sshd's method `password`, which has one field and gives its content as the answer to every prompt
//! without echo: password and code in one answer get in, a prompt for a code alone cannot work there.

use mfa_tests::{
    PASSWORD,
    enrolled::{Enrolled, STEP, now},
    machine::Machine,
    need, need_root,
    sshd::Sshd,
};

const SSHD: &str = "/usr/sbin/sshd";
const METHOD: &str = "PasswordAuthentication yes\nKbdInteractiveAuthentication no\n";
const COMBINED: &str = "auth required pam_mfa.so forward_pass tries=1\n\
                        auth required pam_unix.so use_first_pass\n";
const PLAIN: &str = "auth requisite pam_unix.so\nauth required pam_mfa.so\n";

/// That of ssh itself: no prompt of a module is shown.
const PROMPT: &str = "alice@127.0.0.1's password: ";

fn machine(stack: &str) -> (Machine, Enrolled) {
    let (machine, alice) = Machine::with_alice();
    machine.stack("sshd", stack);
    (machine, alice)
}

/// Types this into the one field: whether alice got in, and what she saw.
#[track_caller]
fn login(sshd: &Sshd, typed: &str) -> (bool, String) {
    let mut ssh = sshd.ssh("alice", &["-oNumberOfPasswordPrompts=1"], "id -un");
    ssh.expect(PROMPT);
    ssh.send_line(typed);
    let (status, shown) = ssh.finish();
    let granted = status == 0 && shown.ends_with("alice\r\n");
    assert!(granted || shown.contains("Permission denied"), "{shown}");
    (granted, shown)
}

#[track_caller]
fn failed_attempts(machine: &Machine) -> u64 {
    let words = ["mfa-admin", "status", "alice", "--json"];
    let json = machine.run(&words).ok().stdout;
    let status: serde_json::Value = serde_json::from_str(&json).expect("the JSON of status");
    status["failed_attempts"].as_u64().expect("a number")
}

#[track_caller]
fn last_line(machine: &Machine) -> String {
    machine.decisions().pop().expect("a line of the module")
}

#[test]
fn password_and_code_in_one_field_are_let_in_once() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine(COMBINED);
    let sshd = Sshd::start(&machine, METHOD);
    let time = now();
    let typed = format!("{PASSWORD}{}", alice.code_at(time));
    let (granted, shown) = login(&sshd, &typed);
    assert!(granted, "{shown} {:#?}", sshd.log());
    assert_eq!(
        machine.decisions(),
        ["pam_mfa(sshd:auth): granted user=alice method=totp device=phone rhost=127.0.0.1 tty=ssh"]
    );
    assert!(!login(&sshd, &typed).0);
    assert!(last_line(&machine).contains("reason=replayed-code "));

    // The right code does not make up for the password, nor the password for the code.
    let next = alice.code_at(time + STEP);
    assert!(!login(&sshd, &format!("wrong{next}")).0);
    assert!(last_line(&machine).contains("granted user=alice"));
    assert!(!login(&sshd, PASSWORD).0);
    assert!(last_line(&machine).contains("reason=no-code "));
    assert_eq!(failed_attempts(&machine), 0);
    let wrong = alice.wrong_code_at(now());
    assert!(!login(&sshd, &format!("{PASSWORD}{wrong}")).0);
    assert!(last_line(&machine).contains("reason=wrong-code "));
    assert_eq!(failed_attempts(&machine), 1);

    let backup = &alice.backup_codes[0];
    assert!(login(&sshd, &format!("{PASSWORD}{backup}")).0);
    assert!(last_line(&machine).contains("granted user=alice method=backup left=9"));
}

#[test]
fn at_a_prompt_for_a_code_alone_it_is_refused_without_charge_and_the_log_names_the_setting() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine(PLAIN);
    let sshd = Sshd::start(&machine, METHOD);
    let (granted, shown) = login(&sshd, PASSWORD);
    assert!(!granted, "{shown}");
    let line = last_line(&machine);
    let refused = "pam_mfa(sshd:auth): refused user=alice reason=password,password,password \
                   rhost=127.0.0.1 tty=ssh hint=";
    assert!(line.starts_with(refused), "{line}");
    let settings =
        "set KbdInteractiveAuthentication yes and PasswordAuthentication no in sshd_config";
    assert!(line.contains(settings), "{line}");
    assert_eq!(failed_attempts(&machine), 0);
    assert_eq!(machine.decisions().len(), 1);

    // Nor does it help to type both: pam_unix takes it for the password.
    assert!(!login(&sshd, &format!("{PASSWORD}{}", alice.code_at(now()))).0);
    assert_eq!(machine.decisions().len(), 1);
}

#[test]
fn with_the_settings_that_the_log_names_the_same_stack_lets_in() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine(PLAIN);
    let sshd = Sshd::start(
        &machine,
        "KbdInteractiveAuthentication yes\nPasswordAuthentication no\n",
    );
    let mut ssh = sshd.ssh("alice", &["-oNumberOfPasswordPrompts=1"], "id -un");
    ssh.expect("Password: ");
    ssh.send_line(PASSWORD);
    ssh.expect("Verification code or backup code: ");
    ssh.send_line(&alice.code_at(now()));
    let (status, shown) = ssh.finish();
    assert_eq!(status, 0, "{shown} {:#?}", sshd.log());
    assert!(shown.ends_with("alice\r\n"), "{shown}");
}
