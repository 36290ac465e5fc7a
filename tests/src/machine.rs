//! A throw-away machine: a system's files under an overlay in memory, with its own processes, network,
//! host name, `/run`, `/tmp` and log. Nothing done in it reaches the real system.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use crate::{
    PASSWORD_HASH,
    command::{Finished, run},
    confidential::Confidential,
    locate,
    log::Log,
    pty::{self, Pty},
};

/// Builds the machine from the files below `$0` and becomes its first process.
///
/// The device files and the terminals are the real ones, so that a terminal made outside works inside.
/// The first process ends when its stdin does, which happens however the test ends, and everything in
/// the machine ends with it. It ignores SIGCHLD so that orphans leave no zombies.
const BUILD: &str = r#"
set -e
exec 2>&1
# This /proc is still the outer one, so this is the pid as seen from outside.
read -r pid rest </proc/self/stat

mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o "lowerdir=$0,upperdir=/mnt/upper,workdir=/mnt/work" overlay /mnt/root
ip link set lo up
cd /mnt/root

mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do
    : >dev/$node
    mount --bind /dev/$node dev/$node
done
mkdir dev/pts dev/shm run/lock run/sshd
chmod 1777 dev/shm run/lock
mount --bind /dev/pts dev/pts
# The kernel looks for "pts" beside the node, and beside a bound one it finds nothing.
mknod -m 666 dev/ptmx c 5 2

pivot_root . mnt
cd /
umount -l /mnt
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
: >/run/utmp
echo machine >/proc/sys/kernel/hostname
echo '127.0.0.1 localhost machine' >/etc/hosts

echo "$pid"
exec env --ignore-signal=CHLD cat >/dev/null
"#;

/// Gives the terminal to the user, as login(1) and sshd(8) do, and becomes that user.
const BECOME: &str = r#"
chown "$0" "$(tty)"
exec setpriv --reuid "$0" --regid "$(id -g "$0")" --init-groups --reset-env -- "$@"
"#;

/// Writes stdin to the file `$0` with the mode `$1`.
const WRITE: &str = r#"
mkdir -p "$(dirname "$0")"
umask 077
cat >"$0"
chmod "$1" "$0"
"#;

/// A running machine; only root can have one. It ends when dropped.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    /// Holds the machine up: see [`BUILD`].
    _life_line: ChildStdin,
    pid: String,
    log: Log,
}

impl Machine {
    /// Starts one from the real system's files.
    #[track_caller]
    pub fn start() -> Self {
        Self::from(Path::new("/"))
    }

    /// Starts one from the files below a folder.
    #[track_caller]
    pub fn from(files: &Path) -> Self {
        let mut child = Command::new("unshare")
            .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--fork"])
            .args(["--kill-child", "sh", "-c", BUILD])
            .arg(files)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start unshare");
        let pid = first_line(&mut child);
        Self {
            _life_line: child.stdin.take().expect("stdin is a pipe"),
            child,
            // /dev is a folder of the machine, not a link that could lead out of it.
            log: Log::bind(&PathBuf::from(format!("/proc/{pid}/root/dev/log"))),
            pid,
        }
    }

