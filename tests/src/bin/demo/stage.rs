//! The throw-away machine: a root directory, a PAM service, a log.

use std::{
    ffi::{OsStr, c_int, c_uint},
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::Mutex,
    thread,
};

use mfa_tests::{
    locate,
    log::Log,
    pam::{Application, Reply, Start, Transaction},
};
use nix::{
    sys::signal::{SigSet, Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

/// The password of the demo. It protects nothing.
pub const PASSWORD: &str = "correct horse";

/// Whoever has it ends the demo: one that is broken off has no faults to tell.
pub static END: Mutex<()> = Mutex::new(());

/// Everything lies in one temporary directory, which goes with this value.
pub struct Stage {
    root: TempDir,
    log: Log,
    /// Who runs the demo, and logs in.
    pub user: String,
}

impl Stage {
    /// Lays everything down; nothing of the system is touched. An error where no demo can be played.
    pub fn build() -> Result<Stage, String> {
        let user = user()?;
        let root = tempfile::Builder::new().prefix("pam_mfa-demo-").tempdir();
        let root = root.expect("make a temporary directory");
        clean_up_when_broken_off(root.path().to_path_buf());
        for folder in ["etc", "var/lib", "run", "dev", "pam.d"] {
            fs::create_dir_all(root.path().join(folder)).expect("make a directory");
        }
        let stage = Stage {
            log: Log::bind(&root.path().join("dev/log")),
            root,
            user,
        };
        stage.install()?;
        Ok(stage)
    }

    fn install(&self) -> Result<(), String> {
        let dir = self.root.path();
        fs::copy(locate::module(), dir.join("pam_mfa.so")).expect("copy the module");
        let check = dir.join("check-password");
        let script = format!("#!/bin/sh\n[ \"$(tr -d '\\0')\" = '{PASSWORD}' ]\n");
        fs::write(&check, script).expect("write the password check");
        fs::set_permissions(&check, Permissions::from_mode(0o700)).expect("make it executable");
        fs::write(dir.join("pam.d/demo"), self.service()).expect("write the PAM service");
        match Command::new(&check).stdin(Stdio::null()).status() {
            Ok(_) => Ok(()),
            // From where no program can be run, no module can be loaded either.
            Err(error) => Err(format!(
                "the PAM module cannot be loaded from {}: {error}. It may be mounted noexec; name another \
                 folder: TMPDIR=/var/tmp make demo",
                dir.display()
            )),
        }
    }

    /// The PAM service of the demo, as it would stand in `/etc/pam.d`.
    pub fn service(&self) -> String {
        let dir = self.root.path().display();
        format!(
            "auth     requisite  pam_exec.so quiet expose_authtok {dir}/check-password\n\
             auth     required   {dir}/pam_mfa.so root={dir}\n\
             account  required   pam_permit.so\n"
        )
    }

    /// `mfa-admin` on the throw-away machine.
    pub fn admin(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(locate::admin());
        command.arg("--root").arg(self.root.path()).args(arguments);
        command
    }

    /// A login: PAM's verdict, and the line that the module wrote to the log.
    pub fn login(
        &self,
        answer: impl FnMut(c_int, &str) -> Reply + Send + 'static,
    ) -> (c_int, String) {
        let before = self.log.lines().len();
        let start = Start {
            confdir: &self.root.path().join("pam.d"),
            service: "demo",
            user: Some(OsStr::new(&self.user)),
            null_conversation: false,
        };
        let transaction = Transaction::start(start, Box::new(Person(answer)));
        let mut transaction = transaction.expect("libpam starts a transaction");
        let code = transaction.authenticate(0);
        transaction.end();
        (code, self.log.lines().split_off(before).join("\n"))
    }

    /// The directory in which everything lies.
    pub fn root(&self) -> &Path {
        self.root.path()
    }
}

/// PAM lets in by name.
fn user() -> Result<String, String> {
    let uid = nix::unistd::getuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    user.map(|user| user.name).ok_or(format!(
        "uid {uid} has no name here, and PAM lets in by name. Run the demo as a user who has one"
    ))
}

/// Ctrl-C ends the demo, but leaves nothing behind: neither files nor a terminal without echo.
fn clean_up_when_broken_off(root: PathBuf) {
    let breaks: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
        .into_iter()
        .collect();
    breaks.thread_block().expect("hold signals back");
    thread::spawn(move || {
        if breaks.wait().is_ok() {
            let _end = END.lock();
            // What a question switches off; without a terminal there is nothing to put back.
            let mut stty = Command::new("stty");
            stty.args(["echo", "icanon", "isig"]);
            let _ = stty.stderr(Stdio::null()).status();
            // Again if something was just made in it.
            let mut removals = (0..100).map(|_| fs::remove_dir_all(&root));
            let _ = removals.find(Result::is_ok);
            process::exit(130);
        }
    });
}

/// What Ctrl-C does, for whoever reads it as a character.
pub fn break_off() -> ! {
    let _ = kill(Pid::this(), Signal::SIGINT);
    loop {
        thread::park();
    }
}

struct Person<F>(F);

impl<F: FnMut(c_int, &str) -> Reply + Send> Application for Person<F> {
    fn converse(&mut self, style: c_int, text: &str) -> Reply {
        (self.0)(style, text)
    }

    /// A real application waits here after a failure. The demo does not.
    fn delay(&mut self, _: c_int, _: c_uint) {}
}
