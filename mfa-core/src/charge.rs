//! What a guess costs: empty files whose names can be claimed once.
//!
//! A name is claimed by creating it exclusively, so that any number of guessers at once get as
//! many guesses as one, without a lock. Days are counted from 1970 in UTC and may be negative.

use std::collections::BTreeSet;

/// For how many days, today included, free guesses are saved up.
pub const DAYS: i64 = 10;
/// How many pairs of codes are free a day.
pub const PAIRS: u32 = 10;
/// More names than this of other days, and nothing is free. It bounds the directory, and what can be guessed
/// under a clock that is wrong again and again, each time by something else.
pub const MOST: usize = 250;

const SECONDS_A_DAY: i64 = 86_400;

/// The day at `time`, in seconds since 1970.
pub fn day_of(time: i64) -> i64 {
    time.div_euclid(SECONDS_A_DAY)
}

/// What a charge is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One code: one a day.
    Guess,
    /// Two codes in a row: ten a day.
    Pair,
}

/// The names that were claimed, in `/var` or in `/run`.
#[derive(Debug, Default)]
pub struct Claimed(BTreeSet<String>);

impl Claimed {
    /// Takes the names of charges out of those of a directory.
    pub fn new(names: impl IntoIterator<Item = String>) -> Claimed {
        Claimed(names.into_iter().filter(|name| is_charge(name)).collect())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many there are without these.
    pub fn count_but(&self, names: &[String]) -> usize {
        self.0.iter().filter(|name| !names.contains(name)).count()
    }

    /// How many there are, as a state keeps it.
    pub fn count_u32(&self) -> u32 {
        u32::try_from(self.count()).unwrap_or(u32::MAX)
    }

    /// Whether there are too many of other days than the last ten.
    pub fn is_crowded(&self, today: i64) -> bool {
        let of_others = |name: &&String| !day_in(name).is_some_and(|day| is_recent(day, today));
        self.0.iter().filter(of_others).count() > MOST
    }

    /// What is still free of the last ten days, the oldest first.
    pub fn free(&self, kind: Kind, today: i64) -> Vec<String> {
        if self.is_crowded(today) {
            return Vec::new();
        }
        let days = (0..DAYS).rev().filter_map(|ago| today.checked_sub(ago));
        let names = days.flat_map(|day| names_of(kind, day));
        names.filter(|name| !self.0.contains(name)).collect()
    }

    /// Names that never count again, if this is known to be today: those of days long gone. Those of days to come
    /// will: else a clock that is ahead at every start would set the same ones free each time.
    pub fn outdated(&self, today: i64) -> Vec<String> {
        // The clock may still be set back by some seconds, to yesterday.
        let counts = |day| day > today.saturating_sub(DAYS + 1);
        let is_outdated = |name: &&String| !day_in(name).is_some_and(counts);
        self.0.iter().filter(is_outdated).cloned().collect()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        self.0.iter()
    }
}

fn is_recent(day: i64, today: i64) -> bool {
    day <= today && day > today.saturating_sub(DAYS)
}

fn names_of(kind: Kind, day: i64) -> Vec<String> {
    match kind {
        Kind::Guess => vec![format!("guess-{day}")],
        Kind::Pair => (0..PAIRS)
            .map(|number| format!("pair-{day}-{number}"))
            .collect(),
    }
}

fn is_charge(name: &str) -> bool {
    name.starts_with("guess-") || name.starts_with("pair-")
}

/// The day in the name of a charge.
pub fn day_in(name: &str) -> Option<i64> {
    let day = match name.strip_prefix("guess-") {
        Some(day) => day,
        None => name.strip_prefix("pair-")?.rsplit_once('-')?.0,
    };
    day.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(names: &[&str]) -> Claimed {
        Claimed::new(names.iter().map(|name| (*name).to_owned()))
    }

    #[test]
    fn days_are_signed() {
        assert_eq!(
            [0, 86_399, 86_400, -1, -86_401].map(day_of),
            [0, 0, 1, -1, -2]
        );
    }

    #[test]
    fn the_oldest_of_ten_days_is_first() {
        let free = claimed(&["guess-3", "block-x"]).free(Kind::Guess, 5);
        assert_eq!(free.len(), 9);
        assert_eq!((&*free[0], &*free[8]), ("guess--4", "guess-5"));
        let free = claimed(&["pair-20-0"]).free(Kind::Pair, 20);
        assert_eq!(free.len(), 99);
        assert_eq!((&*free[0], &*free[98]), ("pair-11-0", "pair-20-9"));
    }

    #[test]
    fn a_crowded_directory_has_nothing_free() {
        let of_days = |days: usize| Claimed::new((0..days).map(|day| format!("guess-{day}")));
        assert_eq!(of_days(MOST).free(Kind::Guess, 1_000_000).len(), 10);
        assert!(of_days(MOST + 1).free(Kind::Guess, 1_000_000).is_empty());
        assert!(of_days(MOST + 1).free(Kind::Pair, -20).is_empty());
        // Those of the last ten days are counted one by one.
        assert_eq!(of_days(MOST + 10).free(Kind::Pair, 259).len(), 100);
    }

    #[test]
    fn what_is_outdated() {
        let names = claimed(&[
            "guess-9",
            "guess-10",
            "guess-11",
            "guess-21",
            "pair-9-9",
            "pair--3-0",
            "pair-junk",
            "guess-",
        ]);
        let kept = ["guess-10", "guess-11", "guess-21"];
        let outdated = names.outdated(20);
        assert!(
            names
                .all()
                .filter(|name| !outdated.contains(name))
                .eq(&kept)
        );
    }
}
