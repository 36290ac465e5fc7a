//! The machine that somebody logs in to: a store in a directory of its own, and what only the
//! harness knows of it: the secrets and the backup codes.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use mfa_core::backup::{BackupSet, Cost};
use mfa_core::block::{self, OFFSETS, SLOT, State};
use mfa_core::device::{Algorithm, Device, Shape};
use mfa_core::file::{Dir, Privacy};
use mfa_core::init;
use mfa_core::key::Key;
use mfa_core::paths::Root;
use mfa_core::record::Record;
use zeroize::Zeroizing;

use crate::accounts::ALICE as UID;
use crate::policy::{DAY, Laid};
use crate::scenario::{Block, Damage, Pairs, Scenario, Start, Twin, Used};
use crate::stage;

/// When the user was enrolled.
pub const ENROLLED: i64 = 1_790_000_000;
const RECORD: [u8; 16] = [7; 16];
/// What marks the store.
const MARK: &str = "var/lib/pam_mfa/users/.store";
/// The cheapest digest there is.
const CHEAP: Cost = Cost {
    memory: 8,
    iterations: 1,
    parallelism: 1,
};

/// What lasts from one input to the next: the key, and a record for every set of devices.
pub struct Workshop {
    root: PathBuf,
    key: Key,
    backup: BackupSet,
    codes: Vec<String>,
    mark: Vec<u8>,
    records: HashMap<Vec<u8>, String>,
}

impl Workshop {
    /// A new store, in memory if `TMPDIR` is.
    pub fn new() -> Workshop {
        let root = std::env::temp_dir().join(format!("pam_mfa-fuzz-{}", std::process::id()));
        for dir in ["etc", "var/lib", "run"] {
            fs::create_dir_all(root.join(dir)).expect("make a directory");
        }
        let at = Root::new(&root).expect("an absolute path");
        init::init(&at, false).expect("make the store");
        let etc = Dir::open(&at.etc(), Privacy::Readable).expect("open the directory of the key");
        let key = Key::load(&at, &etc).expect("load the key");
        let (backup, codes) = BackupSet::generate(CHEAP, ENROLLED).expect("make backup codes");
        let codes = codes.iter().map(|code| code.shown().to_string());
        Workshop {
            codes: codes.collect(),
            mark: fs::read(root.join(MARK)).expect("read the mark"),
            root,
            key,
            backup,
            records: HashMap::new(),
        }
    }

    /// A machine as the scenario has it. The last one is gone.
    pub fn machine(&mut self, scenario: &Scenario) -> Rc<Machine> {
        let (first, second, third) = scenario.shapes;
        let shapes: Vec<u8> = [Some(first), second, third].into_iter().flatten().collect();
        let shapes: Vec<u8> = shapes.iter().map(|shape| shape % 12).collect();
        stage::set_clock(match scenario.start {
            Start::After(seconds) => ENROLLED + i64::from(seconds),
            Start::At(time) => time,
        });
        let record = self.record(&shapes).clone().into_bytes();
        let machine = Machine {
            root: self.root.clone(),
            shapes: shapes.iter().map(|shape| shape_of(*shape)).collect(),
            codes: self.codes.clone(),
            set: self.backup.id,
            record,
            mark: self.mark.clone(),
            config: Laid::new(&scenario.config),
            // A record that fits the key needs no mark.
            enrolled: matches!(
                scenario.damage,
                None | Some(Damage::NoMark | Damage::OtherMark(_))
            ),
            absent: matches!(scenario.damage, Some(Damage::Missing))
                && matches!(
                    scenario.block,
                    Block::FirstName(_) | Block::Missing | Block::NoDirectory
                ),
            sound: !matches!(
                scenario.damage,
                Some(Damage::NoStore | Damage::NoMark | Damage::OtherMark(_))
            ),
            granted: RefCell::default(),
        };
        machine.lay_out(scenario);
        Rc::new(machine)
    }

    fn record(&mut self, shapes: &[u8]) -> &String {
        let set = &self.backup;
        self.records.entry(shapes.to_vec()).or_insert_with(|| {
            let devices = (1..).zip(shapes).map(|(number, shape)| Device {
                id: [number; 8],
                label: format!("device-{number}"),
                shape: shape_of(*shape),
                verified: true,
                enrolled: ENROLLED,
                secret: Zeroizing::new(secret_of(number).to_vec()),
            });
            let record = Record {
                id: RECORD,
                user: "alice".to_owned(),
                uid: UID,
                devices: devices.collect(),
                backup: BackupSet {
                    tag_key: set.tag_key.clone(),
                    digests: set.digests.clone(),
                    ..*set
                },
            };
            record.encode(&self.key).expect("write a record")
        })
    }
}

