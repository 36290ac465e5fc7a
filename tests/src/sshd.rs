//! Debian's sshd in a [`Machine`], and ssh to it.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{self, Sender},
    },
    thread,
};

use crate::{command::LIMIT, machine::Machine, pty::Pty};

const CONFIG: &str = "
Port 2222
ListenAddress 127.0.0.1
HostKey /etc/ssh/test_host_key
PidFile none
UsePAM yes
UseDNS no
KbdInteractiveAuthentication yes
PasswordAuthentication no
PermitRootLogin no
LogLevel VERBOSE
";

const KEY: &str = "/root/test_key";

const AUTHORIZE: &str = r#"
home=$(getent passwd "$0" | cut -d: -f6)
install -d -o "$0" -m 700 "$home/.ssh"
install -o "$0" -m 600 /root/test_key.pub "$home/.ssh/authorized_keys"
"#;

/// A running sshd; it ends with its machine.
#[derive(Debug)]
pub struct Sshd<'a> {
    machine: &'a Machine,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl<'a> Sshd<'a> {
    /// Starts sshd with these lines before our usual ones, so that they count, and waits until it listens.
    #[track_caller]
    pub fn start(machine: &'a Machine, lines: &str) -> Self {
        machine.write(
            "/etc/ssh/test_config",
            &format!("{lines}\n{CONFIG}"),
            "0600",
        );
        for key in ["/etc/ssh/test_host_key", KEY] {
            machine
                .run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
                .ok();
        }
        // sshd wants to be called by its full path. With -e its own log comes to us; PAM's goes to syslog.
        let words = ["/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/test_config"];
        let mut child = machine
            .command(&words)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start sshd");
        let stderr = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        let log = Arc::<Mutex<Vec<String>>>::default();
        let (ready, listening) = mpsc::channel();
        let kept = Arc::clone(&log);
        thread::spawn(move || collect(stderr, &kept, &ready));
        let sshd = Self {
            machine,
            child,
            log,
        };
        let listens = listening.recv_timeout(LIMIT).is_ok();
        assert!(listens, "sshd does not listen: {:#?}", sshd.log());
        sshd
    }

    /// What sshd itself logged; [`Machine::log`] has what PAM logged.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("nobody panics with the log").clone()
    }

    /// Lets the user in with the test's key, and returns the key's path for `-i`.
    #[track_caller]
    pub fn authorize_key(&self, user: &str) -> &'static str {
        self.machine.run(&["sh", "-ec", AUTHORIZE, user]).ok();
        KEY
    }

    /// Runs `ssh <options> user@127.0.0.1 <command>` on a terminal. The options given here count first.
    #[track_caller]
    pub fn ssh(&self, user: &str, options: &[&str], command: &str) -> Pty {
        let target = format!("{user}@127.0.0.1");
        let usual = [
            "-F/dev/null",
            "-p2222",
            "-oStrictHostKeyChecking=no",
            "-oUserKnownHostsFile=/dev/null",
            "-oLogLevel=ERROR",
            "-oIdentityAgent=none",
            "-oIdentitiesOnly=yes",
        ];
        let words = [&["ssh"], options, &usual, &[&target, command]].concat();
        self.machine.spawn_pty("root", &words)
    }
}

impl Drop for Sshd<'_> {
    fn drop(&mut self) {
        // This ends the nsenter(1) around it, so that we leave no zombie; sshd ends with the machine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(stderr: impl BufRead, log: &Mutex<Vec<String>>, ready: &Sender<()>) {
    for line in stderr.lines().map_while(Result::ok) {
        if line.starts_with("Server listening") {
            let _ = ready.send(());
        }
        log.lock().expect("nobody panics with the log").push(line);
    }
}
