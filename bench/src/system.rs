//! A machine of our own around this process: accounts, and a log that somebody reads.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::Command,
};

use nix::sched::{CloneFlags, unshare};

use crate::{
    place::{ACCOUNTS, Place},
    raw,
};

const MOUNT: &str = r#"
mount --make-rprivate /
mount --bind "$0/passwd" /etc/passwd
mount --bind "$0/nsswitch.conf" /etc/nsswitch.conf
mkdir "$0/dev" "$0/memory"
mount -t tmpfs -o mode=755 tmpfs "$0/memory"
mount -t tmpfs -o mode=755 tmpfs "$0/dev"
for node in null zero full random urandom; do
    : >"$0/dev/$node"
    mount --bind "/dev/$node" "$0/dev/$node"
done
mkdir "$0/dev/shm"
mount --rbind "$0/dev" /dev
umount --recursive --lazy "$0/dev"
"#;

/// It ends with the process.
#[derive(Debug)]
pub struct System {
    /// Where everything lies; `memory` in it is a file system in memory.
    pub dir: PathBuf,
    log: UnixDatagram,
}

impl System {
    /// Takes this process out of the real system, as root.
    pub fn enter(dir: &Path) -> Self {
        let accounts = fs::read_to_string("/etc/passwd").expect("read the accounts");
        for (file, text) in [
            ("passwd", accounts + &Place::accounts(ACCOUNTS)),
            ("nsswitch.conf", "passwd: files\ngroup: files\n".to_owned()),
        ] {
            fs::write(dir.join(file), text).expect("write the accounts");
        }
        unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
        let status = Command::new("sh").args(["-ec", MOUNT]).arg(dir).status();
        assert!(status.expect("start sh").success(), "no machine of our own");
        let log = UnixDatagram::bind("/dev/log").expect("make the log");
        log.set_nonblocking(true).expect("set up the log");
        Self {
            dir: dir.to_owned(),
            log,
        }
    }

    /// Reads what was logged, as a daemon would: the kernel holds ten lines, and then the sender waits.
    pub fn drain_log(&self) {
        while self.log.recv(&mut [0; 4096]).is_ok() {}
    }

    /// Does something while a process reads what is logged.
    pub fn with_log_reader<T>(&self, work: impl FnOnce() -> T) -> T {
        let reader = raw::fork(|| {
            self.log.set_nonblocking(false).expect("set up the log");
            while self.log.recv(&mut [0; 4096]).is_ok() {}
        });
        let result = work();
        reader.kill();
        self.log.set_nonblocking(true).expect("set up the log");
        result
    }
}

impl Drop for System {
    fn drop(&mut self) {
        for mount in ["memory", "dev"] {
            let _ = Command::new("umount")
                .arg("--lazy")
                .arg(self.dir.join(mount))
                .output();
        }
    }
}
