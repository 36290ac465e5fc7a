//! Logins of the real core in virtual time: the clock is a number, the person a script.

use std::{cell::Cell, fs, path::Path};

use mfa_core::{
    Clock,
    backup::{BackupCode, BackupSet, Cost},
    device::{Device, Shape},
    enrollment::Pending,
    init,
    log_line::Level,
    login::{Host, Request, Silence, Talk, login},
    paths::Root,
    record::Record,
    store::{Change, Store},
    verdict::Verdict,
};
use tempfile::TempDir;
use totp_rs::{Builder, Secret};

/// The cheapest digest there is: what a test costs must not be Argon2.
pub const CHEAP: Cost = Cost {
    memory: 8,
    iterations: 1,
    parallelism: 1,
};

/// A day in seconds.
pub const DAY: i64 = 86_400;

/// A store in a temporary directory, and the time.
pub struct World {
    dir: TempDir,
    /// Seconds since 1970.
    pub now: Cell<i64>,
    /// The user's devices, as the store has them.
    pub devices: Vec<Device>,
    /// His backup codes.
    pub backup: Vec<BackupCode>,
}

impl Clock for World {
    fn now(&self) -> i64 {
        self.now.get()
    }
}

impl World {
    /// A store in `dir` where root is enrolled at `now` with a device of each shape.
    pub fn new(dir: TempDir, shapes: &[Shape], now: i64) -> World {
        for folder in ["etc", "var/lib", "run"] {
            fs::create_dir_all(dir.path().join(folder)).expect("make a directory");
        }
        let root = Root::new(dir.path()).expect("an absolute path");
        init::init(&root, false).expect("make the store");
        let (backup, codes) = BackupSet::generate(CHEAP, now).expect("make backup codes");
        let world = World {
            dir,
            now: now.into(),
            devices: Vec::new(),
            backup: codes,
        };
        let devices = world.enroll(shapes, backup, now);
        World { devices, ..world }
    }

    /// Several devices are more than `mfa-admin` makes yet; the record allows them.
    fn enroll(&self, shapes: &[Shape], backup: BackupSet, now: i64) -> Vec<Device> {
        let store = self.store();
        let pending = |shape: &Shape| Pending::new(&store, "root", "phone", *shape, false, now);
        let devices = |_: ()| {
            shapes
                .iter()
                .map(|shape| copy(pending(shape).expect("enroll").device()))
                .collect()
        };
        let ours: Vec<Device> = devices(());
        let record = Record {
            id: [1; 16],
            user: "root".to_owned(),
            uid: 0,
            devices: ours.iter().map(copy).collect(),
            backup,
        };
        let state = mfa_core::block::State::new(record.id, Some(record.backup.id));
        let written = store.write(0, |_, _| {
            Ok::<_, mfa_core::fault::Fault>(Change { record, state })
        });
        written.expect("write the record");
        ours
    }

    /// The open store.
    pub fn store(&self) -> Store {
        Store::open(&self.root()).expect("open the store")
    }

    fn root(&self) -> Root {
        Root::new(self.dir.path()).expect("an absolute path")
    }

    /// The directory in which everything lies.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A new start of the machine: `/run` is empty.
    pub fn restart(&self) {
        let run = self.dir.path().join("run");
        fs::remove_dir_all(&run)
            .and_then(|()| fs::create_dir(&run))
            .expect("empty /run");
    }

    /// Lets time pass.
    pub fn pass(&self, seconds: i64) {
        self.now.set(self.now.get() + seconds);
    }

    /// The code that a device shows `seconds` from now.
    pub fn code_in(&self, seconds: i64, device: usize) -> String {
        let device = &self.devices[device];
        let time = u64::try_from(self.now.get() + seconds).expect("a time after 1970");
        let totp = Builder::new()
            .with_digits(device.shape.digits)
            .with_step_duration(device.shape.period)
            .with_secret(Secret::from(device.secret.as_slice()));
        totp.build_noncompliant().generate(time).to_string()
    }

    /// One login as root by whoever talks.
    pub fn login(&self, talk: &mut dyn Talk) -> Verdict {
        let request = Request {
            user: "root".to_owned(),
            service: "test".to_owned(),
            rhost: None,
            tty: None,
            authtok: None,
            options: Default::default(),
        };
        let silent = |_: Level, _: &str| {};
        login(
            &Host {
                root: &self.root(),
                clock: self,
                log: &silent,
            },
            &request,
            talk,
        )
    }

    /// One login of somebody who types these answers, and then nothing more.
    pub fn login_with(&self, answers: &[&str]) -> (Verdict, Vec<String>) {
        let mut script = Script {
            answers,
            told: Vec::new(),
        };
        let verdict = self.login(&mut script);
        (verdict, script.told)
    }
}

fn copy(device: &Device) -> Device {
    Device {
        label: device.label.clone(),
        secret: device.secret.clone(),
        ..*device
    }
}

struct Script<'s> {
    answers: &'s [&'s str],
    told: Vec<String>,
}

impl Talk for Script<'_> {
    fn ask(&mut self, prompt: &str, _echo: bool) -> Result<zeroize::Zeroizing<Vec<u8>>, Silence> {
        self.told.push(prompt.to_owned());
        let (answer, rest) = self.answers.split_first().ok_or(Silence::NoAnswer)?;
        self.answers = rest;
        Ok(answer.as_bytes().to_vec().into())
    }

    fn tell(&mut self, text: &str) {
        self.told.push(text.to_owned());
    }

    fn warn(&mut self, text: &str) {
        self.told.push(text.to_owned());
    }
}
