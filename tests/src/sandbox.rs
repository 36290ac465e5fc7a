//! A root directory, a PAM configuration and accounts of its own; nothing in it needs root.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicI64, Ordering},
};

use tempfile::TempDir;

use crate::{
    PASSWORD_HASH,
    client::Client,
    command::{Finished, run},
    confidential::Confidential,
    locate,
    log::Log,
    outcome::Outcome,
    pty::Pty,
};

/// The service that clients use unless told otherwise.
pub const SERVICE: &str = "test";

/// The users that every sandbox has, and their uids; all have the password [`crate::PASSWORD`].
pub const USERS: [(&str, u32); 4] = [
    ("alice", 2001),
    ("bob", 2002),
    ("carol", 2003),
    ("dave", 2004),
];

/// Stands for "the real clock".
const REAL_CLOCK: i64 = i64::MAX;

/// See the module's text. Clients and admin commands may run in it side by side.
#[derive(Debug)]
pub struct Sandbox {
    dir: TempDir,
    log: Log,
    clock: AtomicI64,
}

impl Sandbox {
    /// A sandbox with the module under test in the stack, and a store made by `mfa-admin init`.
    #[track_caller]
    pub fn new() -> Self {
        let sandbox = Self::uninitialized();
        sandbox.admin(&["init"]).ok();
        sandbox
    }

    /// A sandbox with the module under test in the stack, but without a store.
    pub fn uninitialized() -> Self {
        let sandbox = Self::with_stack("auth required {mfa}\naccount required pam_permit.so\n");
        fs::copy(locate::module(), sandbox.module()).expect("copy the module: is it built?");
        sandbox
    }

    /// A sandbox with any stack; see [`Self::stack`]. The module under test is not there.
    pub fn with_stack(lines: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("mfa-").tempdir();
        let dir = dir.expect("make a temporary directory");
        let base = dir.path();
        for folder in [
            "pam.d",
            "nss",
            "home",
            "root/etc",
            "root/var/lib",
            "root/run",
            "root/dev",
        ] {
            let mut builder = fs::DirBuilder::new();
            let made = builder
                .recursive(true)
                .mode(0o755)
                .create(base.join(folder));
            made.expect("make the sandbox's folders");
        }
        let sandbox = Self {
            log: Log::bind(&base.join("root/dev/log")),
            dir,
            clock: AtomicI64::new(REAL_CLOCK),
        };
        sandbox.stack(lines);
        sandbox.add_account("root", 0);
        for (name, uid) in USERS {
            sandbox.add_account(name, uid);
        }
        sandbox
    }

    /// Writes the service file; `{mfa}` stands for the module under test with its `root=`.
    pub fn stack(&self, lines: &str) {
        self.service(SERVICE, lines);
    }

    /// Writes the file of another service; see [`Self::stack`].
    pub fn service(&self, service: &str, lines: &str) {
        let module = format!("{} root={}", self.module().display(), self.root().display());
        let text = lines.replace("{mfa}", &module);
        fs::write(self.confdir().join(service), text).expect("write a service file");
    }

    /// Adds an account; one more name for a uid makes an alias.
    pub fn add_account(&self, name: &str, uid: u32) {
        let home = self.dir.path().join("home").join(name);
        fs::create_dir_all(&home).expect("make a home");
        let home = home.display();
        let user = format!("{name}:{PASSWORD_HASH}:{uid}:{uid}:{name}:{home}:/bin/sh\n");
        append(&self.nss("passwd"), &user);
        append(&self.nss("group"), &format!("{name}:x:{uid}:\n"));
    }

    /// Removes an account.
    pub fn remove_account(&self, name: &str) {
        for file in ["passwd", "group"] {
            let text = fs::read_to_string(self.nss(file)).expect("read the accounts");
            let others = text
                .lines()
                .filter(|line| line.split(':').next() != Some(name));
            let others: String = others.map(|line| format!("{line}\n")).collect();
            fs::write(self.nss(file), others).expect("write the accounts");
        }
    }

