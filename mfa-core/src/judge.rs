//! Judging: which code was presented, and whether it may still be used. Pure; no I/O.

use crate::answer::{Answer, Code};
use crate::block::State;
use crate::device::{Device, Step};
use crate::fault::Fault;
use crate::record::Record;
use crate::traces::without_traces;

/// An answer, weighed against the record as far as the record alone tells.
pub enum Presented {
    /// One to three verification codes, which must be in a row.
    Codes(Vec<Code>),
    /// A backup code: which one of the set, if any.
    Backup(Option<usize>),
}

impl Presented {
    /// Does the costly part of judging a backup code once: an Argon2 digest, if its tag is known.
    ///
    /// # Errors
    /// `NoMemory` if there is none for the digest.
    pub fn new(record: &Record, answer: Answer) -> Result<Presented, Fault> {
        Ok(match answer {
            Answer::Codes(codes) => Presented::Codes(codes),
            Answer::Backup(code) => {
                Presented::Backup(without_traces(|| record.backup.find(&code))?)
            }
        })
    }

    /// How many verification codes it has.
    pub fn run(&self) -> usize {
        match self {
            Presented::Codes(codes) => codes.len(),
            Presented::Backup(_) => 0,
        }
    }
}

/// The code that was recognised, and may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// A verification code.
    Totp {
        /// The place of the device in the record.
        device: usize,
        /// The step of the (last) code.
        step: Step,
    },
    /// A backup code.
    Backup {
        /// Its place in the set.
        code: usize,
    },
}

/// Why no code may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Miss {
    /// No code of this user at this time.
    Wrong {
        /// By how many minutes the clock of device or machine seems to be off; positive if the
        /// device is ahead. For the log alone.
        clock_off: Option<i64>,
    },
    /// A right code that was used already, or one older than the last that was used.
    Replayed,
    /// A backup code that was used already.
    BackupSpent,
    /// Which backup codes were used is not known any more, so none is taken.
    BackupUnknown,
    /// The clock says a time before 1970.
    NoTime,
}

impl Miss {
    /// The word for the log.
    pub fn word(&self) -> &'static str {
        match self {
            Miss::Wrong { .. } => "wrong-code",
            Miss::Replayed => "replayed-code",
            Miss::BackupSpent => "spent-backup-code",
            Miss::BackupUnknown => "backup-codes-unusable",
            Miss::NoTime => "clock-before-1970",
        }
    }
}

/// How far a clock is searched to explain a wrong code, in minutes.
const CLOCK_SEARCH: i64 = 60;

/// Which code was presented at `now` (seconds since 1970), and whether it may be used.
///
/// A run of codes must be of one device and of consecutive steps, the last of them inside the
/// window, each newer than the newest spent one.
pub fn judge(
    record: &Record,
    state: &State,
    presented: &Presented,
    now: i64,
) -> Result<Match, Miss> {
    match presented {
        Presented::Backup(None) => Err(Miss::Wrong { clock_off: None }),
        Presented::Backup(Some(code)) => judge_backup(record, state, *code),
        Presented::Codes(codes) => without_traces(|| judge_codes(record, state, codes, now)),
    }
}

fn judge_backup(record: &Record, state: &State, code: usize) -> Result<Match, Miss> {
    if state.set != Some(record.backup.id) {
        return Err(Miss::BackupUnknown);
    }
    match state.is_spent(code) {
        true => Err(Miss::BackupSpent),
        false => Ok(Match::Backup { code }),
    }
}

