//! The record: what is read back is what was written, and one changed byte makes it worthless.

#![no_main]

use std::fs;
use std::path::Path;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use mfa_core::backup::{BackupSet, CODES, Cost, Digest};
use mfa_core::device::{Algorithm, Device, Shape};
use mfa_core::file::{Dir, Privacy};
use mfa_core::key::{self, Key};
use mfa_core::paths::Root;
use mfa_core::record::{DEVICES, Record};
use mfa_fuzz::require;
use zeroize::Zeroizing;

/// The key under which the records in the corpus were made.
const KEY: &str = concat!(
    "pam_mfa-key-1 0123456789abcdef ",
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n",
);

thread_local! {
    static UNDER: Key = load();
}

// The first byte says what the rest is: the text of a record, or what to make one of. The next
// three say what is changed in it.
fuzz_target!(|input: &[u8]| {
    let [kind, high, low, change, rest @ ..] = input else {
        return;
    };
    let place = usize::from(u16::from_be_bytes([*high, *low]));
    UNDER.with(|key| match kind % 2 {
        0 => text(key, rest, place, *change),
        _ => {
            if let Ok(made) = Made::arbitrary(&mut Unstructured::new(rest)) {
                record(key, made, place, *change);
            }
        }
    });
});

fn text(key: &Key, body: &[u8], place: usize, change: u8) {
    let by_itself = decode(body, key);
    if let Some(record) = &by_itself {
        round_trip(key, record, place, change);
    }
    // Whoever has no key cannot get further than that. With one, the rest is put to the test, too.
    let Ok(body) = std::str::from_utf8(body) else {
        return;
    };
    let body = key.verify(body.as_bytes()).unwrap_or(body).to_owned();
    if let Some(record) = decode(key.sign(body).as_bytes(), key) {
        round_trip(key, &record, place, change);
    }
}

fn record(key: &Key, made: Made, place: usize, change: u8) {
    let record = made.into_record();
    let sound = is_sound(&record);
    let text = record.encode(key).expect("write a record");
    let read = decode(text.as_bytes(), key);
    require!(
        read.is_some() == sound,
        "taken: {}, sound: {sound}\n{text}",
        read.is_some()
    );
    if let Some(read) = read {
        require!(same(&read, &record), "another record was read back\n{text}");
        round_trip(key, &record, place, change);
    }
}

fn round_trip(key: &Key, record: &Record, place: usize, change: u8) {
    let text = record.encode(key).expect("write a record");
    let read = decode(text.as_bytes(), key);
    let right = read.as_ref().is_some_and(|read| same(read, record));
    require!(right, "another record was read back\n{text}");
    require!(is_sound(record), "taken, and not sound\n{text}");
    let mut bytes = text.into_bytes();
    let place = place % bytes.len();
    bytes[place] ^= change.max(1);
    require!(
        decode(&bytes, key).is_none(),
        "taken with byte {place} changed"
    );
    bytes.truncate(place);
    require!(
        decode(&bytes, key).is_none(),
        "taken with {place} bytes of it"
    );
}

fn decode(text: &[u8], key: &Key) -> Option<Record> {
    Record::decode(text, key, Path::new("/record")).ok()
}

fn is_sound(record: &Record) -> bool {
    let cost = &record.backup.cost;
    let is_sound = |d: &Device| {
        [6, 8].contains(&d.shape.digits)
            && [30, 60].contains(&d.shape.period)
            && d.secret.len() >= 16
            && record
                .devices
                .iter()
                .filter(|other| other.id == d.id)
                .count()
                == 1
    };
    (1..=DEVICES).contains(&record.devices.len())
        && record.devices.iter().all(is_sound)
        && record.backup.digests.len() == CODES
        && (8..=65_536).contains(&cost.memory)
        && (1..=10).contains(&cost.iterations)
        && (1..=4).contains(&cost.parallelism)
        && cost.memory >= 8 * cost.parallelism
}

fn same(one: &Record, other: &Record) -> bool {
    let device = |d: &Device| {
        let (verified, enrolled) = (d.verified, d.enrolled);
        (
            d.id,
            d.label.clone(),
            d.shape,
            verified,
            enrolled,
            d.secret.clone(),
        )
    };
    let devices = |r: &Record| r.devices.iter().map(device).collect::<Vec<_>>();
    let backup = |s: &BackupSet| {
        (
            s.id,
            s.made,
            s.salt,
            s.cost,
            s.tag_key.clone(),
            s.digests.clone(),
        )
    };
    let rest = |r: &Record| (r.id, r.user.clone(), r.uid, backup(&r.backup));
    devices(one) == devices(other) && rest(one) == rest(other)
}

#[derive(Arbitrary)]
struct Made {
    id: [u8; 16],
    user: String,
    uid: u32,
    devices: Vec<MadeDevice>,
    set: [u8; 16],
    made: i64,
    salt: [u8; 16],
    cost: [u8; 3],
    tag_key: [u8; 32],
    digests: u8,
}

#[derive(Arbitrary)]
struct MadeDevice {
    id: u8,
    label: String,
    algorithm: u8,
    digits: u8,
    period: u8,
    verified: bool,
    enrolled: i64,
    secret: Vec<u8>,
}

impl Made {
    fn into_record(self) -> Record {
        let [memory, iterations, parallelism] = self.cost.map(u32::from);
        let digest = |number: u8| Digest {
            digest: [number; 32],
            tag: [number; 2],
        };
        Record {
            id: self.id,
            user: self.user,
            uid: self.uid,
            devices: self
                .devices
                .into_iter()
                .map(MadeDevice::into_device)
                .collect(),
            backup: BackupSet {
                id: self.set,
                made: self.made,
                salt: self.salt,
                cost: Cost {
                    memory,
                    iterations: iterations % 13,
                    parallelism: parallelism % 6,
                },
                tag_key: Zeroizing::new(self.tag_key).into(),
                digests: (0..8 + self.digests % 4).map(digest).collect(),
            },
        }
    }
}

impl MadeDevice {
    fn into_device(self) -> Device {
        Device {
            id: [self.id; 8],
            label: self.label,
            shape: Shape {
                algorithm: match self.algorithm % 3 {
                    0 => Algorithm::Sha1,
                    1 => Algorithm::Sha256,
                    _ => Algorithm::Sha512,
                },
                digits: 5 + self.digits % 5,
                period: [0, 15, 30, 60, u64::MAX][usize::from(self.period % 5)],
            },
            verified: self.verified,
            enrolled: self.enrolled,
            secret: Zeroizing::new(self.secret),
        }
    }
}

/// A key is only ever read from its file.
fn load() -> Key {
    let dir = std::env::temp_dir().join(format!("pam_mfa-fuzz-key-{}", std::process::id()));
    let root = Root::new(&dir).expect("an absolute path");
    fs::create_dir_all(root.etc()).expect("make a directory");
    mfa_fuzz::machine::write(&root.etc().join(key::FILE), KEY.as_bytes(), 0o600);
    let etc = Dir::open(&root.etc(), Privacy::Readable).expect("open the directory");
    let key = Key::load(&root, &etc).expect("load the key");
    fs::remove_dir_all(dir).expect("remove the directory");
    key
}
