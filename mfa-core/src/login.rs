//! The whole login, top to bottom.

use zeroize::Zeroizing;

use crate::Clock;
use crate::answer::{Answer, Code};
use crate::block::State;
use crate::config::Config;
use crate::fault::Fault;
use crate::judge::{Miss, Presented, judge};
use crate::log_line::{self, Level};
use crate::messages;
use crate::paths::Root;
use crate::record::Record;
use crate::spend::spend;
use crate::store::Store;
use crate::throttle::Throttle;
use crate::user;
use crate::verdict::{Grant, Refusal, Verdict};

/// What the application says about a login. Plain data.
pub struct Request {
    /// The login name.
    pub user: String,
    /// The PAM service.
    pub service: String,
    /// `PAM_RHOST`.
    pub rhost: Option<String>,
    /// `PAM_TTY`.
    pub tty: Option<String>,
    /// `PAM_AUTHTOK`: the password that was typed before.
    pub authtok: Option<Zeroizing<Vec<u8>>>,
}

/// The person at the other end.
pub trait Talk {
    /// Asks, and returns the bytes that were typed.
    fn ask(&mut self, prompt: &str) -> Result<Zeroizing<Vec<u8>>, Silence>;
    /// Tells something that merely informs.
    fn tell(&mut self, text: &str);
    /// Tells that something went wrong.
    fn warn(&mut self, text: &str);
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// The prompt was shown, but nothing came back.
    NoAnswer,
    /// The application cannot show prompts.
    NoConversation,
    /// The application wants to be called again later.
    CalledTooEarly,
}

/// The machine that somebody logs in to.
pub struct Host<'h> {
    /// Where the files are.
    pub root: &'h Root,
    /// What time it is.
    pub clock: &'h dyn Clock,
    /// Where lines for the log go.
    pub log: &'h dyn Fn(Level, &str),
}

/// Asks for a code and says whether to let in. Everything unforeseen is a refusal.
pub fn login(host: &Host, request: &Request, talk: &mut dyn Talk) -> Verdict {
    let uid = user::uid_of(&request.user);
    let known = matches!(uid, Ok(Some(_)));
    let verdict = match identify(host, uid) {
        Ok((config, subject)) => ask_until_right(host, request, &config, &subject, talk),
        Err(refusal) => refused_at_once(refusal, talk),
    };
    log_line::write(host.log, request, known, &verdict);
    if let Verdict::Granted(grant) = &verdict {
        let messages = messages::after_grant(grant, &request.user);
        messages.iter().for_each(|text| talk.tell(text));
    }
    verdict
}

/// Refuses without asking, for a reason that lies before any login.
pub fn refuse(host: &Host, request: &Request, refusal: Refusal, talk: &mut dyn Talk) -> Verdict {
    let known = matches!(user::uid_of(&request.user), Ok(Some(_)));
    let verdict = refused_at_once(refusal, talk);
    log_line::write(host.log, request, known, &verdict);
    verdict
}

/// Whom a login is about.
enum Subject {
    Enrolled(Box<Enrolled>),
    /// Asked like anybody else, and refused whatever he types.
    Stranger(fn() -> Refusal),
}

struct Enrolled {
    store: Store,
    record: Record,
}

fn identify(host: &Host, uid: Result<Option<u32>, Fault>) -> Result<(Config, Subject), Refusal> {
    let config = Config::load(host.root)?;
    let store = Store::open(host.root)?;
    let Some(uid) = uid? else {
        return Ok((config, Subject::Stranger(|| Refusal::UnknownUser)));
    };
    let subject = match store.record(uid)? {
        Some(record) => {
            check_owner(&store, &record)?;
            Subject::Enrolled(Box::new(Enrolled { store, record }))
        }
        None => Subject::Stranger(|| Refusal::NotEnrolled),
    };
    Ok((config, subject))
}

/// The name in the record must still lead to the uid in it: uids are given away again.
fn check_owner(store: &Store, record: &Record) -> Result<(), Fault> {
    match user::uid_of(&record.user)? {
        Some(uid) if uid == record.uid => Ok(()),
        _ => Err(Fault::OtherUser {
            path: store.path_of(record.uid),
            user: record.user.clone(),
        }),
    }
}

fn refused_at_once(refusal: Refusal, talk: &mut dyn Talk) -> Verdict {
    messages::refusal(&refusal)
        .into_iter()
        .for_each(|text| talk.warn(text));
    Verdict::Refused(vec![refusal])
}

fn ask_until_right(
    host: &Host,
    request: &Request,
    config: &Config,
    subject: &Subject,
    talk: &mut dyn Talk,
) -> Verdict {
    let mut case = Case {
        host,
        request,
        config,
        subject,
        throttle: subject.throttle(host.clock),
    };
    let verdict = case.verdict(talk);
    if let Some(caution) = case.throttle.as_ref().and_then(Throttle::caution) {
        log_line::write_caution(host.log, request, caution);
    }
    verdict
}

/// A login from its first prompt on.
struct Case<'c> {
    host: &'c Host<'c>,
    request: &'c Request,
    config: &'c Config,
    subject: &'c Subject,
    /// None for a stranger: whatever he types is wrong.
    throttle: Option<Throttle<'c>>,
}

/// How often the same code may be typed again before it counts as a wrong one.
const REPEATS: usize = 3;

