//! The time, for the core, for people and for programs.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Seconds since 1970; negative before it.
pub fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |s| -s),
    }
}

/// As the clock on the wall shows it: `2026-11-22 14:03`.
pub fn local(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(time) => {
            let zoned = time.to_zoned(TimeZone::system());
            zoned.strftime("%Y-%m-%d %H:%M").to_string()
        }
        Err(_) => "not a time".to_owned(),
    }
}

/// RFC 3339, in UTC: `2026-11-22T14:03:00Z`. None for what is beyond the calendar.
pub fn rfc3339(seconds: i64) -> Option<String> {
    let time = Timestamp::from_second(seconds).ok()?;
    Some(time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_for_programs() {
        let of = |seconds| rfc3339(seconds);
        assert_eq!(of(1_795_356_180).as_deref(), Some("2026-11-22T14:03:00Z"));
        assert_eq!(of(-1).as_deref(), Some("1969-12-31T23:59:59Z"));
        assert_eq!(of(i64::MAX), None);
    }

    #[test]
    fn times_for_people_have_minutes_and_never_fail() {
        assert_eq!(local(1_795_356_180).len(), "2026-11-22 14:03".len());
        assert_eq!(local(i64::MIN), "not a time");
    }
}
