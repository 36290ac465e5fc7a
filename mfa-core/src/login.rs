//! The whole login, top to bottom.

use zeroize::Zeroizing;

use crate::Clock;
use crate::answer::{Answer, Code};
use crate::block::State;
use crate::config::Config;
use crate::fault::Fault;
use crate::judge::{Presented, judge};
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
    let verdict = match identify(host, request) {
        Ok((config, subject)) => ask_until_right(host, request, &config, &subject, talk),
        Err(refusal) => refused_at_once(refusal, talk),
    };
    log_line::write(host.log, request, &verdict);
    if let Verdict::Granted(grant) = &verdict {
        messages::after_grant(grant, &request.user)
            .iter()
            .for_each(|text| talk.tell(text));
    }
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

fn identify(host: &Host, request: &Request) -> Result<(Config, Subject), Refusal> {
    let config = Config::load(host.root)?;
    let store = Store::open(host.root)?;
    let Some(uid) = user::uid_of(&request.user)? else {
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
    talk.warn(messages::OUT_OF_ORDER);
    Verdict::Refused(vec![refusal])
}

fn ask_until_right(
    host: &Host,
    request: &Request,
    config: &Config,
    subject: &Subject,
    talk: &mut dyn Talk,
) -> Verdict {
    let mut refusals = Vec::new();
    for _ in 0..config.tries {
        match attempt(host, request, subject, talk) {
            Ok(grant) => return Verdict::Granted(grant),
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
fn attempt(
    host: &Host,
    request: &Request,
    subject: &Subject,
    talk: &mut dyn Talk,
) -> Result<Grant, Refusal> {
    let throttle = subject.throttle()?;
    let mut run: Vec<Code> = Vec::new();
    loop {
        match collect(request, subject, run.len(), talk)? {
            Some(Answer::Codes(codes)) => run.extend(codes),
            Some(backup) => return redeem(host, subject, backup),
            None if run.is_empty() => return Err(Refusal::NoCode),
            // Wrong, but the next prompt comes all the same: it tells nothing about this one.
            None => run.push(Code::default()),
        }
        if throttle.allows(run.len()) {
            return redeem(host, subject, Answer::Codes(run));
        }
    }
}

/// `None` if what was typed cannot be a code.
fn collect(
    request: &Request,
    subject: &Subject,
    run: usize,
    talk: &mut dyn Talk,
) -> Result<Option<Answer>, Refusal> {
    let typed = talk.ask(messages::prompt(run)).map_err(refusal_of)?;
    if request
        .authtok
        .as_ref()
        .is_some_and(|password| **password == *typed)
    {
        return Ok(None);
    }
    let text = std::str::from_utf8(&typed).ok();
    Ok(text.and_then(|text| Answer::parse(text, &subject.digits())))
}

fn refusal_of(silence: Silence) -> Refusal {
    match silence {
        Silence::NoAnswer => Refusal::NoAnswer,
        Silence::NoConversation => Refusal::NoConversation,
        Silence::CalledTooEarly => Refusal::CalledTooEarly,
    }
}

/// Judges without the lock, which nobody reaches without a right code; then spends.
fn redeem(host: &Host, subject: &Subject, answer: Answer) -> Result<Grant, Refusal> {
    let now = host.clock.now();
    let enrolled = match subject {
        Subject::Enrolled(enrolled) => enrolled,
        Subject::Stranger(refusal) => return Err(refusal()),
    };
    let record = &enrolled.record;
    let presented = Presented::new(record, answer)?;
    let state = enrolled
        .state()?
        .unwrap_or_else(|| State::new(record.id, None));
    judge(record, &state, &presented, now)?;
    spend(&enrolled.store, host.clock, record, &presented)
}

impl Subject {
    fn throttle(&self) -> Result<Throttle, Fault> {
        Ok(match self {
            Subject::Enrolled(enrolled) => Throttle::new(enrolled.state()?.is_some()),
            Subject::Stranger(_) => Throttle::new(true),
        })
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
    /// `None` if there is none that can be read: then it is not known which codes were used.
    fn state(&self) -> Result<Option<State>, Fault> {
        self.store.state_of(&self.record)
    }
}
