//! Users who are enrolled in no time: their backup codes cost next to nothing, and they may have
//! several devices, which is more than `mfa-admin` makes.

use data_encoding::BASE32_NOPAD;
use mfa_core::{
    backup::BackupSet,
    block::State,
    device::{Device, SECRET, Shape},
    fault::Fault,
    paths::Root,
    random,
    record::Record,
    store::{Change, Store},
};

use crate::{enrolled::Enrolled, sandbox::Sandbox, virtual_login::CHEAP};

impl Sandbox {
    /// The store in it.
    pub fn store(&self) -> Store {
        let root = Root::new(&self.root()).expect("an absolute path");
        Store::open(&root).expect("open the store")
    }

    /// Writes a new record for a user at `time`, in place of the one that is there; nothing of it
    /// is used. The devices share the backup codes.
    pub fn enroll_cheaply<const DEVICES: usize>(
        &self,
        user: &str,
        uid: u32,
        time: u64,
    ) -> [Enrolled; DEVICES] {
        let time = i64::try_from(time).expect("a time");
        let (backup, codes) = BackupSet::generate(CHEAP, time).expect("make backup codes");
        let secrets: [[u8; SECRET]; DEVICES] =
            [(); DEVICES].map(|()| random::bytes().expect("random bytes"));
        let record = Record {
            id: random::bytes().expect("random bytes"),
            user: user.to_owned(),
            uid,
            devices: secrets.iter().map(|secret| device(secret, time)).collect(),
            backup,
        };
        let state = State::new(record.id, Some(record.backup.id));
        let change = |_, _| Ok::<_, Fault>(Change { record, state });
        let written = self.store().write(uid, change);
        assert!(written.expect("write the record").is_none());
        secrets.map(|secret| {
            let enrolled = Enrolled {
                secret: BASE32_NOPAD.encode(&secret),
                backup_codes: codes.iter().map(|code| code.shown().to_string()).collect(),
            };
            enrolled.confided(self.confidential())
        })
    }
}

fn device(secret: &[u8], time: i64) -> Device {
    Device {
        id: random::bytes().expect("random bytes"),
        label: "phone".to_owned(),
        shape: Shape::default(),
        verified: true,
        enrolled: time,
        secret: secret.to_vec().into(),
    }
}
