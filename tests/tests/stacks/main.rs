//! The stacks of `docs/pam.md`, taken from the document: what it says is what is run here.

mod doctor;
mod document;
mod door;

use std::thread;

use document::{blocks, install, install_wrong};
use door::{Door, Step, code, password, password_and, password_and_wrong, wrong_code};
use mfa_tests::{
    PASSWORD, enrolled::Enrolled, locate, machine::Machine, need, need_root, pam, protocol::Event,
};

const SSHD: &str = "/usr/sbin/sshd";

const PASSWORD_CODE: &str = "sshd: password, then code";
const KEY_CODE: &str = "sshd: key, then code";
const KEY_OR_BOTH: &str = "sshd: key alone, or password and code";
const EITHER_THEN_CODE: &str = "sshd: key or password, then code";
const ONE_ANSWER: &str = "sshd: password and code in one answer";
const SUDO: &str = "sudo";
const LOGIN: &str = "login";
const SU: &str = "su";
const LOCKERS: &str = "Screen lockers";
/// The only one that is not run.
const DISPLAY_MANAGERS: &str = "Display managers";

/// A machine where alice is enrolled, bob is exempt, and carol calls su.
fn machine(section: &str) -> (Machine, Enrolled) {
    let (machine, alice) = Machine::with_alice();
    machine.add_user("bob");
    machine.add_user("carol");
    let config = "[exempt]\nusers = [\"bob\"]\n";
    machine.write("/etc/pam_mfa/config.toml", config, "0644");
    install(&machine, section);
    (machine, alice)
}

/// What holds for every stack that asks for a password and then for a code.
#[track_caller]
fn assert_password_then_code(door: &Door, alice: &Enrolled) {
    door.lets_in("alice", &password_and(&code(alice)));
    // Each refusal takes some seconds.
    thread::scope(|scope| {
        scope.spawn(|| door.refuses("alice", &password_and_wrong(alice)));
        scope.spawn(|| door.refuses("alice", &password("wrong")));
        scope.spawn(|| door.refuses("bob", &password("wrong")));
        scope.spawn(|| door.lets_in("bob", &password(PASSWORD)));
    });
    door.lets_in("alice", &password_and(&alice.backup_codes[0]));
}

#[test]
fn sshd_asks_for_the_password_and_then_for_a_code() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine(PASSWORD_CODE);
    let sshd = door::sshd(&machine);
    assert_password_then_code(&door::ssh(&sshd, &[]), &alice);
    // A key is no way around it.
    let key = sshd.authorize_key("alice");
    let keyed = ["-i", key];
    door::ssh(&sshd, &keyed).lets_in("alice", &password_and(&alice.backup_codes[1]));
}

#[test]
fn sshd_asks_for_a_key_and_then_for_a_code() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine(KEY_CODE);
    let sshd = door::sshd(&machine);
    let keyed = ["-i", sshd.authorize_key("alice")];
    sshd.authorize_key("bob");
    let (keyed, keyless) = (door::ssh(&sshd, &keyed), door::ssh(&sshd, &[]));
    keyed.lets_in("alice", &[Step::Code(code(&alice))]);
    keyed.refuses("alice", &password_and_wrong(&alice)[1..]);
    keyed.lets_in("bob", &[]);
    for user in ["alice", "bob", "carol"] {
        keyless.refuses(user, &[]);
    }
}

#[test]
fn sshd_asks_for_a_key_alone_or_for_the_password_and_a_code() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine(KEY_OR_BOTH);
    let sshd = door::sshd(&machine);
    let keyed = ["-i", sshd.authorize_key("alice")];
    door::ssh(&sshd, &keyed).lets_in("alice", &[]);
    assert_password_then_code(&door::ssh(&sshd, &[]), &alice);
}

#[test]
fn sshd_asks_for_a_key_or_the_password_and_then_for_a_code() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine(EITHER_THEN_CODE);
    let sshd = door::sshd(&machine);
    let keyed = ["-i", sshd.authorize_key("alice")];
    sshd.authorize_key("bob");
    let keyed = door::ssh(&sshd, &keyed);
    keyed.lets_in("alice", &[Step::Code(alice.backup_codes[1].clone())]);
    keyed.refuses("alice", &password_and_wrong(&alice)[1..]);
    keyed.lets_in("bob", &[]);
    assert_password_then_code(&door::ssh(&sshd, &[]), &alice);
}

