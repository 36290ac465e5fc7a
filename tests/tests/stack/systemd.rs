//! A real systemd as the first process: who waits lives on, also after a restart of the machine.

use std::{
    iter,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use mfa_tests::{PASSWORD, command::Finished, machine::Machine, need, need_root};

use crate::{LONG, SU, machine};

const SYSTEMD: &str = "/lib/systemd/systemd";

/// Boots the machine's own files with a new `/run`. Nothing starts but what is needed; what would reach
/// beyond namespaces (kernel variables, modules) does not.
const BOOT: &str = r#"
mount --make-rprivate /
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd
exec env -i container=machine PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=multi-user.target
"#;

/// Once, before the first start.
const PREPARE: &str = r#"
cd /etc/systemd/system
rm -rf ./*.wants
for unit in systemd-sysctl.service systemd-modules-load.service systemd-udevd.service \
    systemd-remount-fs.service sys-kernel-debug.mount sys-kernel-tracing.mount; do
    ln -sf /dev/null "$unit"
done
mkdir /mnt/cgroup
mount -t cgroup2 cgroup2 /mnt/cgroup
"#;

/// A machine whose first process is systemd. Its files are those of the other.
struct Booted<'m> {
    machine: &'m Machine,
    child: Child,
    pid: String,
}

impl<'m> Booted<'m> {
    /// In a control group of its own, so that nothing of it stays.
    fn start(machine: &'m Machine) -> Self {
        let script = r#"
mkdir /mnt/cgroup/$0
echo $$ >/mnt/cgroup/$0/cgroup.procs
exec unshare --mount --pid --cgroup --fork --kill-child sh -ec "$1"
"#;
        let child = machine
            .command(&["sh", "-ec", script, &group(), BOOT])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("boot");
        let mut booted = Self {
            machine,
            child,
            pid: String::new(),
        };
        // It says "running", or "degraded" where something of the real system cannot start here.
        while !booted.is_up() {
            thread::sleep(Duration::from_millis(20));
        }
        booted
    }

    fn is_up(&mut self) -> bool {
        let ended = self.child.try_wait().expect("look after the machine");
        assert!(ended.is_none(), "the machine does not boot: {ended:?}");
        let found = self.machine.run(&["pgrep", "-xo", "systemd"]);
        self.pid = found.stdout.trim().to_owned();
        let state = self.run(&["systemctl", "is-system-running", "--wait"]);
        ["running", "degraded"].contains(&state.stdout.trim())
    }

    fn words<'w>(&'w self, words: &[&'w str]) -> Vec<&'w str> {
        let enter = [
            "nsenter", "--target", &self.pid, "--mount", "--pid", "--cgroup", "--root", "--wd",
            "--",
        ];
        [&enter, words].concat()
    }

    fn run(&self, words: &[&str]) -> Finished {
        self.machine.run(&self.words(words))
    }

    fn stack(&self, words: &[&str]) -> Finished {
        self.run(&[&["mfa-admin", "stack"], words].concat())
    }

    /// What systemd knows about who waits.
    fn keeper(&self, property: &str) -> String {
        let words = [
            "systemctl",
            "show",
            "--value",
            "--property",
            property,
            "mfa-admin-stack@su.service",
        ];
        self.run(&words).ok().stdout.trim().to_owned()
    }

    fn wait_for_the_keeper(&self) {
        let pid = self.keeper("MainPID");
        let words = ["tail", "-s", "0.02", "-f", "/dev/null", "--pid", &pid];
        if pid != "0" {
            self.run(&words).ok();
        }
    }

    /// Ends it as if somebody had pulled the plug.
    fn pull_the_plug(self) {}
}

impl Drop for Booted<'_> {
    fn drop(&mut self) {
        self.machine.run(&["kill", "-9", &self.pid]);
        let _ = self.child.kill();
        let _ = self.child.wait();
        let remove = "cd /mnt/cgroup; while [ -d $0 ]; do find $0 -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.01; done";
        self.machine.run(&["sh", "-c", remove, &group()]);
    }
}

/// One for each test.
fn group() -> String {
    let id = thread::current().id();
    let id: String = format!("{id:?}")
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    format!("mfa-tests-{}-{id}", std::process::id())
}

#[test]
fn a_restart_in_between_gives_as_much_time_again() {
    need_root!();
    need!(SYSTEMD);
    need!("/usr/bin/strace");
    let (machine, alice) = machine();
    machine.sh(PREPARE);
    let before = machine.read(SU);
    let booted = Booted::start(&machine);
    let told = booted.stack(&["enable", "su", "--yes", LONG]).ok().stdout;
    assert!(
        told.contains("after a restart of the machine it has as much time again"),
        "{told}"
    );
    assert_eq!(
        (
            booted.keeper("ActiveState").as_str(),
            booted.keeper("UnitFileState").as_str()
        ),
        ("active", "enabled")
    );
    let changed = machine.read(SU);
    booted.pull_the_plug();

    let booted = Booted::start(&machine);
    assert_eq!(booted.keeper("ActiveState"), "active");
    assert_eq!(machine.read(SU), changed);
    let early = booted.stack(&["confirm"]).failed().stderr;
    assert!(early.contains("nobody has logged in by su"), "{early}");
    booted.pull_the_plug();

    // An hour later.
    machine.sh("sed -i 's/\"within\": 3600/\"within\": 1/' /etc/pam_mfa/stack/su/record.json");
    let booted = Booted::start(&machine);
    booted.wait_for_the_keeper();
    assert_eq!(machine.read(SU), before);
    assert_eq!(booted.keeper("UnitFileState"), "disabled");

    // And one that is confirmed after a restart.
    let words = [
        "strace",
        "-o",
        "/root/calls",
        "mfa-admin",
        "stack",
        "enable",
        "su",
        "--yes",
        LONG,
    ];
    booted.run(&words).ok();
    let calls = machine.read("/root/calls");
    let first = |call: &str, word: &str| {
        let mut lines = calls.lines();
        lines.position(|line| line.starts_with(call) && line.contains(word))
    };
    // A power cut must not leave the change without who puts it back.
    let (sync, change) = (first("syncfs(", "= 0"), first("rename", "pam.d/su"));
    assert!(sync.is_some() && sync < change, "{sync:?} {change:?}");
    booted.pull_the_plug();
    let booted = Booted::start(&machine);
    let words = [
        "setpriv",
        "--reuid=carol",
        "--regid=carol",
        "--clear-groups",
        "su",
        "alice",
        "-c",
        "echo let in",
    ];
    let mut su = machine.spawn_pty("root", &booted.words(&words));
    su.expect("Password: ");
    su.send_line(PASSWORD);
    su.expect("backup code: ");
    su.send_line(&alice.backup_codes[0]);
    su.expect("let in");
    booted.stack(&["confirm"]).ok();
    booted.wait_for_the_keeper();
    assert_eq!(booted.keeper("UnitFileState"), "disabled");
    assert_eq!(machine.read(SU), changed);
}

#[test]
fn sshd_is_reloaded_as_a_service() {
    need_root!();
    need!(SYSTEMD);
    need!("/usr/sbin/sshd");
    let (machine, _) = machine();
    machine.sh(PREPARE);
    machine.sh("ssh-keygen -A");
    let booted = Booted::start(&machine);
    booted.run(&["systemctl", "start", "ssh.service"]).ok();
    let methods = || {
        let words = [
            "ssh",
            "-v",
            "-F/dev/null",
            "-oBatchMode=yes",
            "-oStrictHostKeyChecking=no",
            "alice@127.0.0.1",
        ];
        // sshd closes its socket for a moment when it reads its configuration again.
        let mut answers = iter::repeat_with(|| booted.run(&words).stderr).take(200);
        let tried = answers.find(|said| !said.contains("Connection refused"));
        let tried = tried.expect("an answer of sshd");
        let line = tried
            .lines()
            .find_map(|line| line.split_once("can continue: "));
        line.map(|(_, methods)| methods.to_owned()).unwrap_or(tried)
    };
    assert_eq!(methods(), "publickey,password");
    booted
        .stack(&["enable", "sshd", "--yes", "--confirm-within=5s"])
        .ok();
    assert_eq!(methods(), "publickey,keyboard-interactive");
    let pid = booted
        .run(&[
            "systemctl",
            "show",
            "--value",
            "--property=MainPID",
            "mfa-admin-stack@sshd.service",
        ])
        .ok();
    booted
        .run(&[
            "tail",
            "-s",
            "0.02",
            "-f",
            "/dev/null",
            "--pid",
            pid.stdout.trim(),
        ])
        .ok();
    assert_eq!(methods(), "publickey,password");
}

#[test]
fn one_that_ends_takes_nothing_from_the_next() {
    need_root!();
    need!(SYSTEMD);
    let (machine, _) = machine();
    machine.sh(PREPARE);
    let booted = Booted::start(&machine);
    for _ in 0..8 {
        booted.stack(&["enable", "su", "--yes", LONG]).ok();
        let old = booted.keeper("MainPID");
        booted.stack(&["disable", "su", "--yes"]).ok();
        booted.stack(&["enable", "su", "--yes", LONG]).ok();
        booted
            .run(&["tail", "-s", "0.02", "-f", "/dev/null", "--pid", &old])
            .ok();
        assert_eq!(booted.keeper("UnitFileState"), "enabled");
        booted.stack(&["disable", "su", "--yes"]).ok();
    }
    // Whoever kills it ends no wait.
    booted.stack(&["enable", "su", "--yes", LONG]).ok();
    let old = booted.keeper("MainPID");
    booted.run(&["kill", &old]).ok();
    while ["0", old.as_str()].contains(&booted.keeper("MainPID").as_str()) {
        thread::sleep(Duration::from_millis(50));
    }
    let waits = booted.stack(&["status"]).ok().stdout;
    assert!(waits.contains("waits for a login"), "{waits}");
    // A unit that does not do its work is found out before anything is changed.
    booted.stack(&["disable", "su", "--yes"]).ok();
    let before = machine.read(SU);
    machine.sh("sed -i 's,^ExecStart=.*,ExecStart=/bin/true,' /usr/lib/systemd/system/mfa-admin-stack@.service");
    booted.run(&["systemctl", "daemon-reload"]).ok();
    let refused = booted
        .stack(&["enable", "su", "--yes", LONG])
        .failed()
        .stderr;
    assert!(refused.contains("nobody waits to put it back"), "{refused}");
    assert_eq!(machine.read(SU), before);
}
