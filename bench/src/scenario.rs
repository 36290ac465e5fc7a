//! What is compared: the kinds of logins, and the modules in their settings.

use mfa_tests::pam;

use crate::{
    code::{self, STEP},
    login::{Ended, Login},
    place::{self, Place, SCRATCH},
    raw,
};

const DAY: u64 = 86_400;

/// A module in one of its settings: a stack of [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its stack.
    pub service: &'static str,
    /// As the tables call it.
    pub label: &'static str,
}

const fn subject(service: &'static str, label: &'static str) -> Subject {
    Subject { service, label }
}

/// Nothing but libpam.
pub const FLOOR: Subject = subject("floor", "floor (pam_permit)");
/// Ours.
pub const OURS: Subject = subject("mfa", "pam_mfa");
/// With what its tool advises against replay.
pub const GOOGLE: Subject = subject("google", "google-authenticator");
/// Without the search for a clock that is off by hours.
pub const GOOGLE_NOSKEWADJ: Subject =
    subject("google-noskewadj", "google-authenticator, `noskewadj`");
/// Its own guard against guessing.
pub const GOOGLE_LIMITED: Subject = subject(
    "google-limited",
    "google-authenticator, `noskewadj`, `RATE_LIMIT`",
);
/// A code is good as often as one likes.
pub const GOOGLE_FAST: Subject = subject(
    "google-fast",
    "*unsafe:* google-authenticator without `DISALLOW_REUSE`",
);
/// It has no other setting.
pub const OATH: Subject = subject("oath", "pam_oath");

/// A kind of login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// A verification code of a fresh step.
    Right,
    /// No code of the user.
    Wrong,
    /// A backup code that was not used yet.
    Backup,
    /// The code that was just used.
    Replay,
    /// A user whom the module does not know.
    NotEnrolled,
    /// After ten wrong codes: two in a row.
    TwoCodes,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Right,
        Self::Wrong,
        Self::Backup,
        Self::Replay,
        Self::NotEnrolled,
        Self::TwoCodes,
    ];

    /// As the tables call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Right => "right code",
            Self::Wrong => "wrong code",
            Self::Backup => "backup code",
            Self::Replay => "replayed code",
            Self::NotEnrolled => "not enrolled",
            Self::TwoCodes => "two codes in a row",
        }
    }

    /// Who takes part, in the order of a round.
    pub fn subjects(self) -> &'static [Subject] {
        match self {
            Self::Right => &[FLOOR, OURS, GOOGLE, OATH, GOOGLE_FAST],
            Self::Wrong => &[FLOOR, OURS, GOOGLE_NOSKEWADJ, OATH, GOOGLE, GOOGLE_LIMITED],
            Self::Backup => &[FLOOR, OURS, GOOGLE],
            Self::Replay | Self::NotEnrolled => &[FLOOR, OURS, GOOGLE, OATH],
            Self::TwoCodes => &[FLOOR, OURS],
        }
    }

    /// Seconds from one round to the next. A day gives back the guess that a wrong code cost.
    pub fn pace(self) -> u64 {
        match self {
            Self::Wrong => DAY,
            _ => 2 * STEP,
        }
    }

    /// Whether that one is let in.
    fn grants(self, subject: Subject) -> bool {
        subject == FLOOR || matches!(self, Self::Right | Self::Backup | Self::TwoCodes)
    }

    /// The login name.
    pub fn user(self) -> String {
        match self {
            Self::NotEnrolled => place::STRANGER.to_owned(),
            // His guesses stay claimed.
            Self::TwoCodes => place::name(1),
            _ => place::name(0),
        }
    }

    /// What comes before the login, and is not measured; `round` counts the logins of this kind.
    pub fn prepare(self, place: &Place, subject: Subject, now: u64) {
        match self {
            Self::Backup => place.forget_spent(),
            Self::TwoCodes => place.claim_guesses(now / DAY),
            Self::Wrong | Self::Replay if subject != FLOOR => {
                assert!(
                    Self::Right.run(place, subject, now).granted(),
                    "{subject:?}"
                );
            }
            _ => {}
        }
    }

    /// What is typed.
    pub fn answer(self, place: &Place, subject: Subject, now: u64) -> String {
        match self {
            Self::Right | Self::Replay | Self::NotEnrolled => code::at(now),
            Self::Wrong => code::wrong_at(now),
            Self::Backup if subject == OURS => place.backup_codes[0].clone(),
            Self::Backup => SCRATCH[0].to_owned(),
            Self::TwoCodes => format!("{} {}", code::at(now - STEP), code::at(now)),
        }
    }

    /// One login in this process, without what comes before it.
    pub fn run(self, place: &Place, subject: Subject, now: u64) -> Ended {
        self.run_with(place, subject, now, |answer| answer)
    }

    /// The same with another answer, made of the usual one.
    pub fn run_with(
        self,
        place: &Place,
        subject: Subject,
        now: u64,
        change: impl FnOnce(String) -> String,
    ) -> Ended {
        raw::set_clock(now);
        let ended = Login {
            confdir: &place.confdir(),
            service: subject.service,
            user: &self.user(),
            answer: &change(self.answer(place, subject, now)),
        }
        .run();
        self.check(subject, ended);
        ended
    }

    /// A login that ends otherwise than it should measures something else.
    pub fn check(self, subject: Subject, ended: Ended) {
        let expected = self.grants(subject);
        assert_eq!(
            ended.granted(),
            expected,
            "{self:?} {subject:?} {}",
            ended.code
        );
        assert_ne!(ended.code, pam::ABORT);
    }
}