fn judge_codes(record: &Record, state: &State, codes: &[Code], now: i64) -> Result<Match, Miss> {
    let mut miss = Miss::Wrong { clock_off: None };
    for (index, device) in record.devices.iter().enumerate() {
        let window = device.window(now).ok_or(Miss::NoTime)?;
        for step in window.filter(|step| is_run(device, codes, *step)) {
            match is_fresh(device, state, codes.len(), step) {
                true => {
                    return Ok(Match::Totp {
                        device: index,
                        step,
                    });
                }
                false => miss = Miss::Replayed,
            }
        }
    }
    if let (Miss::Wrong { clock_off }, Some(code)) = (&mut miss, codes.last()) {
        // Of every device: how long it takes must not tell whose code it was.
        let devices = record.devices.iter();
        let offs = devices.filter_map(|device| clock_off_by(device, code, now));
        *clock_off = offs.min_by_key(|minutes| minutes.abs());
    }
    Err(miss)
}

/// Whether the codes are those of consecutive steps of which `last` is the last.
fn is_run(device: &Device, codes: &[Code], last: Step) -> bool {
    let steps = (0..=last).rev();
    let pairs = codes.iter().rev().zip(steps);
    // All of them, however many fit.
    let right = pairs.filter(|(code, step)| device.steps_of(code, *step..=*step).next().is_some());
    right.count() == codes.len() && !codes.is_empty() && codes.len() as u64 <= last
}

fn is_fresh(device: &Device, state: &State, codes: usize, last: Step) -> bool {
    let first = last.saturating_sub(codes as u64 - 1);
    state.newest(&device.id).is_none_or(|newest| first > newest)
}

