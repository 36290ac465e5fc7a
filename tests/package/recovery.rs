//! The recipes of `docs/recovery.md`, taken from the document: what it says is what is run here, by somebody
//! who was locked out before and gets in after.

mod document;
pub mod enrolling;
mod rescue;

use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

use mfa_tests::{
    command::{Finished, LIMIT},
    enrolled::{Enrolled, STEP, now},
    locate,
    machine::Machine,
    pty::Pty,
    sshd::Sshd,
};

use crate::{
    debian::{self, ask_at, dpkg, exists, start_rsyslogd, start_sshd},
    logins,
};
use document::{Recipe, reasons, recipes};

/// Names the recipes that are run here, and lists them. A name that no test uses does not compile.
macro_rules! run_here {
    ($($name:ident = $heading:literal $number:literal;)*) => {
        $(#[deny(dead_code)] const $name: Recipe = Recipe($heading, $number);)*
        const RUN_HERE: &[Recipe] = &[$(Recipe($heading, $number)),*];
    };
}

run_here! {
    COPY_KEY = "Before anything happens" 1;
    BACK_UP = "Before anything happens" 2;
    ASK_THE_JOURNAL = "Why was it refused?" 1;
    ASK_THE_LOG = "Why was it refused?" 2;
    ASK_WITHOUT_A_LOG = "Why was it refused?" 3;
    EXEMPT = "Let one person in without a code, for now" 1;
    EXEMPT_NO_MORE = "Let one person in without a code, for now" 2;
    DISABLE = "Let everybody in without a code, for now" 1;
    SWITCH_OFF = "Let everybody in without a code, for now" 2;
    SWITCH_ON = "Let everybody in without a code, for now" 3;
    RESCUE_ROOT = "Locked out, without root: a rescue shell" 1;
    RESCUE_VAR = "Locked out, without root: a rescue shell" 2;
    RESCUE_CODES = "Locked out, without root: a rescue shell" 3;
    CHROOT = "Locked out, without root: another system" 1;
    TAKE_LINE_OUT = "The module is missing" 1;
    PUT_LINE_BACK = "The module is missing" 2;
    NEW_PHONE = "The phone is lost" 1;
    FROM_AFAR = "Phone and backup codes are lost" 1;
    NEW_CODES = "The backup codes are lost, or somebody saw them" 1;
    NEW_RECORD = "One record is damaged or lost" 1;
    BRING_KEY_BACK = "The key is lost" 1;
    TYPE_KEY = "The key is lost" 2;
    NEW_KEY = "The key is lost" 3;
    BRING_RECORDS_BACK = "The records are lost" 1;
    NEW_STORE = "The records are lost" 2;
    NEW_KEY_AND_STORE = "Key and records are lost" 1;
    RESTORED = "The machine was restored from a backup or a snapshot" 1;
    CLONED = "The machine was cloned" 1;
}

const RECORD: &str = "/var/lib/pam_mfa/users/$(id -u alice).toml";

/// A machine on which alice is asked for a code at sshd.
#[track_caller]
fn asked() -> (Machine, Enrolled) {
    let machine = debian::installed();
    let alice = machine.enroll("alice");
    ask_at(&machine, "sshd");
    (machine, alice)
}

/// Runs a recipe as a script that ends at the first thing that goes wrong.
#[track_caller]
fn walk(machine: &Machine, recipe: Recipe) -> Finished {
    machine.run(&["bash", "-ec", recipe.commands()]).ok()
}

/// Begins a recipe at a terminal, where somebody answers what it asks.
#[track_caller]
fn begin(machine: &Machine, recipe: Recipe) -> Pty {
    machine.spawn_pty("root", &["bash", "-ec", recipe.commands()])
}

/// Runs a recipe that enrolls alice, with her phone at hand.
#[track_caller]
fn enroll(machine: &Machine, recipe: Recipe) -> Enrolled {
    enrolling::answer(machine, begin(machine, recipe))
}

/// alice is refused, whatever code she has: she is not even asked. The log says this.
#[track_caller]
fn locked_out(machine: &Machine, sshd: &Sshd, why: &str) {
    let (status, shown) = logins::behind_password(sshd, "alice").finish();
    assert!(status == 255 && !shown.contains("ode: "), "{shown}");
    let log = machine.log();
    assert!(log.iter().any(|line| line.contains(why)), "{why}: {log:#?}");
}

/// The next code of the phone, which is good already.
fn next_code(alice: &Enrolled) -> String {
    alice.code_at(now() + STEP)
}

/// Owner and mode of a file or folder.
#[track_caller]
fn mode(machine: &Machine, path: &str) -> String {
    machine.sh(&format!("stat -c '%U:%G %a' {path}"))
}

// Before anything happens; the key is lost; the records are lost.

#[test]
fn the_key_comes_back_from_its_copy() {
    let (machine, alice) = asked();
    let key = walk(&machine, COPY_KEY).stdout;
    assert_eq!(key.lines().count(), 1);
    machine.write("/root/key.copy", &key, "0644");
    machine.sh("rm /etc/pam_mfa/key");
    let sshd = start_sshd(&machine);
    locked_out(&machine, &sshd, "there is no key");
    machine.run(&["mfa-admin", "init"]).failed();
    let listed = walk(&machine, BRING_KEY_BACK);
    assert!(listed.stdout.contains("alice"), "{listed:?}");
    assert_eq!(mode(&machine, "/etc/pam_mfa/key"), "root:root 600\n");
    logins::by_code(&sshd, &alice.backup_codes[0]);
}

/// Types a key as the recipe says; whether `mfa-admin list` had nothing against it, and all that was shown.
#[track_caller]
fn type_key(machine: &Machine, typed: &str) -> (bool, String) {
    let mut terminal = begin(machine, TYPE_KEY);
    terminal.send(typed);
    terminal.send("\x04");
    let (status, shown) = terminal.finish();
    (status == 0, shown)
}

#[test]
fn the_key_comes_back_from_paper() {
    let (machine, alice) = asked();
    let key = walk(&machine, COPY_KEY).stdout;
    machine.sh("rm /etc/pam_mfa/key");
    let sshd = start_sshd(&machine);
    locked_out(&machine, &sshd, "there is no key");

    let digit = |at: usize| {
        let other = if &key[at..=at] == "0" { "1" } else { "0" };
        format!("{}{other}{}", &key[..at], &key[at + 1..])
    };
    let other = "
        mkdir -p /root/other/etc /root/other/var/lib
        mfa-admin --root /root/other init >/dev/null
        cat /root/other/etc/pam_mfa/key";
    for (typed, named) in [
        (machine.sh(other), "another key"),
        (key[1..].to_owned(), "is not a key"),
        (digit(key.len() - 2), "its MAC does not fit"),
    ] {
        let (right, shown) = type_key(&machine, &typed);
        assert!(!right && shown.contains(named), "{named}: {shown}");
    }
    for typed in [key.replace('\n', " \n\n"), key.replace('\n', "\x04"), key] {
        let (right, shown) = type_key(&machine, &typed);
        assert!(right && shown.contains("alice"), "{shown}");
    }
    assert_eq!(mode(&machine, "/etc/pam_mfa/key"), "root:root 600\n");
    logins::by_code(&sshd, &alice.backup_codes[0]);
}

#[test]
fn without_a_copy_of_the_key_everybody_is_enrolled_anew() {
    let (machine, alice) = asked();
    machine.sh("rm /etc/pam_mfa/key");
    let sshd = start_sshd(&machine);
    locked_out(&machine, &sshd, "there is no key");
    let anew = enroll(&machine, NEW_KEY);
    logins::refused(&sshd, &alice.backup_codes[0]);
    logins::by_code(&sshd, &anew.backup_codes[0]);
}

#[test]
fn the_records_come_back_from_their_backup() {
    // What is left of the state knows people whom the backup does not know.
    for lost in ["/var/lib/pam_mfa", "/var/lib/pam_mfa/users"] {
        come_back_from_their_backup(lost);
    }
}

#[track_caller]
fn come_back_from_their_backup(lost: &str) {
    let (machine, alice) = asked();
    walk(&machine, BACK_UP);
    assert_eq!(mode(&machine, "/root/pam_mfa.tgz"), "root:root 600\n");
    let kept = machine.sh("tar -tzf /root/pam_mfa.tgz");
    assert!(
        kept.contains("/users/.store") && !kept.contains("state"),
        "{kept}"
    );
    let sshd = start_sshd(&machine);
    logins::by_code(&sshd, &alice.backup_codes[0]);
    machine.add_user("bob");
    machine.enroll("bob");
    machine.sh(&format!("rm -r {lost}"));
    locked_out(&machine, &sshd, "there is a key, but no store");

    let anew = enrolling::codes_of("alice", &walk(&machine, BRING_RECORDS_BACK).stdout);
    for folder in ["", "/users", "/state"] {
        let path = format!("/var/lib/pam_mfa{folder}");
        assert_eq!(mode(&machine, &path), "root:root 700\n", "{path}");
    }
    for old in &alice.backup_codes[..2] {
        logins::refused(&sshd, old);
        machine.sh("mfa-admin unlock alice");
    }
    logins::by_code(&sshd, &anew[0]);
    let listed = machine.sh("mfa-admin list");
    assert!(!listed.contains("bob"), "{listed}");
}

#[test]
fn without_a_backup_of_the_records_the_key_stays() {
    let (machine, _) = asked();
    let key = walk(&machine, COPY_KEY).stdout;
    machine.sh("rm -r /var/lib/pam_mfa");
    let sshd = start_sshd(&machine);
    locked_out(&machine, &sshd, "there is a key, but no store");
    let anew = enroll(&machine, NEW_STORE);
    logins::by_code(&sshd, &anew.backup_codes[0]);
    assert_eq!(walk(&machine, COPY_KEY).stdout, key);
}

#[test]
fn without_key_and_records_everybody_is_enrolled_anew() {
    for left in ["", "/var/lib/pam_mfa"] {
        let (machine, _) = asked();
        let lost = "/etc/pam_mfa/key /var/lib/pam_mfa".replace(left, "");
        machine.sh(&format!("rm -r {lost}"));
        let sshd = start_sshd(&machine);
        locked_out(&machine, &sshd, "there is no key");
        let anew = enroll(&machine, NEW_KEY_AND_STORE);
        logins::by_code(&sshd, &anew.backup_codes[0]);
    }
}

// Why was it refused?

/// Runs the recipe until the line is there: the daemon takes its time.
#[track_caller]
fn walk_until(machine: &Machine, recipe: Recipe, line: &str) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let shown = machine.run(&["bash", "-c", recipe.commands()]);
        if shown.stdout.contains(line) {
            return;
        }
        assert!(Instant::now() < deadline, "never: {line}: {shown:?}");
        sleep(Duration::from_millis(20));
    }
}

