//! The module, the policy, the key, the store, and what they lie on.

use std::{fs, path::Path};

use mfa_tests::{
    enrolled::NOW,
    full_disk::{fill, small_disk, unmount, with_own_mounts},
    need_root,
    sandbox::Sandbox,
};
use nix::mount::{MsFlags, mount};

use super::{assert_found, assert_found_after, healthy, spoil};

#[test]
fn module_policy_and_store_are_looked_at() {
    for (fault, code, words) in [
        (
            "rm usr/lib/modules/security/pam_mfa.so",
            2,
            &["the module is not there"][..],
        ),
        (
            "printf 'no ELF file, but long enough' >usr/lib/modules/security/pam_mfa.so",
            2,
            &["another architecture"],
        ),
        (
            "printf 'tris = 3\\n' >etc/pam_mfa/config.toml",
            2,
            &["every login is refused", "tris"],
        ),
        (
            "printf 'unenrolled = \"skip\"\\n' >etc/pam_mfa/config.toml",
            1,
            &["never ends"],
        ),
        (
            "printf 'trusted_networks = [\"0.0.0.0/0\"]\\n' >etc/pam_mfa/config.toml",
            1,
            &["config.toml", "0.0.0.0/0"],
        ),
        (
            "rm etc/pam_mfa/key",
            2,
            &["whoever is asked is refused", "there is no key"],
        ),
        (
            "chmod 644 etc/pam_mfa/key",
            2,
            &["whoever is asked is refused", "chmod"],
        ),
        (
            "chmod 755 var/lib/pam_mfa/users",
            2,
            &["whoever is asked is refused", "chmod"],
        ),
        (
            "chmod 644 var/lib/pam_mfa/users/2001.toml",
            2,
            &["the user with the id 2001 is refused", "chmod"],
        ),
        (
            "chmod 777 var/lib/pam_mfa/state/2001",
            2,
            &["the user with the id 2001 is refused", "chmod"],
        ),
        (
            "mkdir run/pam_mfa; chmod 777 run/pam_mfa",
            2,
            &["run/pam_mfa: others can write it (mode 777)"],
        ),
        (
            "printf junk >var/lib/pam_mfa/users/2001.toml",
            2,
            &["the user with the id 2001 is refused"],
        ),
        (
            "rm -r var/lib/pam_mfa/state/2001",
            1,
            &["is not known", "mfa-admin regenerate alice"],
        ),
        (
            "rm -r var/lib/pam_mfa/users/2001.toml var/lib/pam_mfa/state/2001",
            2,
            &["nobody is enrolled"],
        ),
        (
            "chmod g+w etc/pam.d/su",
            2,
            &["etc/pam.d/su: others can write it (mode 664)"],
        ),
        (
            "chmod 777 usr/lib/modules",
            2,
            &["usr/lib/modules: others can write it"],
        ),
        (
            "chmod o+w etc/ssh/sshd_config.d/x.conf",
            2,
            &["etc/ssh/sshd_config.d/x.conf: others"],
        ),
        (
            "chmod o+w usr/lib/pam.d/x",
            2,
            &["usr/lib/pam.d/x: others can write it"],
        ),
        (
            "chmod 777 var",
            2,
            &["/var: others can write it (mode 777)", "Run: chmod go-w "],
        ),
        (
            "echo junk >var/lib/pam_mfa/state/2001/$(ls var/lib/pam_mfa/state/2001)",
            1,
            &["is not known"],
        ),
    ] {
        let sandbox = healthy();
        sandbox.write("etc/ssh/sshd_config.d/x.conf", "");
        sandbox.write("usr/lib/pam.d/x", "");
        spoil(&sandbox, fault);
        assert_found(&sandbox, "su", code, words);
    }
}

/// Somebody else's folder, or file.
#[test]
fn a_stranger_owns_a_path() {
    need_root!();
    for path in [
        "etc/pam.d/common-auth",
        "etc/pam.d",
        "usr",
        "etc/pam_mfa/config.toml",
    ] {
        assert_found_after(
            &format!("touch etc/pam_mfa/config.toml; chown 2001 {path}"),
            2,
            &[
                &format!("{path}: it belongs to the user with the id 2001"),
                "Run: chown root: ",
            ],
        );
    }
}

#[test]
fn a_key_of_another_machine_is_told() {
    let other = Sandbox::new();
    let sandbox = healthy();
    fs::copy(
        other.path("etc/pam_mfa/key"),
        sandbox.path("etc/pam_mfa/key"),
    )
    .expect("copy a key");
    assert_found(
        &sandbox,
        "su",
        2,
        &["was made under another key than the one that is there now"],
    );
    // With its mark, too, the store opens, and each record is of the key that is gone.
    let mark = "var/lib/pam_mfa/users/.store";
    fs::copy(other.path(mark), sandbox.path(mark)).expect("copy a mark");
    assert_found(
        &sandbox,
        "su",
        2,
        &["the user with the id 2001 is refused", "another key"],
    );
}