#[test]
fn sshd_takes_the_password_and_a_code_in_one_answer() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine(ONE_ANSWER);
    let sshd = door::sshd(&machine);
    let ssh = door::ssh(&sshd, &[]);
    let combined = |word: &str, code: &str| password(&format!("{word}{code}"));
    let right = code(&alice);
    ssh.lets_in("alice", &combined(PASSWORD, &right));
    thread::scope(|scope| {
        scope.spawn(|| ssh.refuses("alice", &combined(PASSWORD, &wrong_code(&alice))));
        scope.spawn(|| ssh.refuses("alice", &combined(PASSWORD, &right)));
        scope.spawn(|| ssh.refuses("alice", &combined("wrong", &alice.backup_codes[0])));
        scope.spawn(|| ssh.refuses("alice", &password(PASSWORD)));
        scope.spawn(|| ssh.refuses("bob", &password("wrong")));
        scope.spawn(|| ssh.lets_in("bob", &password(PASSWORD)));
    });
    // sshd would give the same text again; one try is made of it.
    let lines = machine.decisions();
    let missed = lines.iter().filter(|line| line.contains("wrong-code"));
    assert!(missed.clone().count() == 1, "{lines:#?}");
    assert!(
        missed
            .clone()
            .all(|line| line.contains("reason=wrong-code "))
    );
    // Behind a wrong password the code was used up all the same.
    ssh.refuses("alice", &combined(PASSWORD, &alice.backup_codes[0]));
    ssh.lets_in("alice", &combined(PASSWORD, &alice.backup_codes[1]));
}

#[test]
fn sudo_asks_for_the_password_and_then_for_a_code() {
    need_root!();
    need!("/usr/bin/sudo");
    let (machine, alice) = machine(SUDO);
    let sudoers = "Defaults passwd_tries=1, timestamp_timeout=0, lecture=never\n\
                   alice ALL=(ALL) ALL\n\
                   bob ALL=(ALL) ALL\n";
    machine.write("/etc/sudoers.d/test", sudoers, "0440");
    assert_password_then_code(&door::sudo(&machine, &["sudo"]), &alice);
    let shell = door::sudo(&machine, &["sudo", "-i"]);
    shell.lets_in("alice", &password_and(&alice.backup_codes[1]));
    shell.refuses("alice", &password_and_wrong(&alice));
}

#[test]
fn login_asks_for_the_password_and_then_for_a_code() {
    need_root!();
    need!("/bin/login");
    let (machine, alice) = machine(LOGIN);
    assert_password_then_code(&door::login(&machine), &alice);
}

#[test]
fn su_asks_for_the_password_and_then_for_a_code() {
    need_root!();
    let (machine, alice) = machine(SU);
    assert_password_then_code(&door::su(&machine, &["su"]), &alice);
    let shell = door::su(&machine, &["su", "-"]);
    shell.lets_in("alice", &password_and(&alice.backup_codes[1]));
    shell.refuses("alice", &password_and_wrong(&alice));
    // root is not asked for anything, whomever he becomes.
    for words in [["su", "alice"], ["su", "carol"]] {
        let mut su = machine.spawn_pty("root", &[&words[..], &["-c", "echo let in"]].concat());
        assert_eq!(su.expect("let in\r\n"), "");
    }
}

#[test]
fn sufficient_before_us_lets_in_without_a_code() {
    need_root!();
    let (machine, _) = wrong_su("`sufficient` before us");
    let su = door::su(&machine, &["su"]);
    su.lets_in("alice", &password(PASSWORD));
}

#[test]
fn required_before_us_shows_a_stranger_our_prompt() {
    need_root!();
    let (machine, alice) = wrong_su("`required` before us");
    let su = door::su(&machine, &["su"]);
    let code = Step::Code(code(&alice));
    su.refuses("alice", &[password("wrong"), vec![code]].concat());
}

#[test]
fn a_missing_module_refuses() {
    need_root!();
    let (machine, _) = machine(SU);
    let module = locate::pam_modules().join("pam_mfa.so");
    machine.sh(&format!("rm {}", module.display()));
    let su = door::su(&machine, &["su"]);
    let refused = "su: Module is unknown";
    Door { refused, ..su }.refuses("alice", &password(PASSWORD));
}

fn wrong_su(section: &str) -> (Machine, Enrolled) {
    let (machine, alice) = Machine::with_alice();
    machine.add_user("carol");
    install_wrong(&machine, section);
    (machine, alice)
}