/// Both say why a login was refused, and that the module is missing, which another program logs.
#[track_caller]
fn assert_tells_why(machine: &Machine, recipe: Recipe) {
    let alice = machine.enroll("alice");
    ask_at(machine, "sshd");
    let sshd = start_sshd(machine);
    logins::refused(&sshd, &alice.wrong_code_at(now()));
    let refused = "refused user=alice reason=wrong-code,wrong-code,wrong-code";
    walk_until(machine, recipe, refused);
    machine.sh("rm /usr/lib/*/security/pam_mfa.so");
    assert_eq!(logins::behind_password(&sshd, "alice").finish().0, 255);
    let missing = "pam_mfa.so: cannot open shared object";
    walk_until(machine, recipe, missing);
}

#[test]
fn the_log_of_rsyslog_tells_why() {
    let machine = debian::installed();
    start_rsyslogd(&machine, "");
    assert_tells_why(&machine, ASK_THE_LOG);
}

const JOURNALD: &str = "/usr/lib/systemd/systemd-journald";

/// journald looks up to which cgroup a process belongs. What the kernel logs is none of the machine's business.
const START_JOURNALD: &str = "
mkdir -p /etc/systemd/journald.conf.d /sys/fs/cgroup
printf '[Journal]\nAudit=\nReadKMsg=no\n' >/etc/systemd/journald.conf.d/machine.conf
mount -t cgroup2 -o ro none /sys/fs/cgroup
ln -sf /run/systemd/journal/dev-log /dev/log";

