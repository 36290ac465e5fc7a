//! `mfa-admin stack`: a change that puts itself back unless somebody has shown that it works.

mod attacked;
mod killed;
mod refused;
mod sshd;
mod systemd;

use mfa_tests::{PASSWORD, command::Finished, enrolled::Enrolled, machine::Machine, need_root};

const SU: &str = "/etc/pam.d/su";

/// Long enough that no test sees it end.
const LONG: &str = "--confirm-within=1h";

/// alice is enrolled, carol calls su.
fn machine() -> (Machine, Enrolled) {
    let (machine, alice) = Machine::with_alice();
    machine.add_user("carol");
    (machine, alice)
}

fn enable(machine: &Machine, words: &[&str]) -> Finished {
    machine.run(&[&["mfa-admin", "stack", "enable", "--yes"], words].concat())
}

fn stack(machine: &Machine, words: &[&str]) -> Finished {
    machine.run(&[&["mfa-admin", "stack"], words].concat())
}

/// Everything in the folders that are changed, with owners and modes.
fn files(machine: &Machine) -> String {
    machine.sh(
        "cd /etc; find pam.d ssh/sshd_config.d pam_mfa | grep -vx pam_mfa/stack | sort | while read -r f; do \
         stat -c '%n %a %u %g' $f; [ ! -f $f ] || sha256sum $f; done",
    )
}

/// Waits for the end of who waits.
fn wait_for_the_keeper(machine: &Machine) {
    machine
        .sh("for pid in $(pgrep -f 'stack [w]ait'); do tail --pid=$pid -s 0.02 -f /dev/null; done");
}

/// alice's password and, if she is asked, this code; whether it let in.
#[track_caller]
fn su(machine: &Machine, code: &str) -> (bool, bool) {
    let mut su = machine.spawn_pty("carol", &["su", "alice", "-c", "echo let in"]);
    su.expect("Password: ");
    su.send_line(PASSWORD);
    let (asked, _) = su.expect_any(&["let in\r\n", "backup code: "]);
    if asked == 1 {
        su.send_line(code);
        let (let_in, _) = su.expect_any(&["backup code: ", "let in\r\n"]);
        return (true, let_in == 1);
    }
    (false, true)
}

#[test]
fn a_change_stays_once_a_login_has_shown_that_it_works() {
    need_root!();
    let (machine, alice) = machine();
    let before = files(&machine);
    let told = enable(&machine, &["su", LONG]).ok().stdout;
    assert!(
        told.contains("+auth  [success=ok ignore=ignore default=die]  pam_mfa.so\n"),
        "{told}"
    );
    assert!(
        told.contains("/etc/pam.d/su is also read by: su-l."),
        "{told}"
    );
    assert!(told.contains("mfa-admin stack confirm su"), "{told}");
    let su_file = machine.read(SU);
    assert!(
        su_file.contains("@include common-auth\n# To undo: mfa-admin stack disable su\nauth  ["),
        "{su_file}"
    );
    let waits = stack(&machine, &["status"]).ok().stdout;
    assert!(
        waits.contains("su           asks for a code; waits for a login"),
        "{waits}"
    );

    let early = stack(&machine, &["confirm"]).failed().stderr;
    assert!(
        early.contains("nobody has logged in by su with a code"),
        "{early}"
    );
    assert_eq!(su(&machine, "000000"), (true, false));
    stack(&machine, &["confirm", "su"]).failed();
    assert_eq!(su(&machine, &alice.backup_codes[0]), (true, true));
    stack(&machine, &["confirm"]).ok();
    wait_for_the_keeper(&machine);
    assert_eq!(machine.read(SU), su_file);
    let stays = stack(&machine, &["status"]).ok().stdout;
    assert!(
        stays.contains("su           asks for a code; by mfa-admin stack enable"),
        "{stays}"
    );

    let diff = stack(&machine, &["disable", "su", "--yes"]).ok().stdout;
    assert!(diff.contains("-auth  [success=ok"), "{diff}");
    assert_eq!(files(&machine), before, "byte for byte");
    assert_eq!(su(&machine, ""), (false, true));
}

#[test]
fn a_change_that_nobody_confirms_puts_itself_back() {
    need_root!();
    let (machine, _) = machine();
    let before = files(&machine);
    // Its terminal goes away at once.
    let words = [
        "mfa-admin",
        "stack",
        "enable",
        "su",
        "--yes",
        "--confirm-within=2s",
    ];
    let mut terminal = machine.spawn_pty("root", &words);
    terminal.expect("a restart of the machine ends the wait");
    drop(terminal);
    wait_for_the_keeper(&machine);
    assert_eq!(files(&machine), before);
    let late = stack(&machine, &["confirm"]).failed().stderr;
    assert!(late.contains("nothing waits to be confirmed"), "{late}");
    assert_eq!(su(&machine, ""), (false, true));
}