#[test]
fn nothing_behind_us_refuses_who_is_not_asked() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = Machine::with_alice();
    machine.add_user("bob");
    let config = "exempt.users = [\"bob\"]\n";
    machine.write("/etc/pam_mfa/config.toml", config, "0644");
    install_wrong(&machine, "Nothing behind us that says yes");
    let methods = blocks().iter().find(|block| {
        block.section == KEY_CODE && block.files == ["/etc/ssh/sshd_config.d/00-pam_mfa.conf"]
    });
    let methods = methods.expect("the methods of sshd");
    machine.write(&methods.files[0], &methods.text, "0644");
    let sshd = door::sshd(&machine);
    let keyed = ["-i", sshd.authorize_key("alice")];
    sshd.authorize_key("bob");
    let ssh = door::ssh(&sshd, &keyed);
    ssh.lets_in("alice", &[Step::Code(code(&alice))]);
    ssh.refuses("bob", &[]);
}

#[test]
fn a_stack_without_a_password_lets_in_who_is_not_asked_with_nothing_at_all() {
    need_root!();
    need!(SSHD);
    let (machine, alice) = machine(KEY_CODE);
    install_wrong(&machine, "A stack without a password");
    let sshd = door::sshd(&machine);
    let ssh = door::ssh(&sshd, &[]);
    ssh.lets_in("bob", &[]);
    ssh.lets_in("alice", &[Step::Code(code(&alice))]);
}

#[test]
fn sshd_and_login_give_the_time_that_the_document_says() {
    need_root!();
    need!(SSHD);
    let (machine, _) = machine(PASSWORD_CODE);
    machine.sh("ssh-keygen -q -t ed25519 -N '' -f /root/key");
    let config = machine.sh("/usr/sbin/sshd -T -h /root/key");
    assert!(config.contains("\nlogingracetime 120\n"), "{config}");
    let login = machine.read("/etc/login.defs");
    let limit = login.lines().find(|line| line.starts_with("LOGIN_TIMEOUT"));
    assert!(limit.is_some_and(|line| line.ends_with("60")), "{limit:?}");
}

/// What a locker that runs as alice gets for her password: the code of pam_authenticate.
fn unlock(machine: &Machine) -> i32 {
    let client = "/usr/local/bin/pam-client";
    machine.copy_in(&locate::pam_client(), client, "0755");
    let become_alice = [
        "setpriv",
        "--reuid",
        "alice",
        "--regid",
        "alice",
        "--clear-groups",
    ];
    let answer = format!("{{\"text\":\"{PASSWORD}\"}}");
    let locker = [
        client,
        "--confdir",
        "/etc/pam.d",
        "--service",
        "swaylock",
        "--user",
        "alice",
        "--always",
        &answer,
    ];
    let output = machine
        .run(&[&become_alice[..], &locker].concat())
        .ok()
        .stdout;
    let mut events = output
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event"));
    let code = events.find_map(|event| match event {
        Event::Result { call, code } if call == "authenticate" => Some(code),
        _ => None,
    });
    code.expect("a result")
}

#[test]
fn a_locker_without_root_stays_locked_if_it_includes_our_line() {
    need_root!();
    let (machine, _) = machine(LOGIN);
    let block = |wrong| {
        let mut blocks = blocks().iter();
        let block = blocks.find(|block| block.section == LOCKERS && block.wrong == wrong);
        block.expect("a block for lockers")
    };
    for (wrong, code) in [(true, pam::AUTHINFO_UNAVAIL), (false, pam::SUCCESS)] {
        machine.write(&block(wrong).files[0], &block(wrong).text, "0644");
        assert_eq!(unlock(&machine), code);
    }
}

#[test]
fn every_stack_of_the_document_is_run_here() {
    let run = [
        PASSWORD_CODE,
        KEY_CODE,
        KEY_OR_BOTH,
        EITHER_THEN_CODE,
        ONE_ANSWER,
        SUDO,
        LOGIN,
        SU,
        LOCKERS,
        DISPLAY_MANAGERS,
    ];
    assert_eq!(document::sections(), run.into_iter().collect());
}

#[test]
fn every_line_of_ours_has_the_same_control_and_something_behind_it_that_says_yes() {
    let stacks = blocks().iter().filter(|block| {
        !block.wrong && block.files[0].starts_with("/etc/pam.d/") && block.section != LOCKERS
    });
    for block in stacks {
        let lines: Vec<&str> = block.text.lines().collect();
        let ours = |line: &&str| line.contains("pam_mfa.so");
        assert!(lines.iter().any(ours), "{block:?}");
        for (place, line) in lines.iter().enumerate().filter(|(_, line)| ours(line)) {
            let control = "auth  [success=ok ignore=ignore default=die]  pam_mfa.so";
            assert!(line.starts_with(control), "{line}");
            let behind = lines.get(place + 1).expect("a line behind ours");
            let says_yes = behind.ends_with("pam_permit.so") || *behind == "@include common-auth";
            assert!(says_yes, "{block:?}");
        }
    }
}