impl Case<'_> {
    fn verdict(&mut self, talk: &mut dyn Talk) -> Verdict {
        let mut refusals = Vec::new();
        for _ in 0..self.config.tries {
            match self.attempt(talk) {
                Ok(grant) => {
                    self.throttle.iter_mut().for_each(Throttle::give_back);
                    return Verdict::Granted(grant);
                }
                Err(refusal) => {
                    messages::refusal(&refusal)
                        .into_iter()
                        .for_each(|text| talk.warn(text));
                    refusals.push(refusal);
                }
            }
            if refusals.last().is_some_and(Refusal::is_final) {
                break;
            }
        }
        Verdict::Refused(refusals)
    }

    /// One backup code, or as many verification codes in a row as the throttle asks for.
    fn attempt(&mut self, talk: &mut dyn Talk) -> Result<Grant, Refusal> {
        let needed = self.throttle.as_mut().map_or(Ok(1), Throttle::run)?;
        let mut run: Vec<Code> = Vec::new();
        let mut repeats = 0;
        loop {
            match self.collect(run.len(), needed, talk)? {
                Some(Answer::Backup(code)) => {
                    return self.redeem(Answer::Backup(code), self.host.clock.now());
                }
                Some(Answer::Codes(codes)) if repeats < REPEATS && run.ends_with(&codes) => {
                    talk.tell(messages::SAME_CODE);
                    repeats += 1;
                    continue;
                }
                Some(Answer::Codes(codes)) => run.extend(codes),
                None if run.is_empty() => return Err(Refusal::NoCode),
                // Wrong, but the next prompt comes all the same: it tells nothing about this one.
                None => run.push(Code::default()),
            }
            let now = self.host.clock.now();
            if self.allows(&run, now)? {
                return self.redeem(Answer::Codes(run), now);
            }
        }
    }

    /// `None` if what was typed cannot be a code.
    fn collect(
        &self,
        typed: usize,
        needed: usize,
        talk: &mut dyn Talk,
    ) -> Result<Option<Answer>, Refusal> {
        let answer = talk
            .ask(messages::prompt(typed, needed))
            .map_err(refusal_of)?;
        if self
            .request
            .authtok
            .as_ref()
            .is_some_and(|password| **password == *answer)
        {
            return Ok(None);
        }
        let text = std::str::from_utf8(&answer).ok();
        Ok(text.and_then(|text| Answer::parse(text, &self.subject.digits())))
    }

    /// Whether the codes may be judged. If so they are paid for.
    fn allows(&mut self, run: &[Code], now: i64) -> Result<bool, Refusal> {
        let Some(throttle) = &mut self.throttle else {
            return Ok(true);
        };
        if throttle.is_suspended(self.config.suspend_after)? {
            return Err(Refusal::Suspended);
        }
        Ok(throttle.allows(run, now)?)
    }

    /// Judges without the lock, which nobody reaches without a right code; then spends.
    fn redeem(&mut self, answer: Answer, now: i64) -> Result<Grant, Refusal> {
        let enrolled = match self.subject {
            Subject::Enrolled(enrolled) => enrolled,
            Subject::Stranger(refusal) => return Err(refusal()),
        };
        let charged = self.throttle.as_ref().map_or(0, Throttle::charged);
        let run = matches!(&answer, Answer::Codes(codes) if codes.len() > 1);
        let presented = Presented::new(&enrolled.record, answer)?;
        let judged = enrolled.judge(&presented, now);
        let spent = judged.and_then(|()| enrolled.spend(self.host, &presented, charged));
        spent.map_err(|refusal| self.after_miss(refusal, run))
    }

    /// A replayed right code is no guess and costs nothing. Of a run it is not said what was wrong
    /// with it.
    fn after_miss(&mut self, refusal: Refusal, run: bool) -> Refusal {
        match refusal {
            Refusal::Missed(miss) if run => Refusal::MissedRun(miss),
            Refusal::Missed(Miss::Replayed) => {
                self.throttle.iter_mut().for_each(Throttle::give_back_last);
                Refusal::Missed(Miss::Replayed)
            }
            refusal => refusal,
        }
    }
}

fn refusal_of(silence: Silence) -> Refusal {
    match silence {
        Silence::NoAnswer => Refusal::NoAnswer,
        Silence::NoConversation => Refusal::NoConversation,
        Silence::CalledTooEarly => Refusal::CalledTooEarly,
    }
}

impl Subject {
    fn throttle<'s>(&'s self, clock: &'s dyn Clock) -> Option<Throttle<'s>> {
        match self {
            Subject::Enrolled(enrolled) => {
                Some(Throttle::new(&enrolled.store, &enrolled.record, clock))
            }
            Subject::Stranger(_) => None,
        }
    }

    fn digits(&self) -> Vec<u8> {
        match self {
            Subject::Enrolled(enrolled) => enrolled
                .record
                .devices
                .iter()
                .map(|d| d.shape.digits)
                .collect(),
            Subject::Stranger(_) => vec![6, 8],
        }
    }
}

impl Enrolled {
    fn judge(&self, presented: &Presented, now: i64) -> Result<(), Refusal> {
        let state = self.store.state_of(&self.record)?;
        let state = state.unwrap_or_else(|| State::new(self.record.id, None));
        judge(&self.record, &state, presented, now)?;
        Ok(())
    }

    fn spend(&self, host: &Host, presented: &Presented, charged: usize) -> Result<Grant, Refusal> {
        spend(&self.store, host.clock, &self.record, presented, charged)
    }
}