impl Default for Workshop {
    fn default() -> Workshop {
        Workshop::new()
    }
}

fn secret_of(device: u8) -> [u8; 20] {
    [device ^ 0x5a; 20]
}

fn shape_of(number: u8) -> Shape {
    Shape {
        algorithm: match number % 3 {
            0 => Algorithm::Sha1,
            1 => Algorithm::Sha256,
            _ => Algorithm::Sha512,
        },
        digits: if (number / 3).is_multiple_of(2) { 6 } else { 8 },
        period: if number / 6 == 0 { 30 } else { 60 },
    }
}

/// What was granted since the machine was laid out, or had been before.
#[derive(Default)]
pub struct Granted {
    /// The newest step of each device.
    pub steps: HashMap<usize, u64>,
    /// The backup codes. None if it is not known: then none is good any more.
    pub backup: Option<BTreeSet<usize>>,
}

/// A machine with one enrolled user.
pub struct Machine {
    root: PathBuf,
    pub shapes: Vec<Shape>,
    pub codes: Vec<String>,
    set: [u8; 16],
    record: Vec<u8>,
    mark: Vec<u8>,
    pub config: Laid,
    /// Whether store and record are as they were written.
    pub enrolled: bool,
    /// Whether there is neither a record of his nor a trace of one.
    pub absent: bool,
    /// Whether it is the store of the key.
    pub sound: bool,
    pub granted: RefCell<Granted>,
}

/// What lies on the disk.
pub struct Seen {
    /// What block and twin know together; none if they do not know everything.
    pub state: Option<State>,
    /// What block and twin know, be it everything or not.
    pub steps: HashMap<usize, u64>,
    names: BTreeSet<String>,
}

impl Machine {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Whether a path lies on it.
    pub fn has(&self, path: &Path) -> bool {
        stage::is_below(path, &self.root)
    }

    /// The code of a device at a step: RFC 4226, section 5.3.
    pub fn code(&self, device: usize, step: u64) -> String {
        let (shape, number) = (self.shapes[device], device as u8 + 1);
        let (secret, step) = (secret_of(number), step.to_be_bytes());
        macro_rules! digest {
            ($hash:ty) => {{
                let mac = Hmac::<$hash>::new_from_slice(&secret).expect("any length");
                mac.chain_update(step).finalize().into_bytes().to_vec()
            }};
        }
        let digest = match shape.algorithm {
            Algorithm::Sha1 => digest!(sha1::Sha1),
            Algorithm::Sha256 => digest!(sha2::Sha256),
            Algorithm::Sha512 => digest!(sha2::Sha512),
        };
        let offset = usize::from(digest[digest.len() - 1] & 15);
        let bytes: [u8; 4] = digest[offset..offset + 4].try_into().expect("four bytes");
        let number = u32::from_be_bytes(bytes) & 0x7fff_ffff;
        let digits = usize::from(shape.digits);
        format!("{:0digits$}", number % 10u32.pow(digits as u32))
    }

    /// The step of a device now, or as many later; none before 1970.
    pub fn step(&self, device: usize, time: i64, later: i64) -> Option<u64> {
        let now = u64::try_from(time).ok()? / self.shapes[device].period;
        now.checked_add_signed(later)
    }

    fn users(&self) -> PathBuf {
        self.root.join("var/lib/pam_mfa/users")
    }

    fn state_dir(&self) -> PathBuf {
        self.root.join(format!("var/lib/pam_mfa/state/{UID}"))
    }

    fn run_dir(&self) -> PathBuf {
        self.root.join(format!("run/pam_mfa/{UID}"))
    }

    fn config_file(&self) -> PathBuf {
        self.root.join("etc/pam_mfa/config.toml")
    }

    fn record_file(&self) -> PathBuf {
        self.users().join(format!("{UID}.toml"))
    }

    fn lay_out(&self, scenario: &Scenario) {
        for dir in ["var/lib/pam_mfa/state", "run/pam_mfa"] {
            let dir = self.root.join(dir);
            let _ = fs::remove_dir_all(&dir);
            make_dir(&dir);
        }
        let _ = fs::remove_file(self.config_file());
        if let Some(text) = &self.config.text {
            write(&self.config_file(), text, 0o644);
            let changed = Duration::from_secs(self.config.changed.unsigned_abs());
            let file = fs::File::options().write(true).open(self.config_file());
            let set = file.and_then(|file| file.set_modified(UNIX_EPOCH + changed));
            set.expect("set the time of the configuration");
        }
        self.lay_out_store(&scenario.damage);
        self.lay_out_record(&scenario.damage);
        if !matches!(scenario.block, Block::NoDirectory) {
            make_dir(&self.state_dir());
            self.lay_out_block(&scenario.block);
            self.lay_out_names(scenario);
        }
        if let Some(twin) = &scenario.twin {
            self.lay_out_twin(twin);
        }
        let seen = self.look();
        let spent = |state: State| {
            (0..self.codes.len())
                .filter(|code| state.is_spent(*code))
                .collect()
        };
        *self.granted.borrow_mut() = Granted {
            steps: seen.steps,
            backup: seen.state.map(spent),
        };
    }

