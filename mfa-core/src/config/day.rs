//! A day of the calendar, in UTC.

use std::fmt;

use toml::value::Date;

/// A day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    year: u16,
    month: u8,
    day: u8,
}

impl From<Date> for Day {
    fn from(Date { year, month, day }: Date) -> Day {
        Day { year, month, day }
    }
}

impl Day {
    /// Days since 1970-01-01 in the Gregorian calendar.
    pub fn number(self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        // The year begins in March, so that a leap day is its last.
        let year = i64::from(self.year) - i64::from(month <= 2);
        let month = (month + 9) % 12;
        let day_of_year = (153 * month + 2) / 5 + day - 1;
        year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        for (year, month, day, number) in [
            (1970, 1, 1, 0),
            (2000, 2, 29, 11_016),
            (2000, 3, 1, 11_017),
            (2027, 1, 31, 20_849),
            (9999, 12, 31, 2_932_896),
        ] {
            assert_eq!(Day { year, month, day }.number(), number);
        }
    }
}