#[test]
fn nothing_is_changed_without_a_yes() {
    need_root!();
    let (machine, _) = machine();
    let before = files(&machine);
    for answer in ["", "n\n", "\n", "yesno\n"] {
        let asked = machine.run_with(&["mfa-admin", "stack", "enable", "su"], answer);
        assert!(
            asked.failed().stderr.contains("nothing was changed"),
            "{answer:?}"
        );
        assert_eq!(files(&machine), before, "{answer:?}");
    }
    machine
        .run_with(&["mfa-admin", "stack", "enable", "su"], "y\n")
        .ok();
    machine
        .run_with(&["mfa-admin", "stack", "disable", "su"], "n\n")
        .failed();
    assert!(machine.read(SU).contains("pam_mfa.so"));
    machine
        .run_with(&["mfa-admin", "stack", "disable", "su"], "y\n")
        .ok();
    assert_eq!(files(&machine), before);
}

#[test]
fn what_others_changed_since_stays() {
    need_root!();
    let (machine, _) = machine();
    let before = machine.read(SU);
    enable(&machine, &["su", LONG]).ok();
    machine.sh("sed -i 's/^# The PAM configuration.*/# mine/; $a # also mine' /etc/pam.d/su; chmod 640 /etc/pam.d/su");
    let expected = machine
        .sh("grep -v -e 'To undo' -e pam_mfa.so -e 'required  *pam_permit.so' /etc/pam.d/su");
    stack(&machine, &["disable", "su", "--yes"]).ok();
    assert_eq!(machine.read(SU), expected);
    assert_ne!(expected, before);
    assert_eq!(machine.sh("stat -c %a /etc/pam.d/su"), "640\n");
}

#[test]
fn lines_that_somebody_changed_are_not_guessed_at_but_put_back_in_time() {
    need_root!();
    let (machine, _) = machine();
    let before = machine.read(SU);
    enable(&machine, &["su", "--confirm-within=3s"]).ok();
    machine.sh("sed -i 's/default=die/default=bad/' /etc/pam.d/su");
    let by_hand = machine.read(SU);
    let refused = stack(&machine, &["disable", "su", "--yes"]).failed().stderr;
    assert!(
        refused.contains("/etc/pam.d/su was changed by hand"),
        "{refused}"
    );
    assert_eq!(machine.read(SU), by_hand);
    wait_for_the_keeper(&machine);
    assert_eq!(machine.read(SU), before);
    assert_eq!(
        machine.read("/etc/pam_mfa/stack/su/etc-pam.d-su.changed"),
        by_hand
    );
    // And it can be had again.
    enable(&machine, &["su", LONG]).ok();
}

#[test]
fn a_full_disk_is_no_obstacle_on_the_way_back() {
    need_root!();
    let (machine, _) = machine();
    machine
        .sh("cp -a /etc /root/etc; mount -t tmpfs -o size=16m tmpfs /etc; cp -a /root/etc/. /etc");
    let before = machine.read(SU);
    enable(&machine, &["su", "--confirm-within=2s"]).ok();
    machine.sh("cat /dev/zero >/etc/fill 2>/dev/null || true; ! echo x >/etc/more 2>/dev/null || cat /dev/zero >/etc/more 2>/dev/null || true");
    wait_for_the_keeper(&machine);
    assert_eq!(machine.read(SU), before);
}

#[test]
fn a_group_is_asked_and_nobody_else() {
    need_root!();
    let (machine, alice) = machine();
    machine.write("/etc/pam_mfa/config.toml", "tries = 2\n", "0644");
    let before = files(&machine);
    machine.sh("groupadd staff2");
    enable(&machine, &["su", "--for-group=staff2", LONG]).ok();
    assert_eq!(su(&machine, ""), (false, true));
    machine.sh("usermod -aG staff2 alice");
    assert_eq!(su(&machine, &alice.backup_codes[0]), (true, true));
    // The rule holds for every service: another one must not lose it, or be freed by it.
    let sudo = enable(&machine, &["sudo", "--for-group=root", LONG])
        .failed()
        .stderr;
    assert!(sudo.contains("has [require] already"), "{sudo}");
    enable(&machine, &["sudo", "--for-group=staff2", LONG]).ok();
    stack(&machine, &["disable", "sudo", "--yes"]).ok();
    stack(&machine, &["disable", "su", "--yes"]).ok();
    assert_eq!(files(&machine), before);
    enable(&machine, &["su", LONG]).ok();
    let freed = enable(&machine, &["sudo", "--for-group=staff2", LONG])
        .failed()
        .stderr;
    assert!(freed.contains("su asks already"), "{freed}");
}