    fn lay_out_store(&self, damage: &Option<Damage>) {
        let mark = self.root.join(MARK);
        make_dir(&self.users());
        write(&mark, &self.mark, 0o600);
        match damage {
            Some(Damage::NoMark) => fs::remove_file(mark).expect("remove the mark"),
            Some(Damage::OtherMark(place)) => {
                let mut other = self.mark.clone();
                let place = usize::from(*place) % other.len();
                other[place] ^= 1;
                write(&mark, &other, 0o600);
            }
            _ => {}
        }
    }

    fn lay_out_record(&self, damage: &Option<Damage>) {
        let _ = fs::remove_file(self.record_file());
        let mut text = self.record.clone();
        if let Some(Damage::Altered(place, change)) = damage {
            let place = usize::from(*place) % text.len();
            text[place] ^= change | 1;
        }
        if matches!(damage, Some(Damage::NoStore)) {
            fs::remove_dir_all(self.users()).expect("remove the store");
            return;
        }
        if !matches!(damage, Some(Damage::Missing)) {
            let open = matches!(damage, Some(Damage::Open));
            write(&self.record_file(), &text, if open { 0o644 } else { 0o600 });
        }
    }

    fn lay_out_block(&self, block: &Block) {
        let (settled, new) = (block_name("block"), block_name("new"));
        let (name, content) = match block {
            Block::Fresh => (settled, block::fresh(&State::new(RECORD, Some(self.set)))),
            Block::Used(used) => (settled, block::fresh(&self.state(used, 1))),
            Block::Torn(used, newer, length) => {
                let mut block = block::fresh(&self.state(used, 1));
                // The whole slot was not written: its checksum is missing.
                let length = usize::from(*length) % (SLOT - 32);
                let start = OFFSETS[1] as usize;
                let slot = self.state(newer, 2).encode();
                block[start..start + length].copy_from_slice(&slot[..length]);
                (settled, block)
            }
            Block::FirstName(used) => (new, block::fresh(&self.state(used, 1))),
            Block::OtherRecord(used) => {
                let record = [8; 16];
                let state = State {
                    record,
                    ..self.state(used, 1)
                };
                (settled, block::fresh(&state))
            }
            Block::Junk(junk) => (settled, junk.iter().copied().take(block::SIZE).collect()),
            Block::Missing | Block::NoDirectory => return,
        };
        write(&self.state_dir().join(name), &content, 0o600);
    }

    fn lay_out_twin(&self, twin: &Twin) {
        let content = match twin {
            Twin::Newer(used) => block::fresh(&self.state(used, 9)),
            Twin::Junk(byte) => vec![*byte; 100],
        };
        make_dir(&self.run_dir());
        write(&self.run_dir().join(block_name("block")), &content, 0o600);
    }

    fn lay_out_names(&self, scenario: &Scenario) {
        let today = stage::now().div_euclid(DAY);
        let claim = |name: String| write(&self.state_dir().join(name), b"", 0o600);
        let days = (0..16).filter(|day| scenario.guesses & (1 << day) != 0);
        days.for_each(|day| claim(format!("guess-{}", today.saturating_add(2 - day))));
        let pairs = |day: i64, pairs: u8| {
            (0..pairs).for_each(|number| claim(format!("pair-{day}-{number}")));
        };
        match scenario.pairs {
            Pairs::All(number) if number.is_multiple_of(8) => {
                (0..10).for_each(|ago| pairs(today.saturating_sub(ago), 10))
            }
            Pairs::Today(number) | Pairs::All(number) => pairs(today, number % 11),
        }
    }

    fn state(&self, used: &Used, sequence: u64) -> State {
        let mut state = State::new(RECORD, Some(self.set));
        state.sequence = sequence;
        state.spent = used.spent & 0x3ff;
        state.names = u32::from(used.names);
        for (device, later) in (0..self.shapes.len()).zip(used.steps) {
            if let Some(step) = self.step(device, stage::now(), i64::from(later / 2))
                && later % 2 != 0
            {
                state.steps.push((id_of(device), step));
            }
        }
        state
    }

