//! Shells with next to nothing around them: a rescue shell, and a chroot into another system.

use mfa_tests::{
    enrolled::{Enrolled, now},
    machine::Machine,
    pty::Pty,
    sshd::Sshd,
};

use crate::debian;

use super::{
    CHROOT, EXEMPT, EXEMPT_NO_MORE, RESCUE_CODES, RESCUE_ROOT, RESCUE_VAR, SWITCH_OFF, SWITCH_ON,
    TAKE_LINE_OUT, asked, document::Recipe, enrolling::codes_of, locked_out, logins, next_code,
    start_sshd,
};

/// What the shell finds that the kernel starts in place of init: its files and a console. `$0` is what is
/// typed there. The terminal stays open, though the shell could not open it.
///
/// Debian's initramfs leaves `/proc`, `/sys`, `/dev` and `/run` behind, so that mount(8) finds its way; nothing of
/// ours must need them. The variable is for mount(8): an overlay is mounted anew by the old system call alone.
const RESCUE_SHELL: &str = r#"
umount -l /run /tmp
grep -o ' /dev/[^ ]*' /proc/self/mounts | sort -r | xargs umount -l
umount -l /dev
[ -z "$1" ] || umount -l /proc
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=linux LIBMOUNT_FORCE_MOUNT2=always bash -c "$0"
"#;

/// What is mounted besides the files.
enum Mounted {
    /// As Debian's initramfs leaves it, as far as mount(8) needs it.
    Proc,
    Nothing,
}

/// Types commands into a rescue shell. What is mounted there is mounted nowhere else.
#[track_caller]
fn rescue_shell(machine: &Machine, commands: &str, mounted: Mounted) -> Pty {
    let bare = match mounted {
        Mounted::Proc => "",
        Mounted::Nothing => "bare",
    };
    let words = [
        "unshare",
        "--mount",
        "sh",
        "-ec",
        RESCUE_SHELL,
        commands,
        bare,
    ];
    machine.spawn_pty("root", &words)
}

/// Runs a recipe in a rescue shell in which nobody is asked anything.
#[track_caller]
fn walk(machine: &Machine, recipe: Recipe, mounted: Mounted) -> String {
    let commands = format!("set -e\n{}", recipe.commands());
    let (status, shown) = rescue_shell(machine, &commands, mounted).finish();
    assert_eq!(status, 0, "{shown}");
    shown
}

/// Reads the new backup codes from the page, and turns it.
#[track_caller]
fn read_codes(machine: &Machine, mut terminal: Pty) -> Vec<String> {
    let page = terminal.expect("Press Enter when you have written them down: ");
    let codes = codes_of("alice", &page);
    codes
        .iter()
        .for_each(|code| machine.confidential().keep(code));
    terminal.send_line("");
    let (status, shown) = terminal.finish();
    assert_eq!(status, 0, "{shown}");
    codes
}

/// alice types a wrong code until nothing but a backup code helps her.
#[track_caller]
fn fail_too_often(sshd: &Sshd, alice: &Enrolled) {
    let mut ssh = logins::behind_password(sshd, "alice");
    let wrong = alice.wrong_code_at(now());
    while ssh.expect_any(&["backup code: ", "Permission denied"]).0 == 0 {
        ssh.send_line(&wrong);
    }
}

#[test]
fn a_rescue_shell_gives_new_backup_codes() {
    let (machine, alice) = asked();
    machine.write("/etc/pam_mfa/config.toml", "suspend_after = 1\n", "0644");
    let sshd = start_sshd(&machine);
    fail_too_often(&sshd, &alice);
    let lines = machine.decisions();
    assert!(lines[0].contains("wrong-code,suspended"), "{lines:#?}");
    let shell = rescue_shell(&machine, RESCUE_CODES.commands(), Mounted::Nothing);
    let codes = read_codes(&machine, shell);
    logins::by_code(&sshd, &codes[0]);
    logins::by_code(&sshd, &next_code(&alice));
}

#[test]
fn a_rescue_shell_lets_somebody_in() {
    let (machine, alice) = asked();
    let sshd = start_sshd(&machine);
    machine.sh("mv /etc/pam_mfa/key /root");
    locked_out(&machine, &sshd, "there is no key");
    let shown = walk(&machine, EXEMPT, Mounted::Nothing);
    assert!(shown.contains("exempt.users: alice"), "{shown}");
    logins::by_password(&sshd);
    machine.sh("mv /root/key /etc/pam_mfa");
    walk(&machine, EXEMPT_NO_MORE, Mounted::Nothing);
    logins::by_code(&sshd, &alice.backup_codes[0]);
}

/// As where LDAP knows her, and there is no network yet.
const NOBODY_KNOWS_HER: &str = "
sed '/^alice:/d' /etc/passwd >/root/passwd
mount --bind /root/passwd /etc/passwd
";

