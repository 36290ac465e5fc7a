//! The one table from a verdict to a PAM code.

use mfa_core::verdict::{Refusal, Verdict};
use pam::constants::PamResultCode;

/// The code of a verdict.
pub fn of(verdict: &Verdict) -> PamResultCode {
    match verdict {
        Verdict::Granted(_) => PamResultCode::PAM_SUCCESS,
        Verdict::NotAsked(_) => PamResultCode::PAM_IGNORE,
        Verdict::Refused(refusals) => refusals
            .last()
            .map_or(PamResultCode::PAM_SYSTEM_ERR, of_refusal),
    }
}

fn of_refusal(refusal: &Refusal) -> PamResultCode {
    match refusal {
        // One code for everything that a guesser could learn from, as pam_unix does.
        Refusal::NoCode
        | Refusal::Password
        | Refusal::Missed(_)
        | Refusal::MissedRun(_)
        | Refusal::NotEnrolled
        | Refusal::UnknownUser
        | Refusal::RecordChanged
        | Refusal::NoAnswer => PamResultCode::PAM_AUTH_ERR,
        Refusal::NoConversation => PamResultCode::PAM_CONV_ERR,
        Refusal::CalledTooEarly => PamResultCode::PAM_INCOMPLETE,
        // The application should not ask again: nothing but a backup code would help.
        Refusal::Suspended => PamResultCode::PAM_MAXTRIES,
        Refusal::Fault(_) | Refusal::BackupUnrecordable(_) => PamResultCode::PAM_AUTHINFO_UNAVAIL,
        Refusal::Config(_) | Refusal::Arguments(_) => PamResultCode::PAM_SERVICE_ERR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mfa_core::config::BadConfig;
    use mfa_core::fault::Fault;
    use mfa_core::judge::Miss;
    use mfa_core::verdict::{Grant, Method, NotAsked};
    use std::path::PathBuf;

    const AUTH_ERR: i32 = 7;

    /// Every verdict there is. A new one fails to compile in `of_refusal` first.
    fn table() -> Vec<(Verdict, i32)> {
        let misses = [
            Miss::Wrong { clock_off: None },
            Miss::Wrong { clock_off: Some(5) },
            Miss::Replayed,
            Miss::BackupSpent,
            Miss::BackupUnknown,
            Miss::NoTime,
        ];
        let bad_config = BadConfig {
            path: PathBuf::new(),
            problems: Vec::new(),
        };
        let refusals = [
            (Refusal::NoCode, AUTH_ERR),
            (Refusal::Password, AUTH_ERR),
            (Refusal::NotEnrolled, AUTH_ERR),
            (Refusal::UnknownUser, AUTH_ERR),
            (Refusal::RecordChanged, AUTH_ERR),
            (Refusal::NoAnswer, AUTH_ERR),
            (Refusal::NoConversation, 19),
            (Refusal::CalledTooEarly, 31),
            (Refusal::MissedRun(Miss::Replayed), AUTH_ERR),
            (Refusal::BackupUnrecordable(Fault::NoRandom), 9),
            (Refusal::Suspended, 11),
            (Refusal::Fault(Fault::NoRandom), 9),
            (Refusal::Config(bad_config), 3),
            (Refusal::Arguments(String::new()), 3),
        ];
        let misses = misses.map(|miss| (Refusal::Missed(miss), AUTH_ERR));
        let refused = |(refusal, code)| (Verdict::Refused(vec![refusal]), code);
        let method = Method::Backup { left: 1 };
        let granted = Verdict::Granted(Grant {
            method,
            failures: 0,
            only_in_run: None,
            password: None,
        });
        let mut table: Vec<_> = misses.into_iter().chain(refusals).map(refused).collect();
        table.push((granted, 0));
        let not_asked = NotAsked {
            rule: String::new(),
            until: None,
        };
        table.push((Verdict::NotAsked(not_asked), 25));
        table.push((Verdict::Refused(Vec::new()), 4));
        table
    }

    #[test]
    fn each_verdict_has_its_code() {
        for (verdict, code) in table() {
            assert_eq!(of(&verdict) as i32, code, "{verdict:?}");
        }
    }

    #[test]
    fn success_is_for_the_granted_and_ignore_for_the_not_asked_alone() {
        for (verdict, _) in table() {
            let code = of(&verdict);
            let granted = matches!(verdict, Verdict::Granted(_));
            assert_eq!(code == PamResultCode::PAM_SUCCESS, granted, "{verdict:?}");
            let not_asked = matches!(verdict, Verdict::NotAsked(_));
            assert_eq!(code == PamResultCode::PAM_IGNORE, not_asked, "{verdict:?}");
        }
    }
}
