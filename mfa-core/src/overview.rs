//! What there is to say about who is enrolled. Reads; changes nothing.

use std::collections::BTreeSet;

use crate::block::State;
use crate::device::{Device, Shape};
use crate::enrollment::{Error, find};
use crate::fault::Fault;
use crate::record::Record;
use crate::store::Store;
use crate::throttle::{self, Free};

/// An enrolled user, without his secrets.
#[derive(Debug)]
pub struct Overview {
    /// The name under which he was enrolled.
    pub user: String,
    /// His user id.
    pub uid: u32,
    /// His devices.
    pub devices: Vec<DeviceView>,
    /// When his backup codes were made, in seconds since 1970.
    pub backup_made: i64,
    /// How many of them are left; `None` if it is not known, and then none is taken.
    pub backup_left: Option<usize>,
    /// When he was last let in, in seconds since 1970.
    pub granted: Option<i64>,
    /// What is free of guesses: it tells how many codes in a row a login has to bring now.
    pub free: Free,
    /// Why three codes in a row are asked for though nobody guessed, if so.
    pub caution: Option<Fault>,
    /// Whether so many tries failed that only a backup code is taken (`suspend_after`).
    pub suspended: bool,
    /// How many tries failed since the last login, or since the last admin command.
    pub failures: usize,
    /// Whether there is a valid state. Without one nothing is known of his logins.
    pub state_is_known: bool,
}

/// A device, without its secret.
#[derive(Debug)]
pub struct DeviceView {
    /// What the user calls it.
    pub label: String,
    /// The shape of its codes.
    pub shape: Shape,
    /// Whether a right code was typed before it was activated.
    pub verified: bool,
    /// When it was enrolled, in seconds since 1970.
    pub enrolled: i64,
    /// When the newest of its codes that were used began to be shown, in seconds since 1970.
    pub used: Option<i64>,
}

/// One user, by name.
///
/// # Errors
/// `UnknownUser`, `NotEnrolled`; whatever is wrong with the record.
pub fn of(store: &Store, user: &str, suspend_after: usize, now: i64) -> Result<Overview, Error> {
    match store.record(find(store, user)?)? {
        Some(record) => Ok(overview(store, &record, suspend_after, now)?),
        None => Err(Error::NotEnrolled(user.to_owned())),
    }
}

/// A user id, and who it is or what is wrong with the record.
pub type Entry = (u32, Result<Overview, Fault>);

/// Everybody who has a record, or had one that was lost, by user id.
///
/// # Errors
/// If the records cannot even be counted.
pub fn all(store: &Store, suspend_after: usize, now: i64) -> Result<Vec<Entry>, Fault> {
    let read = |uid| match store.record(uid) {
        Ok(Some(record)) => Some((uid, overview(store, &record, suspend_after, now))),
        // Removed since we looked, or never enrolled.
        Ok(None) => None,
        Err(fault) => Some((uid, Err(fault))),
    };
    let mut uids: BTreeSet<u32> = store.uids()?.into_iter().collect();
    uids.extend(store.uids_with_state()?);
    Ok(uids.into_iter().filter_map(read).collect())
}

/// Fails where a login would be refused because of the record.
fn overview(
    store: &Store,
    record: &Record,
    suspend_after: usize,
    now: i64,
) -> Result<Overview, Fault> {
    store.check_owner(record)?;
    let failures = throttle::failures(store, record)?;
    let (free, caution) = throttle::free(store, record, now)?;
    let state = store.state_of(record)?;
    let newest = |device: &Device| state.as_ref()?.newest(&device.id);
    let devices = record.devices.iter();
    let of_this_set = |state: &&State| state.set == Some(record.backup.id);
    Ok(Overview {
        user: record.user.clone(),
        uid: record.uid,
        devices: devices.map(|d| view(d, newest(d))).collect(),
        backup_made: record.backup.made,
        backup_left: state.as_ref().filter(of_this_set).map(|s| s.left()),
        granted: state.as_ref().map(|s| s.granted).filter(|time| *time != 0),
        free,
        caution,
        suspended: suspend_after > 0 && failures >= suspend_after,
        failures,
        state_is_known: state.is_some(),
    })
}

fn view(device: &Device, newest: Option<u64>) -> DeviceView {
    let begin = |step: u64| i64::try_from(step.saturating_mul(device.shape.period)).ok();
    DeviceView {
        label: device.label.clone(),
        shape: device.shape,
        verified: device.verified,
        enrolled: device.enrolled,
        used: newest.and_then(begin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::{BackupSet, CODES};
    use crate::enrollment::Pending;
    use crate::paths::Root;
    use crate::record::tests::CHEAP;
    use crate::store::Removed;
    use std::fs;

    const NOW: i64 = 1_800_000_000;

    fn enrolled() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("etc")).unwrap();
        fs::create_dir_all(dir.path().join("var/lib")).unwrap();
        let root = Root::new(dir.path()).unwrap();
        crate::init::init(&root, false).unwrap();
        let store = Store::open(&root).unwrap();
        let pending = Pending::new(&store, "root", "phone", Shape::default(), false, NOW).unwrap();
        let (set, _) = BackupSet::generate(CHEAP, NOW).unwrap();
        pending.activate(&store, set).unwrap();
        (dir, store)
    }

    #[test]
    fn a_fresh_enrollment_is_unverified_and_unused() {
        let (_dir, store) = enrolled();
        let seen = of(&store, "root", 0, NOW).unwrap();
        assert_eq!((&*seen.user, seen.uid), ("root", 0));
        assert_eq!((seen.backup_left, seen.backup_made), (Some(CODES), NOW));
        assert_eq!((seen.granted, seen.state_is_known), (None, true));
        let device = &seen.devices[0];
        assert_eq!((&*device.label, device.enrolled), ("phone", NOW));
        assert_eq!((device.verified, device.used), (false, None));
        assert!(matches!(store.remove(0).unwrap(), Removed::All));
        assert!(matches!(
            of(&store, "root", 0, NOW),
            Err(Error::NotEnrolled(_))
        ));
        assert!(all(&store, 0, NOW).unwrap().is_empty());
    }

    #[test]
    fn without_a_state_nothing_is_known_of_the_logins() {
        let (dir, store) = enrolled();
        let state = dir.path().join("var/lib/pam_mfa/state/0");
        for block in fs::read_dir(&state).unwrap() {
            fs::write(block.unwrap().path(), "junk").unwrap();
        }
        let seen = of(&store, "root", 0, NOW).unwrap();
        assert_eq!((seen.backup_left, seen.state_is_known), (None, false));
    }

    #[test]
    fn a_record_that_cannot_be_read_hides_no_other() {
        let (dir, store) = enrolled();
        let users = dir.path().join("var/lib/pam_mfa/users");
        fs::copy(users.join("0.toml"), users.join("7.toml")).unwrap();
        let seen = all(&store, 0, NOW).unwrap();
        assert!(matches!(seen[0], (0, Ok(_))), "{seen:?}");
        assert!(
            matches!(seen[1], (7, Err(Fault::Damaged { .. }))),
            "{seen:?}"
        );
    }

    #[test]
    fn a_lost_record_is_in_the_list() {
        let (dir, store) = enrolled();
        fs::remove_file(dir.path().join("var/lib/pam_mfa/users/0.toml")).unwrap();
        let seen = all(&store, 0, NOW).unwrap();
        assert!(
            matches!(seen[..], [(0, Err(Fault::LostRecord { .. }))]),
            "{seen:?}"
        );
    }
}