#[test]
fn a_rescue_shell_lets_somebody_in_whom_it_does_not_know() {
    let (machine, alice) = asked();
    machine.write("/etc/pam_mfa/config.toml", "suspend_after = 1\n", "0644");
    let sshd = start_sshd(&machine);
    fail_too_often(&sshd, &alice);
    let shell = |recipe: Recipe| {
        let commands = format!("{NOBODY_KNOWS_HER}{}", recipe.commands());
        rescue_shell(&machine, &commands, Mounted::Proc).finish()
    };
    let (status, shown) = shell(RESCUE_CODES);
    assert!(
        status != 0 && shown.contains("If the account is gone for good"),
        "{shown}"
    );
    let (status, shown) = shell(EXEMPT);
    assert!(status == 0 && shown.contains("no such user"), "{shown}");
    logins::by_password(&sshd);
}

#[test]
fn a_rescue_shell_takes_the_module_out_of_the_stack() {
    let (machine, _) = asked();
    let sshd = start_sshd(&machine);
    machine.sh("rm /usr/lib/*/security/pam_mfa.so");
    locked_out(&machine, &sshd, "cannot open shared object");
    walk(&machine, TAKE_LINE_OUT, Mounted::Nothing);
    logins::by_password(&sshd);
    // The same where it is in the stack of everybody.
    walk(&machine, SWITCH_ON, Mounted::Proc);
    locked_out(&machine, &sshd, "cannot open shared object");
    walk(&machine, SWITCH_OFF, Mounted::Proc);
    logins::by_password(&sshd);
}

/// As the kernel hands it over: the root file system is read-only, and `/var` is not mounted.
const AT_THE_START: &str = "umount -l /var; mount -o remount,ro /";

/// A file system of its own for `/var`, as far as the machine can tell.
const OWN_VAR: &str = "
mv /var /srv/var
mkdir /var
echo '/srv/var /var none bind 0 0' >>/etc/fstab
mount /var
";

#[test]
fn a_rescue_shell_mounts_what_it_needs() {
    let (machine, alice) = asked();
    machine.sh(OWN_VAR);
    machine.sh("mv /etc/pam_mfa/key /root");
    let sshd = start_sshd(&machine);
    locked_out(&machine, &sshd, "there is no key");
    machine.sh("mv /root/key /etc/pam_mfa");

    let too_early = format!("{AT_THE_START}; {}", RESCUE_CODES.commands());
    let (status, shown) = rescue_shell(&machine, &too_early, Mounted::Proc).finish();
    assert!(status != 0 && shown.contains("mounted?"), "{shown}");
    let recipes = [RESCUE_ROOT, RESCUE_VAR, RESCUE_CODES];
    let commands: String = recipes.iter().map(|recipe| recipe.commands()).collect();
    let commands = format!("set -e; {AT_THE_START}\n{commands}");
    let codes = read_codes(&machine, rescue_shell(&machine, &commands, Mounted::Proc));
    logins::refused(&sshd, &alice.backup_codes[0]);
    logins::by_code(&sshd, &codes[0]);
}

/// Debian's recovery mode calls sulogin(8): it must know nothing of PAM, or it would ask for a code.
#[test]
fn the_recovery_mode_does_without_pam() {
    let machine = debian::installed();
    let needed = machine.sh("ldd $(which sulogin)");
    assert!(
        needed.contains("libcrypt") && !needed.contains("libpam"),
        "{needed}"
    );
    machine.sh("grep -q 'the root account is locked' $(which sulogin)");
}

/// A live system that has neither alice nor a store, in the place of the machine's own; its disk is mounted as
/// `$0` says.
const LIVE_SYSTEM: &str = r#"
sed '/^alice:/d' /etc/passwd >/root/passwd
mount --bind / /srv
mount --bind /root/passwd /etc/passwd
mount -t tmpfs none /etc/pam_mfa
mount -t tmpfs none /var/lib/pam_mfa
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=linux bash -ec "$0"
"#;

#[test]
fn another_system_gives_new_backup_codes() {
    let (machine, alice) = asked();
    let sshd = start_sshd(&machine);
    machine.write("/etc/pam_mfa/config.toml", "suspend_after = 1\n", "0644");
    fail_too_often(&sshd, &alice);
    // There is no disk to mount: this takes its place. All else is as it stands in the document.
    let commands = CHROOT.commands();
    let disk = "mount /dev/sdX1 /mnt\n";
    assert!(commands.contains(disk), "{commands}");
    let commands = commands.replace(disk, "mount --bind /srv /mnt\n");
    let live = |commands: &str| {
        let words = ["unshare", "--mount", "sh", "-ec", LIVE_SYSTEM, commands];
        machine.spawn_pty("root", &words)
    };
    let from_outside = "mount --bind /srv /mnt; mfa-admin --root /mnt regenerate alice";
    let (status, shown) = live(from_outside).finish();
    assert!(status != 0 && shown.contains("no user"), "{shown}");
    let codes = read_codes(&machine, live(&commands));
    logins::refused(&sshd, &alice.backup_codes[0]);
    logins::by_code(&sshd, &codes[0]);
}