#[test]
fn the_journal_tells_why() {
    let machine = debian::installed();
    if !exists(&machine, JOURNALD) {
        eprintln!("skipped: no systemd in this Debian");
        return;
    }
    machine.sh(START_JOURNALD);
    let mut journald = machine.command(&[JOURNALD]).spawn().expect("a journald");
    assert_tells_why(&machine, ASK_THE_JOURNAL);
    drop(machine);
    journald.wait().expect("journald ends with its machine");
}

#[test]
fn without_a_log_it_is_told_as_well() {
    let (machine, alice) = asked();
    let sshd = start_sshd(&machine);
    let told = walk(&machine, ASK_WITHOUT_A_LOG).stdout;
    assert!(!told.contains("warning"), "{told}");
    logins::by_code(&sshd, &alice.backup_codes[0]);
    machine.sh(&format!("echo >>{RECORD}"));
    locked_out(&machine, &sshd, "reason=fault");
    let [status, check] = ASK_WITHOUT_A_LOG
        .commands()
        .lines()
        .map(|line| machine.run(&["bash", "-c", line]))
        .collect::<Vec<_>>()
        .try_into()
        .expect("two commands");
    let record = "/var/lib/pam_mfa/users/";
    assert!(status.failed().stderr.contains(record));
    let told = format!("{}{}", check.stdout, check.stderr);
    assert!(told.contains(record), "{told}");
}