    /// What lies on the disk now.
    pub fn look(&self) -> Seen {
        let (state, run) = (self.state_dir(), self.run_dir());
        let main = self.block();
        let twin = fs::read(run.join(block_name("block"))).ok();
        let twin = twin.map(|bytes| Some(block::newest(&bytes, &RECORD)?.0));
        let mut steps = HashMap::new();
        for state in main.iter().chain(twin.iter().flatten()) {
            for (device, step) in &state.steps {
                let newest = steps.entry(usize::from(device[0]) - 1).or_insert(0);
                *newest = (*step).max(*newest);
            }
        }
        let known = match (main, twin) {
            (None, _) | (_, Some(None)) => None,
            (main, None) => main,
            (Some(main), Some(Some(twin))) => Some(main.merge(&twin)),
        };
        Seen {
            state: known,
            steps,
            names: names_in(&state).chain(names_in(&run)).collect(),
        }
    }

    /// The block by itself, without what a restart would forget.
    pub fn block(&self) -> Option<State> {
        let read = |prefix: &str| fs::read(self.state_dir().join(block_name(prefix))).ok();
        let bytes = read("block").or_else(|| read("new"))?;
        Some(block::newest(&bytes, &RECORD)?.0)
    }

    /// How many codes in a row are asked for.
    pub fn needed(&self, seen: &Seen, now: i64) -> usize {
        let today = now.div_euclid(DAY);
        let is_ahead = |(device, step): (&usize, &u64)| {
            self.step(*device, now, 1)
                .is_none_or(|latest| *step > latest)
        };
        if seen.state.is_none()
            || today < ENROLLED.div_euclid(DAY)
            || seen.steps.iter().any(is_ahead)
        {
            return 3;
        }
        let is_recent = |name: &&String| {
            let mut words = name.splitn(2, '-').skip(1);
            let day = words.next().map(|rest| match name.starts_with("pair-") {
                true => rest.rsplit_once('-').map_or("", |(day, _)| day),
                false => rest,
            });
            let day = day.and_then(|day| day.parse::<i64>().ok());
            day.is_some_and(|day| day <= today && day > today.saturating_sub(10))
        };
        if seen.names.iter().filter(|name| !is_recent(name)).count() > 250 {
            return 3;
        }
        let days = || (0..10).map(move |ago| today.saturating_sub(ago));
        let free = |name: &String| !seen.names.contains(name);
        let guesses = days().map(|day| format!("guess-{day}")).filter(free);
        let pairs = days().flat_map(|day| (0..10).map(move |n| format!("pair-{day}-{n}")));
        match (guesses.count(), pairs.filter(free).count()) {
            (guesses, _) if guesses >= self.price() => 1,
            (_, pairs) if pairs >= self.price() => 2,
            _ => 3,
        }
    }

    /// How many digits the codes of his devices have.
    pub fn digits(&self) -> Vec<usize> {
        let digits = self.shapes.iter().map(|shape| usize::from(shape.digits));
        digits.collect()
    }

    fn price(&self) -> usize {
        let short = self.shapes.iter().filter(|shape| shape.digits == 6);
        short.count().max(1)
    }

    /// Whether so many tries failed that no verification code is taken.
    pub fn is_suspended(&self, seen: &Seen) -> bool {
        let failures = seen.state.as_ref().map_or(0, |state| {
            seen.names.len().saturating_sub(state.names as usize) / self.price()
        });
        self.config.suspend_after > 0 && failures >= self.config.suspend_after
    }

    /// Whether a backup code may still be used.
    pub fn takes_backup(&self, seen: &Seen, code: usize) -> bool {
        let state = seen.state.as_ref();
        state.is_some_and(|state| state.set == Some(self.set) && !state.is_spent(code))
    }

    /// Whether the record is as it was laid out.
    pub fn has_its_record(&self) -> bool {
        !self.enrolled || fs::read(self.record_file()).is_ok_and(|text| text == self.record)
    }
}

/// The id of a device: its number, eight times.
pub fn id_of(device: usize) -> [u8; 8] {
    [device as u8 + 1; 8]
}

fn block_name(prefix: &str) -> String {
    format!("{prefix}-{}", "07".repeat(16))
}

fn make_dir(dir: &Path) {
    fs::create_dir_all(dir).expect("make a directory");
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).expect("set its mode");
}

/// Writes a file of this mode.
pub fn write(file: &Path, content: &[u8], mode: u32) {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    let written = options
        .open(file)
        .and_then(|mut file| file.write_all(content));
    written.expect("write a file");
}

fn names_in(dir: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with("guess-") || name.starts_with("pair-"))
}