    /// A command in the machine, not started yet, with a clean environment.
    pub fn command<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.pid])
            .args([
                "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd", "--",
            ])
            .args(words)
            .env_clear()
            .envs([("LANG", "C.UTF-8"), ("TERM", "dumb"), ("HOME", "/root")])
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            );
        command
    }

    /// Runs a command as root.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Finished {
        self.run_with(words, "")
    }

    /// Runs a command as root with the given text on its stdin.
    #[track_caller]
    pub fn run_with(&self, words: &[&str], stdin: &str) -> Finished {
        run(&mut self.command(words), stdin)
    }

    /// Runs a shell script as root, which must succeed; returns what it wrote.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        self.run(&["sh", "-ec", script]).ok().stdout
    }

    /// Writes a file, and the folders above it; `mode` as for chmod(1).
    ///
    /// By a process inside, for from outside an absolute link would lead into the real system.
    #[track_caller]
    pub fn write(&self, path: &str, text: &str, mode: &str) {
        self.run_with(&["sh", "-ec", WRITE, path, mode], text).ok();
    }

    /// Reads a file.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        self.run(&["cat", path]).ok().stdout
    }

    /// Adds a user with a home and the password [`crate::PASSWORD`].
    #[track_caller]
    pub fn add_user(&self, name: &str) {
        let shell = ["--create-home", "--shell", "/bin/sh"];
        let words = [
            &["useradd"],
            &shell[..],
            &["--password", PASSWORD_HASH, name],
        ]
        .concat();
        self.run(&words).ok();
    }

    /// Runs a command on a terminal as the leader of its session, as the given user.
    #[track_caller]
    pub fn spawn_pty(&self, user: &str, words: &[&str]) -> Pty {
        // Inside, because a session's leader outside has no process id there.
        let leader = ["setsid", "--ctty", "--wait", "sh", "-ec", BECOME, user];
        let words = [&pty::INTERRUPTIBLE, &leader[..], words].concat();
        let pty = Pty::spawn_here(self.command(&words));
        pty.confiding(self.log.confidential())
    }

    /// Every log line that was sent so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lines()
    }

    /// What must not stand in the log, looked for at the end.
    pub fn confidential(&self) -> &Confidential {
        self.log.confidential()
    }

    /// Puts the module under test and `mfa-admin` where a package would.
    #[track_caller]
    pub fn install(&self) {
        let module = locate::pam_modules().join("pam_mfa.so");
        let module = module.to_str().expect("a path in UTF-8");
        self.copy_in(&locate::module(), module, "0644");
        self.copy_in(&locate::admin(), "/usr/sbin/mfa-admin", "0755");
        let unit = "systemd/mfa-admin-stack@.service";
        let there = format!(
            "/usr/lib/systemd/system/{}",
            unit.trim_start_matches("systemd/")
        );
        self.copy_in(
            &locate::workspace().join("config").join(unit),
            &there,
            "0644",
        );
        let witness = "/usr/libexec/mfa-admin/pam-witness";
        self.copy_in(&locate::witness(), witness, "0755");
    }

    /// Logs a user in with one answer, as root, at a service that asks for nothing else: the PAM code. For
    /// that `pam-client` has to be in `/tmp`.
    #[track_caller]
    pub fn log_in(&self, user: &str, service: &str, answer: &str) -> i32 {
        let client = ["/tmp/pam-client", "--confdir", "/etc/pam.d"];
        let whom = ["--service", service, "--user", user];
        let answer = format!("{{\"text\":\"{answer}\"}}\n");
        let shown = self.run_with(&[&client[..], &whom].concat(), &answer);
        let shown = shown.ok().stdout;
        let result = r#""call":"authenticate","code":"#;
        let code = shown.split_once(result).expect("a verdict").1;
        let code = code.split_once('}').expect("a code").0;
        code.parse().expect("a number")
    }

    /// Copies a file into the machine.
    #[track_caller]
    pub fn copy_in(&self, from: &Path, to: &str, mode: &str) {
        let file = fs::File::open(from);
        let file = file.unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        let mut command = self.command(&["sh", "-ec", WRITE, to, mode]);
        let status = command.stdin(file).status().expect("copy a file");
        assert!(status.success(), "copy {} to {to}", from.display());
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // `--kill-child` passes it on to the first process; the machine's mounts go with its processes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first line says the pid, or what went wrong.
#[track_caller]
fn first_line(child: &mut Child) -> String {
    let mut stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("read from the machine");
    let pid = line.trim().to_owned();
    if pid.parse::<u32>().is_err() {
        let _ = stdout.read_to_string(&mut line);
        panic!("no machine: {line}");
    }
    pid
}
