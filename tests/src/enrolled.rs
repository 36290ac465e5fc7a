//! An enrolled user: what `mfa-admin enroll` handed out, and the codes that come of it.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Deserialize;

use crate::{
    confidential::Confidential, log::decisions, machine::Machine, oath::Oath, sandbox::Sandbox,
};

/// The middle of a time step, for [`Sandbox::at`].
pub const NOW: u64 = 1_700_000_025;

/// The real time, which is that of a machine, in seconds since 1970. A code of it stays good for more
/// than a step, and the next one is good already.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a time after 1970").as_secs()
}

/// The length of a time step in seconds.
pub const STEP: u64 = 30;

/// What `enroll` is called with by a script.
const SCRIPTED: [&str; 4] = ["enroll", "--no-verify", "--yes", "--json"];

/// How a script enrolls alice.
pub const ENROLL: &[&str] = &["enroll", "alice", "--no-verify", "--yes", "--json"];

/// How a script replaces her enrollment.
pub const REPLACE: &[&str] = &[
    "enroll",
    "alice",
    "--replace",
    "--no-verify",
    "--yes",
    "--json",
];

/// What a user has in his pocket.
#[derive(Clone, Debug, Deserialize)]
pub struct Enrolled {
    /// In base32.
    pub secret: String,
    /// As they are shown.
    pub backup_codes: Vec<String>,
}

impl Enrolled {
    #[track_caller]
    fn from_json(text: &str) -> Self {
        let enrolled: Self = serde_json::from_str(text).expect("the JSON of enroll");
        assert_eq!(enrolled.backup_codes.len(), 10);
        enrolled
    }

    /// None of it may stand in the log to which these texts belong.
    pub(crate) fn confided(self, to: &Confidential) -> Self {
        for text in self.backup_codes.iter().chain([&self.secret]) {
            to.keep(text);
        }
        self
    }

    /// The code that the device shows at `time`.
    pub fn code_at(&self, time: u64) -> String {
        Oath::new(&self.secret).code_at(time)
    }

    /// The code that the device shows so many steps after [`NOW`].
    pub fn code(&self, steps: i64) -> String {
        self.code_at(NOW.saturating_add_signed(steps * STEP as i64))
    }

    /// Six digits that the device does not show within an hour of `time`: not even a clock that is
    /// off explains them.
    pub fn wrong_code_at(&self, time: u64) -> String {
        let codes = Oath::new(&self.secret).codes_from(time - 4000, 270);
        let mut numbers = (0..).map(|number| format!("{number:06}"));
        let wrong = numbers.find(|number| !codes.contains(number));
        wrong.expect("there are more numbers than codes")
    }

    /// [`Self::wrong_code_at`] at [`NOW`].
    pub fn wrong_code(&self) -> String {
        self.wrong_code_at(NOW)
    }
}

impl Sandbox {
    /// A sandbox at [`NOW`] in which alice is enrolled, with the same secrets for a whole test program.
    #[track_caller]
    pub fn with_alice() -> (Self, Enrolled) {
        static STORE: OnceLock<Store> = OnceLock::new();
        let store = STORE.get_or_init(Store::make);
        let sandbox = Self::uninitialized();
        sandbox.at(NOW);
        store.files.iter().for_each(|file| file.lay_down(&sandbox));
        let alice = store.alice.clone().confided(sandbox.confidential());
        (sandbox, alice)
    }

    /// Enrolls a user. No code is spent on it.
    #[track_caller]
    pub fn enroll(&self, user: &str) -> Enrolled {
        let json = self.admin(&[&SCRIPTED[..], &[user]].concat()).ok().stdout;
        Enrolled::from_json(&json).confided(self.confidential())
    }

    /// What the module logged so far: see [`decisions`].
    pub fn decisions(&self) -> Vec<String> {
        decisions(&self.log())
    }
}

/// A store in which alice is enrolled. It is made once, for that takes ten Argon2 digests.
struct Store {
    files: Vec<StoredFile>,
    alice: Enrolled,
}

struct StoredFile {
    below_root: PathBuf,
    mode: u32,
    /// None for a folder.
    content: Option<Vec<u8>>,
}

impl Store {
    fn make() -> Self {
        let sandbox = Sandbox::new();
        sandbox.at(NOW);
        let alice = sandbox.enroll("alice");
        let mut files = Vec::new();
        collect(&sandbox, "etc/pam_mfa".into(), &mut files);
        collect(&sandbox, "var/lib/pam_mfa".into(), &mut files);
        Self { files, alice }
    }
}

/// The file or folder and all that is in it.
fn collect(sandbox: &Sandbox, below_root: PathBuf, files: &mut Vec<StoredFile>) {
    let path = sandbox.root().join(&below_root);
    let kind = fs::symlink_metadata(&path).expect("look at a file of the store");
    let content = || fs::read(&path).expect("read a file of the store");
    files.push(StoredFile {
        below_root: below_root.clone(),
        mode: kind.permissions().mode(),
        content: kind.is_file().then(content),
    });
    if kind.is_dir() {
        let entries = fs::read_dir(path).expect("list a folder of the store");
        let names = entries.map(|entry| entry.expect("an entry of the store").file_name());
        names.for_each(|name| collect(sandbox, below_root.join(name), files));
    }
}

impl StoredFile {
    fn lay_down(&self, sandbox: &Sandbox) {
        let path = sandbox.root().join(&self.below_root);
        let made = match &self.content {
            Some(content) => fs::write(&path, content),
            None => fs::create_dir(&path),
        };
        made.expect("make a file of the store");
        let mode = Permissions::from_mode(self.mode);
        fs::set_permissions(path, mode).expect("set the mode of a file of the store");
    }
}

impl Machine {
    /// A machine with the module installed, on which alice has an account and is enrolled.
    #[track_caller]
    pub fn with_alice() -> (Self, Enrolled) {
        let machine = Self::start();
        machine.install();
        machine.add_user("alice");
        let alice = machine.enroll("alice");
        (machine, alice)
    }

    /// Enrolls a user. No code is spent on it.
    #[track_caller]
    pub fn enroll(&self, user: &str) -> Enrolled {
        let words = [&["mfa-admin"], &SCRIPTED[..], &[user]].concat();
        let json = self.run(&words).ok().stdout;
        Enrolled::from_json(&json).confided(self.confidential())
    }

    /// Puts these lines before those that every service of the machine needs.
    #[track_caller]
    pub fn stack(&self, service: &str, auth: &str) {
        let usual = "account required pam_unix.so\nsession required pam_permit.so\n";
        self.write(
            &format!("/etc/pam.d/{service}"),
            &format!("{auth}{usual}"),
            "0644",
        );
    }

    /// What the module logged so far: see [`decisions`].
    pub fn decisions(&self) -> Vec<String> {
        decisions(&self.log())
    }
}
