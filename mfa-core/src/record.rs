//! A user's record: what he *is* to us. Admin commands write it; a login only reads it.
//!
//! One TOML file a user, named by uid. Its last line is a MAC over every byte before it; without
//! a right one nothing in the file is used. Secrets in it are sealed for user, uid and device.

use std::path::Path;

use data_encoding::HEXLOWER;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::backup::{BackupSet, CODES, Cost, Digest};
use crate::device::{Algorithm, Device, Shape};
use crate::fault::{Fault, Ours};
use crate::fields::Fields;
use crate::key::{Key, decode_hex};

/// Sixteen random bytes, new with every write: they tie a record to its own state.
pub type RecordId = [u8; 16];

/// The largest record in bytes.
pub const CAP: usize = 64 * 1024;
/// The most devices that a user can have: what the state block has room for.
pub const DEVICES: usize = 8;

const VERSION: u32 = 1;

/// A user's enrollment.
pub struct Record {
    /// Changes with every write.
    pub id: RecordId,
    /// The name under which he was enrolled.
    pub user: String,
    /// His user id.
    pub uid: u32,
    /// His devices, 1 to [`DEVICES`].
    pub devices: Vec<Device>,
    /// His backup codes.
    pub backup: BackupSet,
}

#[derive(Serialize)]
struct File {
    version: u32,
    key: String,
    id: String,
    user: String,
    uid: u32,
    backup: FileBackup,
    #[serde(rename = "device")]
    devices: Vec<FileDevice>,
}

#[derive(Serialize)]
struct FileDevice {
    id: String,
    label: String,
    algorithm: Algorithm,
    digits: u8,
    period: u64,
    verified: bool,
    enrolled: i64,
    secret: String,
}

#[derive(Serialize)]
struct FileBackup {
    set: String,
    made: i64,
    salt: String,
    memory: u32,
    iterations: u32,
    parallelism: u32,
    tag_key: String,
    digests: Vec<String>,
    tags: Vec<String>,
}

/// Enough of a file to tell why it cannot be read.
struct Heading {
    version: u32,
    key: String,
}

impl Record {
    /// The text of the record's file.
    pub fn encode(&self, key: &Key) -> Result<String, Fault> {
        let devices = self
            .devices
            .iter()
            .map(|device| self.encode_device(device, key));
        let file = File {
            version: VERSION,
            key: key.id(),
            id: HEXLOWER.encode(&self.id),
            user: self.user.clone(),
            uid: self.uid,
            backup: self.encode_backup(key)?,
            devices: devices.collect::<Result<_, _>>()?,
        };
        // Every field is a string or a number within TOML's range.
        let body = toml::to_string(&file).map_err(|_| Fault::NoMemory)?;
        Ok(key.sign(body))
    }

    fn encode_device(&self, device: &Device, key: &Key) -> Result<FileDevice, Fault> {
        let owner = owner_of(&self.user, self.uid, &device.id);
        Ok(FileDevice {
            id: HEXLOWER.encode(&device.id),
            label: device.label.clone(),
            algorithm: device.shape.algorithm,
            digits: device.shape.digits,
            period: device.shape.period,
            verified: device.verified,
            enrolled: device.enrolled,
            secret: HEXLOWER.encode(&key.seal(&owner, &device.secret)?),
        })
    }

    fn encode_backup(&self, key: &Key) -> Result<FileBackup, Fault> {
        let set = &self.backup;
        let owner = owner_of(&self.user, self.uid, &set.id);
        Ok(FileBackup {
            set: HEXLOWER.encode(&set.id),
            made: set.made,
            salt: HEXLOWER.encode(&set.salt),
            memory: set.cost.memory,
            iterations: set.cost.iterations,
            parallelism: set.cost.parallelism,
            tag_key: HEXLOWER.encode(&key.seal(&owner, set.tag_key.as_slice())?),
            digests: set
                .digests
                .iter()
                .map(|d| HEXLOWER.encode(&d.digest))
                .collect(),
            tags: set
                .digests
                .iter()
                .map(|d| HEXLOWER.encode(&d.tag))
                .collect(),
        })
    }

    /// Reads the text of a record's file; `path` is for what is said about it.
    ///
    /// # Errors
    /// `OtherKey` if it was made under another key, `Damaged` if anything at all is wrong with it.
    pub fn decode(text: &[u8], key: &Key, path: &Path) -> Result<Record, Fault> {
        let Some(body) = key.verify(text) else {
            return Err(why_unverified(text, key, path));
        };
        let damaged = || match heading_of(body) {
            Some(heading) if heading.version != VERSION => other_version(path),
            _ => Fault::damaged(path, "is not a record that this version can read"),
        };
        let file = Fields::parse(body)
            .and_then(read_file)
            .ok_or_else(damaged)?;
        let record = file.into_record(key).ok_or_else(damaged)?;
        record.is_sound().then_some(record).ok_or_else(damaged)
    }

    /// When an admin command last wrote it, in seconds since 1970: each makes a device or a set of
    /// backup codes.
    pub fn written(&self) -> i64 {
        self.devices
            .iter()
            .map(|device| device.enrolled)
            .fold(self.backup.made, i64::max)
    }