#[test]
fn every_reason_is_explained() {
    let words = |file: &str| {
        let source = fs::read_to_string(locate::workspace().join(file)).expect("a source file");
        let words = source.lines().filter_map(|line| {
            let (_, word) = line.trim().split_once(" => \"")?;
            Some(word.strip_suffix("\",")?.to_owned())
        });
        words.collect::<Vec<_>>()
    };
    let mut logged = words("mfa-core/src/verdict.rs");
    logged.extend(words("mfa-core/src/judge.rs"));
    logged.sort_unstable();
    let mut explained = reasons();
    explained.sort_unstable();
    // A wrong code is explained with and without a clock that is off.
    explained.dedup();
    assert_eq!(explained, logged);
}

// Let in without a code.

#[test]
fn who_is_exempt_gets_in_whatever_is_broken() {
    let (machine, alice) = asked();
    let sshd = start_sshd(&machine);
    let config = machine.read("/etc/pam_mfa/config.toml");
    for (broken, mended, why) in [
        (
            "mv /etc/pam_mfa/key /root".to_owned(),
            "mv /root/key /etc/pam_mfa",
            "there is no key",
        ),
        (
            "mv /var/lib/pam_mfa /root".to_owned(),
            "mv /root/pam_mfa /var/lib",
            "but no store",
        ),
        (
            format!("cp -a {RECORD} /root/record; echo >>{RECORD}"),
            "mv /root/record /var/lib/pam_mfa/users/$(id -u alice).toml",
            "users/",
        ),
    ] {
        machine.sh(&broken);
        locked_out(&machine, &sshd, why);
        walk(&machine, EXEMPT);
        logins::by_password(&sshd);
        machine.sh(mended);
        walk(&machine, EXEMPT_NO_MORE);
        assert_eq!(machine.read("/etc/pam_mfa/config.toml"), config);
    }
    logins::by_code(&sshd, &alice.backup_codes[0]);
}

#[test]
fn who_is_exempt_gets_in_whatever_stood_in_the_policy() {
    let (machine, alice) = asked();
    let sshd = start_sshd(&machine);
    machine.write("/etc/pam_mfa/config.toml", "tris = 3\n", "0644");
    locked_out(&machine, &sshd, "reason=config");
    // A second time changes nothing; nor does what the shell gives new files.
    for umask in ["002", "077"] {
        let script = format!("umask {umask}\n{}", EXEMPT.commands());
        let done = machine.run(&["bash", "-c", &script]);
        assert!(done.stdout.contains("exempt"), "{done:?}");
        let file = "/etc/pam_mfa/config.toml";
        assert_eq!(mode(&machine, file), "root:root 644\n");
        logins::by_password(&sshd);
    }
    let aside = machine.read("/etc/pam_mfa/config.toml.aside");
    assert_eq!(aside, "tris = 3\n");
    let back = machine.run(&["bash", "-ec", EXEMPT_NO_MORE.commands()]);
    assert!(back.failed().stderr.contains("tris"));
    machine.write("/etc/pam_mfa/config.toml", "tries = 3\n", "0644");
    logins::by_code(&sshd, &alice.backup_codes[0]);
}