    /// From here on clients and admin commands see this time (seconds since 1970), standing still.
    pub fn at(&self, time: u64) -> &Self {
        self.at_any(time.cast_signed())
    }

    /// The same for a time that may lie before 1970.
    pub fn at_any(&self, time: i64) -> &Self {
        self.clock.store(time, Ordering::SeqCst);
        self
    }

    /// What `root=` and `--root` name.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// A path below [`Self::root`], such as `etc/pam_mfa/key`.
    pub fn path(&self, below_root: &str) -> PathBuf {
        self.root().join(below_root)
    }

    /// The folder of the service files.
    pub fn confdir(&self) -> PathBuf {
        self.dir.path().join("pam.d")
    }

    /// The sandbox's copy of the module; libpam logs its stem, so it has the installed name.
    pub fn module(&self) -> PathBuf {
        self.dir.path().join("pam_mfa.so")
    }

    fn nss(&self, file: &str) -> PathBuf {
        self.dir.path().join("nss").join(file)
    }

    /// Writes a file below [`Self::root`] with the mode 0644, and the folders above it.
    pub fn write(&self, below_root: &str, text: &str) {
        let path = self.path(below_root);
        let folder = path.parent().expect("a file in a folder");
        fs::create_dir_all(folder).expect("make the folders of a file");
        fs::write(&path, text).expect("write a file");
        // Whatever the umask, others must not be able to write it.
        let mode = fs::Permissions::from_mode(0o644);
        fs::set_permissions(path, mode).expect("set the mode of a file");
    }

    /// Every log line that was sent so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lines()
    }

    /// What must not stand in the log, looked for at the end.
    pub fn confidential(&self) -> &Confidential {
        self.log.confidential()
    }

    /// `mfa-admin --root <root> <arguments>`, not started yet.
    pub fn admin_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(locate::admin());
        command.arg("--root").arg(self.root()).args(arguments);
        command.envs(self.environment(None));
        command
    }

    /// Runs `mfa-admin` with nothing on its stdin.
    #[track_caller]
    pub fn admin(&self, arguments: &[&str]) -> Finished {
        self.admin_with(arguments, "")
    }

    /// Runs `mfa-admin` with the given text on its stdin.
    #[track_caller]
    pub fn admin_with(&self, arguments: &[&str], stdin: &str) -> Finished {
        run(&mut self.admin_command(arguments), stdin)
    }

    /// Runs `mfa-admin` on a terminal.
    #[track_caller]
    pub fn admin_on_terminal(&self, arguments: &[&str]) -> Pty {
        Pty::spawn(self.admin_command(arguments)).confiding(self.confidential())
    }

    /// A client that logs this user in.
    pub fn client(&self, user: impl AsRef<OsStr>) -> Client<'_> {
        Client::new(self, user.as_ref())
    }

    /// Logs a user in with these answers; see [`Client::login`].
    #[track_caller]
    pub fn login(&self, user: impl AsRef<OsStr>, answers: &[&str]) -> Outcome {
        self.client(user).login(answers)
    }

    /// The variables that bring accounts and clock into a process; `time` overrides [`Self::at`].
    pub fn environment(&self, time: Option<i64>) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![
            ("LC_ALL", "C.UTF-8".into()),
            ("TZ", "UTC".into()),
            ("NSS_WRAPPER_PASSWD", self.nss("passwd").into()),
            ("NSS_WRAPPER_GROUP", self.nss("group").into()),
        ];
        let mut preload = locate::library("libnss_wrapper.so").into_os_string();
        let time = time.unwrap_or_else(|| self.clock.load(Ordering::SeqCst));
        if time != REAL_CLOCK {
            preload.push(":");
            preload.push(locate::virtual_clock());
            variables.push(("VIRTUAL_CLOCK", time.to_string().into()));
        }
        variables.push(("LD_PRELOAD", preload));
        variables
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

fn append(path: &Path, text: &str) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let mut file = file.expect("open a file of accounts");
    file.write_all(text.as_bytes()).expect("add an account");
}
