//! Where the logins happen: stacks, stores and users of every module in one folder.

use std::{
    fs::{self, Permissions},
    io::{BufWriter, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
};

use data_encoding::HEXLOWER;
use mfa_core::{
    backup::{BackupSet, Cost},
    block::{self, State},
    device::{Device, Shape},
    file::{Dir, Privacy},
    init,
    key::Key,
    paths::Root,
    record::Record,
};
use mfa_tests::locate;
use zeroize::Zeroizing;

use crate::code::{self, SECRET, START};

/// The user id of the first user; those of the others follow.
pub const FIRST_UID: u32 = 2_000_000;

/// How many of the users have an account, and everything that a user has.
pub const ACCOUNTS: usize = 64;

/// Up to that many users all have a block. Beyond it those without an account have an empty folder in its
/// place: nothing looks into it.
const COMPLETE: usize = 10_000;

/// Somebody with an account whom no module knows.
pub const STRANGER: &str = "stranger";

/// The name of a user.
pub fn name(user: usize) -> String {
    format!("user{user}")
}

/// google-authenticator's settings, each a stack and a folder of users' files: what the stack says, and
/// what the files say.
const GOOGLE: [(&str, &str, &str); 4] = [
    ("google", "", "\" DISALLOW_REUSE\n"),
    ("google-noskewadj", "noskewadj", "\" DISALLOW_REUSE\n"),
    (
        "google-limited",
        "noskewadj",
        "\" RATE_LIMIT 3 30\n\" DISALLOW_REUSE\n",
    ),
    ("google-fast", "", ""),
];

/// google-authenticator's backup codes.
pub const SCRATCH: [&str; 5] = ["12345678", "23456789", "34567890", "45678901", "56789012"];

/// See the module's text.
#[derive(Debug)]
pub struct Place {
    dir: PathBuf,
    /// Backup codes of every user of ours.
    pub backup_codes: Vec<String>,
    users: usize,
}

impl Place {
    /// An empty one in a folder, with this module of ours.
    pub fn new(dir: &Path, module: &Path) -> Self {
        for folder in ["pam.d", "root/etc", "root/var/lib", "root/run"] {
            fs::create_dir_all(dir.join(folder)).expect("make a folder");
        }
        for (folder, ..) in GOOGLE {
            fs::create_dir(dir.join(folder)).expect("make a folder");
        }
        fs::copy(module, dir.join("pam_mfa.so")).expect("copy the module: is it built?");
        let root = root_of(dir);
        init::init(&root, false).expect("make the store");
        // As the packages install it.
        fs::copy(
            locate::workspace().join("config/config.toml"),
            dir.join("root/etc/pam_mfa/config.toml"),
        )
        .expect("copy the configuration");
        let place = Self {
            dir: dir.to_owned(),
            backup_codes: Vec::new(),
            users: 0,
        };
        place.write_stacks();
        place
    }

    fn write_stacks(&self) {
        let dir = self.dir.display();
        let ours = format!("{dir}/pam_mfa.so root={dir}/root tries=1");
        let oath = format!("pam_oath.so usersfile={dir}/users.oath window=1 digits=6");
        for (service, module) in [("floor", "pam_permit.so"), ("mfa", &ours), ("oath", &oath)] {
            self.write_stack(service, module);
        }
        for (service, options, _) in GOOGLE {
            let secret = format!("secret={dir}/{service}/${{USER}} user=root");
            self.write_stack(
                service,
                &format!("pam_google_authenticator.so {secret} {options}"),
            );
        }
    }

    fn write_stack(&self, service: &str, module: &str) {
        let line = format!("auth required {module}\n");
        fs::write(self.confdir().join(service), line).expect("write a stack");
    }

    /// The folder of the stacks.
    pub fn confdir(&self) -> PathBuf {
        self.dir.join("pam.d")
    }

    /// What `--root` names.
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// The copy of our module.
    pub fn module(&self) -> PathBuf {
        self.dir.join("pam_mfa.so")
    }

    /// Puts another build of our module in the place of the present one, and returns where that is.
    pub fn replace_module(&self, module: &Path) -> PathBuf {
        let (before, place) = (self.dir.join("before.so"), self.module());
        // A process that has it loaded keeps the old file.
        fs::copy(module, self.dir.join("new.so")).expect("copy the module");
        fs::rename(&place, &before).expect("keep the module");
        fs::rename(self.dir.join("new.so"), &place).expect("replace the module");
        before
    }

    /// Adds users until there are so many, in every module.
    pub fn grow(&mut self, users: usize) {
        let (backup, codes) = BackupSet::generate(Cost::default(), start()).expect("backup codes");
        self.backup_codes = codes.iter().map(|code| code.shown().to_string()).collect();
        let etc = Dir::open(&root_of(&self.dir).etc(), Privacy::Readable).expect("open etc");
        let key = Key::load(&root_of(&self.dir), &etc).expect("the key");
        // Those with an account anew, for they share the new codes.
        let new: Vec<usize> = (0..users.min(ACCOUNTS))
            .chain(self.users.max(ACCOUNTS)..users)
            .collect();
        thread::scope(|scope| {
            for part in new.chunks(new.len().div_ceil(2)) {
                let (place, backup, key) = (&*self, &backup, &key);
                scope.spawn(move || {
                    part.iter()
                        .for_each(|user| place.enroll(*user, backup, key))
                });
            }
        });
        self.users = users;
        self.write_users_oath();
        nix::unistd::sync();
    }

    fn enroll(&self, user: usize, backup: &BackupSet, key: &Key) {
        let record = record(user, copy(backup));
        let text = record.encode(key).expect("encode a record");
        let data = self.root().join("var/lib/pam_mfa");
        write_private(
            &data.join(format!("users/{}.toml", record.uid)),
            text.as_bytes(),
        );
        let state = data.join(format!("state/{}", record.uid));
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&state);
        made.expect("make a folder of state");
        if user < COMPLETE {
            let block = block::fresh(&State::new(record.id, Some(backup.id)));
            let name = format!("block-{}", HEXLOWER.encode(&record.id));
            write_private(&state.join(name), &block);
        }
        let settings = if user < ACCOUNTS {
            &GOOGLE[..]
        } else {
            &GOOGLE[..1]
        };
        for (folder, _, settings) in settings {
            self.write_google(folder, settings, user);
        }
    }

    fn write_google(&self, folder: &str, settings: &str, user: usize) {
        let (secret, scratch) = (code::base32(), SCRATCH.join("\n"));
        let text = format!("{secret}\n{settings}\" WINDOW_SIZE 3\n\" TOTP_AUTH\n{scratch}\n");
        write_private(&self.dir.join(folder).join(name(user)), text.as_bytes());
    }

    /// The user who logs in stands in the middle.
    fn write_users_oath(&self) {
        let file = fs::File::create(self.dir.join("users.oath")).expect("make users.oath");
        file.set_permissions(Permissions::from_mode(0o600))
            .expect("close users.oath");
        let mut out = BufWriter::new(file);
        let half = self.users / 2;
        for place in 0..self.users {
            let user = (place + self.users - half) % self.users;
            writeln!(out, "HOTP/T30/6 {} - {}", name(user), code::hex()).expect("write a user");
        }
        out.flush().expect("write the users");
    }

    /// Nothing is spent in the modules that have backup codes.
    pub fn forget_spent(&self) {
        let data = self.root().join("var/lib/pam_mfa");
        let state = fs::read_dir(data.join(format!("state/{FIRST_UID}"))).expect("the state");
        let mut names = state.map(|entry| entry.expect("an entry").path());
        let is_block = |path: &PathBuf| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("block-"))
        };
        let path = names.find(is_block).expect("a block");
        let record = record_id(0);
        let bytes = fs::read(&path).expect("read the block");
        let (mut state, _) = block::newest(&bytes, &record).expect("a valid block");
        state.spent = 0;
        fs::write(&path, block::fresh(&state)).expect("write the block");
        let (folder, _, settings) = GOOGLE[0];
        self.write_google(folder, settings, 0);
    }

    /// Claims the single guesses of the second user that are free on a day, so that two codes are asked for.
    pub fn claim_guesses(&self, today: u64) {
        let state = self
            .root()
            .join(format!("var/lib/pam_mfa/state/{}", uid(1)));
        for day in today - 9..=today {
            write_private(&state.join(format!("guess-{day}")), b"");
        }
    }

    /// What the first user's state takes, by module: files, and their bytes.
    pub fn piled_up(&self) -> [(usize, u64); 3] {
        let ours = self
            .root()
            .join(format!("var/lib/pam_mfa/state/{FIRST_UID}"));
        let sizes = fs::read_dir(ours).expect("the state");
        let sizes: Vec<u64> = sizes
            .map(|entry| entry.expect("an entry").metadata().expect("a file").len())
            .collect();
        let one = |path: &str| (1, fs::metadata(self.dir.join(path)).expect("a file").len());
        [
            (sizes.len(), sizes.iter().sum()),
            one("google-limited/user0"),
            one("users.oath"),
        ]
    }

    /// Lines for `/etc/passwd`.
    pub fn accounts(users: usize) -> String {
        let line = |(name, uid)| format!("{name}:x:{uid}:{uid}::/nonexistent:/bin/sh\n");
        let users = (0..users).map(|user| (name(user), uid(user)));
        users
            .chain([(STRANGER.to_owned(), FIRST_UID - 1)])
            .map(line)
            .collect()
    }
}

fn root_of(dir: &Path) -> Root {
    Root::new(&dir.join("root")).expect("an absolute path")
}

fn start() -> i64 {
    START.cast_signed()
}

fn uid(user: usize) -> u32 {
    FIRST_UID + u32::try_from(user).expect("a user id")
}

fn record_id(user: usize) -> [u8; 16] {
    (user as u128 + 1).to_be_bytes()
}

fn record(user: usize, backup: BackupSet) -> Record {
    let device = Device {
        id: (user as u64).to_be_bytes(),
        label: "phone".to_owned(),
        shape: Shape::default(),
        verified: true,
        enrolled: start(),
        secret: SECRET.to_vec().into(),
    };
    Record {
        id: record_id(user),
        user: name(user),
        uid: uid(user),
        devices: vec![device],
        backup,
    }
}

fn copy(set: &BackupSet) -> BackupSet {
    BackupSet {
        tag_key: Box::new(Zeroizing::new(**set.tag_key)),
        digests: set.digests.clone(),
        ..*set
    }
}

fn write_private(path: &Path, content: &[u8]) {
    let mut options = fs::OpenOptions::new();
    let file = options
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| file.write_all(content))
        .expect("write a file");
}