#[test]
fn who_is_exempt_is_not_known_where_we_cannot_even_begin() {
    let (machine, _) = asked();
    let sshd = start_sshd(&machine);
    walk(&machine, EXEMPT);
    logins::by_password(&sshd);
    for (broken, why) in [
        ("chmod g+w /etc/pam_mfa", "chmod go-w /etc/pam_mfa"),
        (
            "sed -i 's/pam_mfa.so/& tris=1/' /etc/pam.d/sshd",
            "reason=arguments",
        ),
    ] {
        machine.sh(broken);
        locked_out(&machine, &sshd, why);
    }
}

#[test]
fn the_profile_goes_off_and_on() {
    let machine = debian::installed();
    let alice = machine.enroll("alice");
    walk(&machine, SWITCH_ON);
    let sshd = start_sshd(&machine);
    for (broken, mended, why) in [
        (
            "mv /etc/pam_mfa/key /root",
            "mv /root/key /etc/pam_mfa",
            "there is no key",
        ),
        (
            "mv /usr/lib/*/security/pam_mfa.so /root",
            "mv /root/pam_mfa.so /usr/lib/*-linux-gnu/security",
            "pam_mfa.so: cannot open shared object",
        ),
    ] {
        machine.sh(broken);
        locked_out(&machine, &sshd, why);
        walk(&machine, SWITCH_OFF);
        logins::by_password(&sshd);
        machine.sh(mended);
        walk(&machine, SWITCH_ON);
    }
    logins::by_code(&sshd, &alice.backup_codes[0]);
}

#[test]
fn a_missing_module_is_taken_out_of_the_stack() {
    let (machine, alice) = asked();
    let stack = machine.read("/etc/pam.d/sshd");
    let sshd = start_sshd(&machine);
    machine.sh("rm /usr/lib/*/security/pam_mfa.so");
    locked_out(&machine, &sshd, "pam_mfa.so: cannot open shared object");
    // To be exempt does not help.
    walk(&machine, EXEMPT);
    locked_out(&machine, &sshd, "pam_mfa.so: cannot open shared object");
    walk(&machine, EXEMPT_NO_MORE);

    // A second time changes nothing.
    for _ in 0..2 {
        walk(&machine, TAKE_LINE_OUT);
        logins::by_password(&sshd);
    }
    dpkg(&machine, debian::INSTALL).ok();
    walk(&machine, PUT_LINE_BACK);
    assert_eq!(machine.read("/etc/pam.d/sshd"), stack);
    assert_eq!(mode(&machine, "/etc/pam.d/sshd"), "root:root 644\n");
    logins::by_code(&sshd, &alice.backup_codes[0]);
}

/// Its jump must not lead elsewhere: to take a line out would do that.
#[test]
fn an_enabled_stack_is_disabled_without_the_module() {
    let machine = debian::installed();
    machine.enroll("alice");
    let before = machine.read("/etc/pam.d/sshd");
    machine
        .run(&["mfa-admin", "stack", "enable", "sshd", "--yes"])
        .ok();
    let enabled = machine.read("/etc/pam.d/sshd");
    let sshd = start_sshd(&machine);
    machine.sh("rm /usr/lib/*/security/pam_mfa.so");
    locked_out(&machine, &sshd, "pam_mfa.so: cannot open shared object");
    let jumps = walk(&machine, TAKE_LINE_OUT).stdout;
    assert!(jumps.contains("default=2"), "{jumps}");
    assert_eq!(machine.read("/etc/pam.d/sshd"), enabled);
    let mut terminal = begin(&machine, DISABLE);
    terminal.expect("Change this? [y/N] ");
    terminal.send_line("y");
    let (status, shown) = terminal.finish();
    assert_eq!(status, 0, "{shown}");
    assert_eq!(machine.read("/etc/pam.d/sshd"), before);
    logins::by_password(&sshd);
}