    fn is_sound(&self) -> bool {
        let unique: std::collections::BTreeSet<_> = self.devices.iter().map(|d| d.id).collect();
        unique.len() == self.devices.len()
            && (1..=DEVICES).contains(&self.devices.len())
            && self
                .devices
                .iter()
                .all(|d| d.shape.is_allowed() && d.secret.len() >= 16)
            && self.backup.cost.is_allowed()
            && self.backup.digests.len() == CODES
    }
}

fn read_file(mut file: Fields) -> Option<File> {
    let read = File {
        version: file.number("version")?,
        key: file.text("key")?,
        id: file.text("id")?,
        user: file.text("user")?,
        uid: file.number("uid")?,
        backup: read_backup(file.table("backup")?)?,
        devices: file
            .tables("device")?
            .into_iter()
            .map(read_device)
            .collect::<Option<_>>()?,
    };
    file.is_empty().then_some(read)
}

fn read_device(mut device: Fields) -> Option<FileDevice> {
    let read = FileDevice {
        id: device.text("id")?,
        label: device.text("label")?,
        algorithm: Algorithm::of_name(&device.text("algorithm")?)?,
        digits: device.number("digits")?,
        period: device.number("period")?,
        verified: device.truth("verified")?,
        enrolled: device.number("enrolled")?,
        secret: device.text("secret")?,
    };
    device.is_empty().then_some(read)
}

fn read_backup(mut set: Fields) -> Option<FileBackup> {
    let read = FileBackup {
        set: set.text("set")?,
        made: set.number("made")?,
        salt: set.text("salt")?,
        memory: set.number("memory")?,
        iterations: set.number("iterations")?,
        parallelism: set.number("parallelism")?,
        tag_key: set.text("tag_key")?,
        digests: set.texts("digests")?,
        tags: set.texts("tags")?,
    };
    set.is_empty().then_some(read)
}

impl File {
    fn into_record(self, key: &Key) -> Option<Record> {
        let (user, uid) = (self.user, self.uid);
        let open_device = |device| open_device(device, &user, uid, key);
        let devices = self.devices.into_iter().map(open_device);
        Some(Record {
            id: (self.version == VERSION).then(|| from_hex(&self.id))??,
            devices: devices.collect::<Option<_>>()?,
            backup: open_backup(self.backup, &user, uid, key)?,
            user,
            uid,
        })
    }
}

fn open_device(device: FileDevice, user: &str, uid: u32, key: &Key) -> Option<Device> {
    let id = from_hex(&device.id)?;
    let sealed = HEXLOWER.decode(device.secret.as_bytes()).ok()?;
    Some(Device {
        id,
        label: device.label,
        shape: Shape {
            algorithm: device.algorithm,
            digits: device.digits,
            period: device.period,
        },
        verified: device.verified,
        enrolled: device.enrolled,
        secret: key.open(&owner_of(user, uid, &id), &sealed)?,
    })
}

fn open_backup(set: FileBackup, user: &str, uid: u32, key: &Key) -> Option<BackupSet> {
    let id = from_hex(&set.set)?;
    let sealed = HEXLOWER.decode(set.tag_key.as_bytes()).ok()?;
    let opened = key.open(&owner_of(user, uid, &id), &sealed)?;
    let mut tag_key = Box::new(Zeroizing::new([0; 32]));
    (opened.len() == tag_key.len()).then(|| tag_key.copy_from_slice(&opened))?;
    let digest = |(digest, tag): (&String, &String)| {
        Some(Digest {
            digest: from_hex(digest)?,
            tag: from_hex(tag)?,
        })
    };
    let pairs = set.digests.iter().zip(&set.tags);
    Some(BackupSet {
        id,
        made: set.made,
        salt: from_hex(&set.salt)?,
        cost: Cost {
            memory: set.memory,
            iterations: set.iterations,
            parallelism: set.parallelism,
        },
        tag_key,
        digests: pairs.map(digest).collect::<Option<_>>()?,
    })
}

/// What a sealed secret belongs to: the lengths keep the parts apart.
fn owner_of(user: &str, uid: u32, id: &[u8]) -> Vec<u8> {
    let mut owner = uid.to_be_bytes().to_vec();
    owner.extend((user.len() as u64).to_be_bytes());
    owner.extend(user.as_bytes());
    owner.extend(id);
    owner
}

fn from_hex<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    decode_hex(hex.as_bytes(), &mut bytes).map(|()| bytes)
}

fn heading_of(text: &str) -> Option<Heading> {
    let mut file = Fields::parse(text)?;
    Some(Heading {
        version: file.number("version")?,
        key: file.text("key")?,
    })
}

fn other_version(path: &Path) -> Fault {
    Fault::damaged(
        path,
        "was written by another version of pam_mfa. Install that one",
    )
}

