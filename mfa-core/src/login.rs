//! The whole login, top to bottom.

use zeroize::Zeroizing;

use crate::Clock;
use crate::attempt::Case;
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
pub(crate) enum Subject {
    Enrolled(Box<Enrolled>),
    /// Asked like anybody else, and refused whatever he types.
    Stranger(fn() -> Refusal),
}

/// An enrolled user and his record.
pub(crate) struct Enrolled {
    store: Store,
    pub(crate) record: Record,
}

fn identify(host: &Host, uid: Result<Option<u32>, Fault>) -> Result<(Config, Subject), Refusal> {
    let config = Config::load(host.root)?;
    let store = Store::open(host.root)?;
    let Some(uid) = uid? else {
        return Ok((config, Subject::Stranger(|| Refusal::UnknownUser)));
    };
    let subject = match store.record(uid)? {
        Some(record) => {
            store.check_owner(&record)?;
            Subject::Enrolled(Box::new(Enrolled { store, record }))
        }
        None => Subject::Stranger(|| Refusal::NotEnrolled),
    };
    Ok((config, subject))
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

impl Subject {
    /// None for a stranger: whatever he types is wrong.
    fn throttle<'s>(&'s self, clock: &'s dyn Clock) -> Option<Throttle<'s>> {
        match self {
            Subject::Enrolled(enrolled) => {
                Some(Throttle::new(&enrolled.store, &enrolled.record, clock))
            }
            Subject::Stranger(_) => None,
        }
    }

    /// How many digits the codes have that he may type.
    pub(crate) fn digits(&self) -> Vec<u8> {
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

    /// An admin command may have replaced the record while the prompt was open.
    pub(crate) fn check_current(&self) -> Result<(), Refusal> {
        let Subject::Enrolled(enrolled) = self else {
            return Ok(());
        };
        let record = &enrolled.record;
        match enrolled.store.record(record.uid)? {
            Some(present) if present.id == record.id => Ok(()),
            _ => Err(Refusal::RecordChanged),
        }
    }
}

impl Enrolled {
    /// Judges without the lock, which nobody reaches without a right code.
    pub(crate) fn judge(&self, presented: &Presented, now: i64) -> Result<(), Refusal> {
        let state = self.store.state_of(&self.record)?;
        let state = state.unwrap_or_else(|| State::new(self.record.id, None));
        judge(&self.record, &state, presented, now)?;
        Ok(())
    }

    /// Spends what was judged right.
    pub(crate) fn spend(
        &self,
        host: &Host,
        presented: &Presented,
        charged: usize,
    ) -> Result<Grant, Refusal> {
        spend(&self.store, host.clock, &self.record, presented, charged)
    }
}