/// By how many minutes the clock of device or machine is off if `code` is one of its codes;
/// positive if the device is ahead. Never used to accept anything.
pub fn clock_off_by(device: &Device, code: &str, now: i64) -> Option<i64> {
    let start = device.step_at(now.saturating_sub(CLOCK_SEARCH * 60).max(0))?;
    let end = device.step_at(now.saturating_add(CLOCK_SEARCH * 60))?;
    let distance = |step: &Step| step.abs_diff(device.step_at(now).unwrap_or(*step));
    let nearest = device.steps_of(code, start..=end).min_by_key(distance)?;
    let middle = device
        .end_of(nearest)
        .saturating_sub(device.shape.period as i64 / 2);
    let seconds = middle.saturating_sub(now);
    Some((seconds + 30 * seconds.signum()) / 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::tests::device;
    use crate::device::{Algorithm, Shape};
    use crate::record::tests::record;
    use zeroize::Zeroizing;

    /// RFC 4226's codes for the steps 0 to 9.
    const CODES: [&str; 10] = [
        "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
        "520489",
    ];

    fn presented(codes: &[&str]) -> Presented {
        Presented::Codes(
            codes
                .iter()
                .map(|code| Zeroizing::new((*code).to_owned()))
                .collect(),
        )
    }

    fn fresh() -> State {
        State::new([1; 16], None)
    }

    fn judged(state: &State, codes: &[&str], step: i64) -> Result<Match, Miss> {
        judge(&record().0, state, &presented(codes), step * 30 + 29)
    }

    #[test]
    fn the_window_is_one_step_either_side() {
        for step in 4..=6 {
            assert_eq!(
                judged(&fresh(), &[CODES[5]], step),
                Ok(Match::Totp { device: 0, step: 5 })
            );
        }
        assert!(matches!(
            judged(&fresh(), &[CODES[5]], 3),
            Err(Miss::Wrong { .. })
        ));
        assert!(matches!(
            judged(&fresh(), &[CODES[5]], 7),
            Err(Miss::Wrong { .. })
        ));
    }

    #[test]
    fn only_a_newer_step_is_good() {
        let mut state = fresh();
        state.spend_step(*b"device-1", 5);
        assert_eq!(judged(&state, &[CODES[5]], 5), Err(Miss::Replayed));
        assert_eq!(judged(&state, &[CODES[4]], 5), Err(Miss::Replayed));
        assert_eq!(
            judged(&state, &[CODES[6]], 5),
            Ok(Match::Totp { device: 0, step: 6 })
        );
    }

    #[test]
    fn a_clock_that_is_off_is_explained_and_never_believed() {
        let off = |codes, step| match judged(&fresh(), codes, step) {
            Err(Miss::Wrong { clock_off }) => clock_off,
            other => panic!("{other:?}"),
        };
        assert_eq!(off(&[CODES[9]], 3), Some(3));
        assert_eq!(off(&[CODES[1]], 9), Some(-4));
        assert_eq!(off(&["000000"], 3), None);
        assert_eq!(off(&[CODES[8], CODES[9]], 3), Some(3));
    }

    #[test]
    fn a_run_is_consecutive_and_ends_inside_the_window() {
        let run = |codes: &[usize]| codes.iter().map(|i| CODES[*i]).collect::<Vec<_>>();
        let good = Ok(Match::Totp { device: 0, step: 5 });
        assert_eq!(judged(&fresh(), &run(&[4, 5]), 5), good);
        assert_eq!(judged(&fresh(), &run(&[3, 4, 5]), 6), good);
        for wrong in [
            &[5, 4][..],
            &[5, 5],
            &[3, 5],
            &[2, 3],
            &[5, 6, 8],
            &[1, 2, 3],
        ] {
            assert!(judged(&fresh(), &run(wrong), 5).is_err(), "{wrong:?}");
        }
        assert!(judge(&record().0, &fresh(), &presented(&[]), 100).is_err());
    }

    #[test]
    fn every_code_of_a_run_is_newer_than_the_newest_spent() {
        let mut state = fresh();
        state.spend_step(*b"device-1", 4);
        assert_eq!(
            judged(&state, &[CODES[4], CODES[5]], 5),
            Err(Miss::Replayed)
        );
        assert_eq!(
            judged(&state, &[CODES[5], CODES[6]], 5),
            Ok(Match::Totp { device: 0, step: 6 })
        );
    }

    #[test]
    fn a_run_is_of_one_device() {
        let (mut record, _) = record();
        let other = Shape {
            algorithm: Algorithm::Sha256,
            ..Shape::default()
        };
        record.devices.push(Device {
            id: *b"device-2",
            ..device(b"98765432109876543210", other)
        });
        let [first, second] = [0, 1].map(|at: usize| {
            let device = &record.devices[at];
            (0..1_000_000)
                .map(|n| format!("{n:06}"))
                .find(|c| device.steps_of(c, 5..=5).next().is_some())
                .unwrap()
        });
        assert_eq!(
            judge(&record, &fresh(), &presented(&[&second]), 150),
            Ok(Match::Totp { device: 1, step: 5 })
        );
        assert_eq!(first, CODES[5]);
        assert!(judge(&record, &fresh(), &presented(&[CODES[4], &second]), 150).is_err());
    }

    #[test]
    fn there_are_no_codes_before_1970() {
        assert_eq!(
            judge(&record().0, &fresh(), &presented(&[CODES[0]]), -1),
            Err(Miss::NoTime)
        );
        assert!(judge(&record().0, &fresh(), &presented(&[CODES[0]]), i64::MAX).is_err());
        assert!(
            judge(
                &record().0,
                &fresh(),
                &presented(&[CODES[0], CODES[1], CODES[2]]),
                0
            )
            .is_err()
        );
    }

    #[test]
    fn a_backup_code_is_good_once_and_only_while_its_set_is_known() {
        let (record, codes) = record();
        let presented = |index: usize| {
            Presented::new(&record, Answer::parse(&codes[index].shown(), &[6]).unwrap()).unwrap()
        };
        let mut state = State::new([1; 16], Some(record.backup.id));
        let good = Ok(Match::Backup { code: 3 });
        assert_eq!(judge(&record, &state, &presented(3), -1), good);
        state.spend_code(3);
        assert_eq!(
            judge(&record, &state, &presented(3), 0),
            Err(Miss::BackupSpent)
        );
        assert_eq!(
            judge(&record, &fresh(), &presented(4), 0),
            Err(Miss::BackupUnknown)
        );
        let other = Presented::Backup(None);
        assert_eq!(
            judge(&record, &state, &other, 0),
            Err(Miss::Wrong { clock_off: None })
        );
    }
}