#[test]
fn a_key_under_version_control_is_told() {
    let git = "mkdir etc/.git; printf 'DIRC\\0\\0pam_mfa/key\\0' >etc/.git/index";
    for (script, code, words) in [
        (
            "mkdir etc/.git",
            2,
            &[
                "the next commit takes the key along",
                "echo pam_mfa/key >>/etc/.gitignore",
            ][..],
        ),
        (
            "mkdir etc/.bzr; echo '#pam_mfa' >etc/.bzrignore",
            2,
            &["the next commit"],
        ),
        (
            "mkdir etc/.hg; echo pam_mfa/config.toml >etc/.hgignore",
            2,
            &["the next commit"],
        ),
        ("mkdir etc/.git; echo pam_mfa/key >etc/.gitignore", 0, &[]),
        ("mkdir etc/.git; echo /pam_mfa/ >etc/.gitignore", 0, &[]),
        // What is ignored later stays tracked.
        (
            &format!("{git}; echo pam_mfa/key >etc/.gitignore"),
            2,
            &[
                "stays in the history",
                "git -C /etc rm --cached pam_mfa/key",
            ],
        ),
    ] {
        assert_found_after(script, code, words);
    }
}

#[test]
fn a_disk_that_is_full_or_read_only_is_told() {
    need_root!();
    with_own_mounts(|| {
        let sandbox = healthy();
        let (data, run) = (sandbox.path("var/lib/pam_mfa"), sandbox.path("run"));
        read_only(&data);
        assert_found(
            &sandbox,
            "su",
            2,
            &[
                "pam_mfa: the file system is read-only: nobody",
                "mount -o remount,rw",
            ],
        );
        unmount(&data);
        read_only(&run);
        assert_found(
            &sandbox,
            "su",
            1,
            &[
                "run: the file system is read-only: nothing stands in",
                "mount -o remount,rw",
            ],
        );
        unmount(&run);

        small_disk(&run);
        assert_found(&sandbox, "su", 0, &[]);
        let told = ["run: the file system is full", "df -h "];
        spoil(
            &sandbox,
            "head -c 1000000 /dev/zero 2>/dev/null >run/x || :",
        );
        assert_found(&sandbox, "su", 1, &told);
        // Neither bytes nor files alone help.
        spoil(
            &sandbox,
            "cd run; rm x; seq 1100 | xargs touch 2>/dev/null || :",
        );
        assert_found(&sandbox, "su", 1, &told);
        unmount(&run);

        let copy = sandbox.path("copy");
        spoil(&sandbox, "cp -a var/lib/pam_mfa copy");
        small_disk(&data);
        spoil(&sandbox, "cp -a copy/. var/lib/pam_mfa/");
        assert_found(&sandbox, "su", 0, &[]);
        fill(&data);
        assert_found(
            &sandbox,
            "su",
            2,
            &[
                "pam_mfa: the file system is full: nobody can be enrolled",
                "df -i ",
            ],
        );
        unmount(&data);
        fs::remove_dir_all(copy).expect("remove the copy");
    });
}

fn read_only(path: &Path) {
    let bind = |flags| {
        mount(Some(path), path, None::<&str>, flags, None::<&str>).expect("a mount");
    };
    bind(MsFlags::MS_BIND);
    bind(MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY);
}

/// What the kernel's log says of SELinux and AppArmor.
#[test]
fn what_was_denied_is_told() {
    let told = &[
        "denied something on paths of pam_mfa in the last day (1 times)",
        "restorecon",
    ][..];
    let avc = "type=AVC msg=audit(TIME.123:7): avc:  denied  { read } for  pid=1 comm=\"sshd\" name=\"key\"";
    let path = |number| {
        format!("type=PATH msg=audit(TIME.123:{number}): item=0 name=\"/etc/pam_mfa/key\" inode=1")
    };
    let apparmor = "kernel: audit: type=1400 audit(TIME.5:9): apparmor=\"DENIED\" operation=\"open\" \
        profile=\"/usr/sbin/sshd\" name=\"/etc/pam_mfa/key\"";
    for (log, text, code) in [
        (
            "audit/audit.log",
            format!("{avc} permissive=0\n{}\n", path(7)),
            1,
        ),
        // Of another event; or only noted.
        (
            "audit/audit.log",
            format!("{avc} permissive=0\n{}\n", path(8)),
            0,
        ),
        (
            "audit/audit.log",
            format!("{avc} permissive=1\n{}\n", path(7)),
            0,
        ),
        ("kern.log", apparmor.to_owned(), 1),
        ("syslog", apparmor.to_owned(), 1),
        ("kern.log", apparmor.replace("DENIED", "ALLOWED"), 0),
        ("kern.log", apparmor.replace("pam_mfa", "mine"), 0),
    ] {
        let sandbox = healthy();
        println!("{text}");
        sandbox.write(
            &format!("var/log/{log}"),
            &text.replace("TIME", &(NOW - 86_000).to_string()),
        );
        let words = if code == 1 { told } else { &[] };
        assert_found(&sandbox, "su", code, words);
        // Of last week.
        sandbox.write(
            &format!("var/log/{log}"),
            &text.replace("TIME", &(NOW - 600_000).to_string()),
        );
        assert_found(&sandbox, "su", 0, &[]);
    }
}
