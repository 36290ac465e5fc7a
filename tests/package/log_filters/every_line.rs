//! Every line that the module can write, whether a login leads to it here or not.

use mfa_core::{
    config::BadConfig,
    fault::Fault,
    judge::Miss,
    verdict::{Grant, Method, Refusal, Verdict},
};

use super::{
    CONFIG, GUESSER, VICTIM, module_line,
    scene::{Foreseen, Scene},
};

/// What a refusal says about whoever gave the answer.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Guess,
    /// A guess behind it counts.
    GoesAlong,
    /// Nothing counts beside it.
    Innocent,
}

fn kind(refusal: &Refusal) -> Kind {
    match refusal {
        Refusal::Missed(miss) | Refusal::MissedRun(miss) => match miss {
            Miss::Wrong { clock_off: None } => Kind::Guess,
            Miss::Replayed | Miss::BackupSpent => Kind::GoesAlong,
            Miss::Wrong { clock_off: Some(_) } | Miss::BackupUnknown | Miss::NoTime => {
                Kind::Innocent
            }
        },
        Refusal::NoCode | Refusal::UnknownUser => Kind::Guess,
        Refusal::Password => Kind::GoesAlong,
        Refusal::NotEnrolled
        | Refusal::Suspended
        | Refusal::RecordChanged
        | Refusal::NoAnswer
        | Refusal::NoConversation
        | Refusal::CalledTooEarly
        | Refusal::BackupUnrecordable(_)
        | Refusal::Fault(_)
        | Refusal::Config(_)
        | Refusal::Arguments(_) => Kind::Innocent,
    }
}

/// One of each.
fn refusals() -> Vec<Refusal> {
    let bad_config = BadConfig {
        path: CONFIG.into(),
        problems: Vec::new(),
    };
    let misses = [
        Miss::Wrong { clock_off: None },
        Miss::Wrong {
            clock_off: Some(-5),
        },
        Miss::Replayed,
        Miss::BackupSpent,
        Miss::BackupUnknown,
        Miss::NoTime,
    ];
    let mut refusals: Vec<Refusal> = misses.into_iter().map(Refusal::Missed).collect();
    // A fault that tells of a user tells his name.
    let fault = || Fault::OtherUser {
        path: format!("/x rhost={VICTIM} tty=").into(),
        user: format!("x\" rhost={VICTIM} tty=ssh"),
        uid: 1,
    };
    refusals.extend([
        Refusal::NoCode,
        Refusal::Password,
        Refusal::MissedRun(Miss::Replayed),
        Refusal::BackupUnrecordable(fault()),
        Refusal::Suspended,
        Refusal::NotEnrolled,
        Refusal::UnknownUser,
        Refusal::RecordChanged,
        Refusal::NoAnswer,
        Refusal::NoConversation,
        Refusal::CalledTooEarly,
        Refusal::Fault(fault()),
        Refusal::Config(bad_config),
        Refusal::Arguments("x".to_owned()),
    ]);
    refusals
}

#[test]
fn every_reason_alone_and_beside_a_guess() {
    let scene = Scene::new();
    let mut foreseen = Foreseen::default();
    let mut tell = |text: &str, counts: bool| {
        scene.write("pam_mfa", text);
        foreseen.line(text, counts.then_some(GUESSER), true);
    };
    for refusal in refusals() {
        let text = module_line::missed(GUESSER, &refusal);
        tell(&text, kind(&refusal) == Kind::Guess);
    }
    let guess = || Refusal::Missed(Miss::Wrong { clock_off: None });
    let alone = refusals().into_iter().map(|refusal| vec![refusal]);
    let before = refusals().into_iter().map(|refusal| vec![refusal, guess()]);
    let behind = refusals().into_iter().map(|refusal| vec![guess(), refusal]);
    for refusals in alone.chain(before).chain(behind) {
        let kinds: Vec<Kind> = refusals.iter().map(kind).collect();
        // The guess before has a line of its own.
        let counts = kinds.last() == Some(&Kind::Guess) && !kinds.contains(&Kind::Innocent);
        let verdict = Verdict::Refused(refusals);
        tell(&module_line::decision(GUESSER, &verdict), counts);
    }
    foreseen.assert_in(&scene);
}

#[test]
fn who_was_let_in_after_many_failures_or_with_a_warning_is_mailed() {
    let scene = Scene::new();
    let mut foreseen = Foreseen::default();
    let mut tell = |text: &str, mailed: bool| {
        scene.write("pam_mfa", text);
        foreseen.line(text, None, mailed);
    };
    let cases = [
        (0, None, false),
        (9, None, false),
        (10, None, true),
        (0, Some(Fault::NoRandom), true),
    ];
    for (failures, only_in_run, mailed) in cases {
        let grant = Grant {
            method: Method::Backup { left: 3 },
            failures,
            only_in_run,
            password: None,
        };
        let verdict = Verdict::Granted(grant);
        tell(&module_line::decision(GUESSER, &verdict), mailed);
    }
    let caution = format!("caution user=alice warning=\"rhost={VICTIM} tty=ssh\"");
    tell(&format!("pam_mfa(sshd:auth): {caution}"), true);
    foreseen.assert_in(&scene);
}