/// Nothing here is believed: it only chooses between words for the log.
fn why_unverified(text: &[u8], key: &Key, path: &Path) -> Fault {
    match std::str::from_utf8(text).ok().and_then(heading_of) {
        Some(heading) if heading.key != key.id() => Fault::OtherKey {
            path: path.to_path_buf(),
            ours: Ours::Record,
        },
        Some(heading) if heading.version != VERSION => other_version(path),
        _ => Fault::damaged(path, "is damaged or was altered (its MAC does not fit)"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::device::tests::device;

    pub(crate) const CHEAP: Cost = Cost {
        memory: 8,
        iterations: 1,
        parallelism: 1,
    };

    pub(crate) fn record() -> (Record, Vec<crate::backup::BackupCode>) {
        let (backup, codes) = BackupSet::generate(CHEAP, 7).unwrap();
        let record = Record {
            id: [1; 16],
            user: "alice".to_owned(),
            uid: 1000,
            devices: vec![device(b"12345678901234567890", Shape::default())],
            backup,
        };
        (record, codes)
    }

    fn decode(text: &str, key: &Key) -> Result<Record, Fault> {
        Record::decode(text.as_bytes(), key, Path::new("1000.toml"))
    }

    #[test]
    fn a_record_survives_its_file() {
        let key = Key::generate().unwrap();
        let (record, codes) = record();
        let again = decode(&record.encode(&key).unwrap(), &key).unwrap();
        assert_eq!(
            (again.id, &*again.user, again.uid),
            ([1; 16], "alice", 1000)
        );
        assert_eq!(again.devices[0].secret, record.devices[0].secret);
        assert_eq!(again.backup.find(&codes[9]).unwrap(), Some(9));
    }

    #[test]
    fn nothing_of_the_secrets_is_in_the_file() {
        let (record, codes) = record();
        let text = record.encode(&Key::generate().unwrap()).unwrap();
        assert!(!text.contains(&HEXLOWER.encode(&record.devices[0].secret)));
        assert!(!text.contains(&HEXLOWER.encode(record.backup.tag_key.as_slice())));
        assert!(codes.iter().all(|code| !text.contains(&**code.shown())));
    }

    #[test]
    fn a_record_of_another_user_or_of_another_key_is_refused() {
        let key = Key::generate().unwrap();
        let (record, _) = record();
        let text = record.encode(&key).unwrap();
        let body = key.verify(text.as_bytes()).unwrap();
        let renamed = key.sign(body.replace("alice", "mallo"));
        assert!(matches!(decode(&renamed, &key), Err(Fault::Damaged { .. })));
        let other = Key::generate().unwrap();
        assert!(matches!(decode(&text, &other), Err(Fault::OtherKey { .. })));
    }

    #[test]
    fn an_unsound_record_is_refused_even_if_signed() {
        let key = Key::generate().unwrap();
        let (record, _) = record();
        let text = record.encode(&key).unwrap();
        let body = key.verify(text.as_bytes()).unwrap();
        let device = &body[body.find("[[device]]").unwrap()..];
        let wrong = [
            body.replace("memory = 8", "memory = 16777216"),
            body.replace("digits = 6", "digits = 10"),
            body.replace("period = 30", "period = 0"),
            body.replace("version = 1", "version = 2"),
            body.replace("uid = 1000", "uid = 1000\nextra = 1"),
            format!("{body}{device}"),
            body.replace(device, ""),
        ];
        for (index, body) in wrong.into_iter().enumerate() {
            let fault = decode(&key.sign(body), &key).err();
            assert!(
                matches!(fault, Some(Fault::Damaged { .. })),
                "{index}: {fault:?}"
            );
        }
    }

    #[test]
    fn a_record_has_every_key_once_with_its_type() {
        let key = Key::generate().unwrap();
        let (record, _) = record();
        let text = record.encode(&key).unwrap();
        let body = key.verify(text.as_bytes()).unwrap();
        let lines: Vec<&str> = body.lines().collect();
        assert!(decode(&key.sign(body.to_owned()), &key).is_ok());
        let keys = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.contains(" = "));
        let mut count = 0;
        for (at, line) in keys {
            count += 1;
            let (name, _) = line.split_once(" = ").unwrap();
            let float = format!("{name} = 1.5");
            let one_more = format!("{line}\nextra = 1");
            for wrong in ["", &float, &one_more] {
                let mut lines = lines.clone();
                lines[at] = wrong;
                let fault = decode(&key.sign(lines.join("\n") + "\n"), &key).err();
                let damaged = matches!(fault, Some(Fault::Damaged { .. }));
                assert!(damaged, "{wrong:?} for {line:?}: {fault:?}");
            }
        }
        // Those of `File`, `FileBackup` and `FileDevice`, but for the two tables.
        assert_eq!(count, 5 + 9 + 8);
    }

    #[test]
    fn every_hash_function_survives_its_file() {
        let key = Key::generate().unwrap();
        for algorithm in [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512] {
            let (mut record, _) = record();
            record.devices[0].shape.algorithm = algorithm;
            let again = decode(&record.encode(&key).unwrap(), &key).unwrap();
            assert_eq!(again.devices[0].shape.algorithm, algorithm);
        }
    }
}
