//! Enrolling, regenerating, disabling: what `mfa-admin` decides.

use std::fmt;

use zeroize::Zeroizing;

use crate::answer::Answer;
use crate::backup::BackupSet;
use crate::block::State;
use crate::device::{Device, SECRET, Shape, Step, WINDOW};
use crate::fault::Fault;
use crate::judge::clock_off_by;
use crate::random;
use crate::record::Record;
use crate::store::{Change, Store};
use crate::user;
use crate::user::shown;

/// The longest label of a device in characters.
pub const LABEL: usize = 32;

/// Why an admin command did nothing.
#[derive(Debug)]
pub enum Error {
    /// There is no such user.
    UnknownUser(String),
    /// He is enrolled already.
    Enrolled(String),
    /// He is not enrolled.
    NotEnrolled(String),
    /// A label that could not be told apart in a log.
    Label,
    /// Something is wrong with the store or the machine.
    Fault(Fault),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        Error::Fault(fault)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::UnknownUser(user) => write!(
                f,
                "there is no user {}. Check the spelling, or create the user first",
                shown(user)
            ),
            Error::Enrolled(user) => write!(
                f,
                "{user} is already enrolled. New backup codes: mfa-admin regenerate {user}. A new \
                 secret: mfa-admin enroll --replace {user}. No second factor any more: mfa-admin \
                 disable {user}",
                user = shown(user)
            ),
            Error::NotEnrolled(user) => {
                write!(
                    f,
                    "{user} is not enrolled. Enroll with: mfa-admin enroll {user}",
                    user = shown(user)
                )
            }
            Error::Label => write!(
                f,
                "the name of a device has 1 to {LABEL} letters, digits, dots, dashes or underscores"
            ),
            Error::Fault(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

/// An enrollment that is not active yet. Dropping it changes nothing.
pub struct Pending {
    user: String,
    uid: u32,
    device: Device,
    replace: bool,
    spent: Option<Step>,
}

/// What came of a code that was typed to verify an enrollment.
#[derive(Debug, PartialEq, Eq)]
pub enum Check {
    /// The code is right; it is spent as soon as the enrollment is active.
    Right,
    /// It is wrong.
    Wrong,
    /// It belongs to another time: the device's clock is off by so many minutes (positive: ahead).
    ClockOff(i64),
}

impl Pending {
    /// A new secret for a user. Nothing is written.
    ///
    /// # Errors
    /// `Enrolled` unless `replace` is set; a record that is damaged, or without `replace` somebody else's.
    pub fn new(
        store: &Store,
        user: &str,
        label: &str,
        shape: Shape,
        replace: bool,
        now: i64,
    ) -> Result<Pending, Error> {
        let uid = known(user)?;
        if !is_label(label) {
            return Err(Error::Label);
        }
        // Read even if it is to be replaced: one that is damaged must fail before a secret is shown.
        if let Some(record) = store.present(uid)?
            && !replace
        {
            store.check_owner(&record)?;
            return Err(Error::Enrolled(user.to_owned()));
        }
        let mut secret = Zeroizing::new(vec![0; SECRET]);
        random::fill(&mut secret)?;
        let device = Device {
            id: random::bytes()?,
            label: label.to_owned(),
            shape,
            verified: false,
            enrolled: now,
            secret,
        };
        Ok(Pending {
            user: user.to_owned(),
            uid,
            device,
            replace,
            spent: None,
        })
    }

    /// The user id that it is for.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The device, to show its secret.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Checks a code that the device shows. Takes what a login takes.
    pub fn verify(&mut self, typed: &str, now: i64) -> Check {
        let code = match Answer::parse(typed, &[self.device.shape.digits]) {
            Some(Answer::Codes(codes)) if codes.len() == 1 => codes.into_iter().next(),
            _ => None,
        };
        let (Some(code), Some(window)) = (code, self.device.window(now)) else {
            return Check::Wrong;
        };
        match self.device.steps_of(&code, window).last() {
            Some(step) => {
                self.spent = Some(step);
                self.device.verified = true;
                Check::Right
            }
            None => clock_off_by(&self.device, &code, now).map_or(Check::Wrong, Check::ClockOff),
        }
    }

    /// Makes the enrollment active with these backup codes. What was before stops working.
    ///
    /// # Errors
    /// `Enrolled` if somebody else enrolled the user meanwhile and it is not to be replaced.
    ///
    /// What it returns is a warning: the enrollment is active, but something after that went wrong.
    pub fn activate(self, store: &Store, backup: BackupSet) -> Result<Option<Fault>, Error> {
        store.write(self.uid, |present, _| {
            if present.is_some() && !self.replace {
                return Err(Error::Enrolled(self.user.clone()));
            }
            let record = Record {
                id: random::bytes()?,
                user: self.user,
                uid: self.uid,
                devices: vec![self.device],
                backup,
            };
            let mut state = State::new(record.id, Some(record.backup.id));
            for (device, step) in record.devices.iter().zip(self.spent) {
                state.spend_step(device.id, step);
            }
            Ok(Change { record, state })
        })
    }
}

fn is_label(label: &str) -> bool {
    let known = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=LABEL).contains(&label.chars().count()) && label.chars().all(known)
}

/// The uid of a user of this system.
pub fn known(user: &str) -> Result<u32, Error> {
    user::uid_of(user)?.ok_or_else(|| Error::UnknownUser(user.to_owned()))
}

/// The uid that a command is about: that of the user, or, if the user is gone from the system,
/// that of the record that still bears his name.
pub fn find(store: &Store, user: &str) -> Result<u32, Error> {
    if let Some(uid) = user::uid_of(user)? {
        return Ok(uid);
    }
    for uid in store.uids()? {
        if matches!(store.record(uid), Ok(Some(record)) if record.user == user) {
            return Ok(uid);
        }
    }
    Err(Error::UnknownUser(user.to_owned()))
}

/// Gives the user new backup codes; the old ones are dead when it returns. The secret stays.
///
/// If it is not known which verification codes were used, those of the present window count as
/// used. What it returns is a warning: the new codes are good, but something after that went wrong.
pub fn regenerate(
    store: &Store,
    user: &str,
    backup: BackupSet,
    now: i64,
) -> Result<Option<Fault>, Error> {
    let uid = find(store, user)?;
    // A lost record is something else than none.
    store.record(uid)?;
    store.write(uid, |present, state| {
        let mut record = present.ok_or_else(|| Error::NotEnrolled(user.to_owned()))?;
        store.check_owner(&record)?;
        let known = state.unwrap_or_else(|| all_spent(&record, now));
        record.id = random::bytes()?;
        record.backup = backup;
        let state = State {
            granted: known.granted,
            steps: known.steps,
            ..State::new(record.id, Some(record.backup.id))
        };
        Ok(Change { record, state })
    })
}

fn all_spent(record: &Record, now: i64) -> State {
    let mut state = State::new(record.id, None);
    for device in &record.devices {
        let step = device.step_at(now).unwrap_or(0).saturating_add(WINDOW);
        state.spend_step(device.id, step);
    }
    state
}

/// Frees all tries that were charged to the user, and counts failures anew.
///
/// # Errors
/// `NotEnrolled` if there is no record.
pub fn unlock(store: &Store, user: &str) -> Result<(), Error> {
    let record = store.record(find(store, user)?)?;
    let record = record.ok_or_else(|| Error::NotEnrolled(user.to_owned()))?;
    store.check_owner(&record)?;
    Ok(store.unlock(&record)?)
}