// A phone, backup codes, a record.

#[test]
fn a_new_phone_takes_the_place_of_the_old_one() {
    let (machine, alice) = asked();
    let sshd = start_sshd(&machine);
    logins::by_code(&sshd, &alice.backup_codes[0]);
    let mut terminal = begin(&machine, NEW_PHONE);
    let secret = enrolling::read_secret(&machine, &mut terminal);
    logins::by_code(&sshd, &alice.code_at(now()));
    let new = enrolling::verify(&machine, terminal, secret);
    logins::refused(&sshd, &next_code(&alice));
    logins::by_code(&sshd, &new.backup_codes[0]);
    logins::by_code(&sshd, &next_code(&new));
}

#[test]
fn somebody_far_away_is_sent_a_new_secret() {
    let (machine, alice) = asked();
    let sshd = start_sshd(&machine);
    walk(&machine, FROM_AFAR);
    assert_eq!(mode(&machine, "/root/alice.json"), "root:root 600\n");
    let new = enrolling::from_json(&machine, &machine.read("/root/alice.json"));
    logins::refused(&sshd, &next_code(&alice));
    logins::by_code(&sshd, &new.backup_codes[0]);
    logins::by_code(&sshd, &next_code(&new));
}

#[test]
fn new_backup_codes_take_the_place_of_the_old_ones() {
    let (machine, alice) = asked();
    let sshd = start_sshd(&machine);
    // Whoever saw them gets in.
    logins::by_code(&sshd, &alice.backup_codes[0]);
    let new = enrolling::codes_of("alice", &walk(&machine, NEW_CODES).stdout);
    logins::refused(&sshd, &alice.backup_codes[1]);
    logins::by_code(&sshd, &new[0]);
    logins::by_code(&sshd, &next_code(&alice));
}

#[test]
fn a_record_that_cannot_be_used_is_made_anew() {
    for broken in [format!("echo >>{RECORD}"), format!("rm {RECORD}")] {
        let (machine, _) = asked();
        let sshd = start_sshd(&machine);
        machine.sh(&broken);
        locked_out(&machine, &sshd, "error=\"/var/lib/pam_mfa/users/");
        let mut terminal = begin(&machine, NEW_RECORD);
        terminal.expect("Type disable to go on: ");
        terminal.send_line("disable");
        let anew = enrolling::answer(&machine, terminal);
        logins::by_code(&sshd, &anew.backup_codes[0]);
    }
}

// The whole machine.

#[test]
fn what_was_used_does_not_come_back_with_a_snapshot() {
    let (machine, alice) = asked();
    let sshd = start_sshd(&machine);
    let (backup_code, code) = (&alice.backup_codes[0], next_code(&alice));
    machine.sh("cp -a /var/lib/pam_mfa /root/snapshot");
    logins::by_code(&sshd, backup_code);
    let restore = "rm -r /var/lib/pam_mfa; cp -a /root/snapshot /var/lib/pam_mfa";
    machine.sh(restore);
    // That is the fault.
    logins::by_code(&sshd, backup_code);
    logins::by_code(&sshd, &code);
    machine.sh(restore);
    let new = enrolling::codes_of("alice", &walk(&machine, RESTORED).stdout);
    for used in [backup_code, &code] {
        logins::refused(&sshd, used);
        machine.sh("mfa-admin unlock alice");
    }
    logins::by_code(&sshd, &new[0]);
}

#[test]
fn a_clone_shares_nothing_with_its_original() {
    let (clone, original) = asked();
    let sshd = start_sshd(&clone);
    let key = walk(&clone, COPY_KEY).stdout;
    // That is the fault.
    logins::by_code(&sshd, &original.backup_codes[0]);
    let own = enroll(&clone, CLONED);
    assert_ne!(walk(&clone, COPY_KEY).stdout, key);
    logins::refused(&sshd, &original.backup_codes[1]);
    clone.sh("mfa-admin unlock alice");
    logins::refused(&sshd, &next_code(&original));
    logins::by_code(&sshd, &own.backup_codes[0]);
}

#[test]
fn every_recipe_of_the_document_is_run_here() {
    assert_eq!(recipes(), RUN_HERE);
}
