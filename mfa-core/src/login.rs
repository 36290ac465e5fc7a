//! The whole login, top to bottom.

use zeroize::Zeroizing;

use crate::Clock;
use crate::attempt::Case;
use crate::backup::BackupCode;
use crate::block::State;
use crate::charge;
use crate::config::Config;
use crate::fault::Fault;
use crate::judge::{Presented, judge};
use crate::log_line::{self, Level};
use crate::messages;
use crate::options::{FirstPass, Options};
use crate::paths::Root;
use crate::policy::{self, Unready};
use crate::record::Record;
use crate::spend::spend;
use crate::store::Store;
use crate::throttle::Throttle;
use crate::user::{self, NameService};
use crate::verdict::{Grant, NotAsked, Refusal, Verdict};

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
    /// What the PAM line asks for.
    pub options: Options,
}

impl Request {
    /// The service whose policy holds.
    pub fn policy_service(&self) -> &str {
        self.options.service.as_deref().unwrap_or(&self.service)
    }
}

/// The person at the other end.
pub trait Talk {
    /// Asks, and returns the bytes that were typed. `echo`: they are shown.
    fn ask(&mut self, prompt: &str, echo: bool) -> Result<Zeroizing<Vec<u8>>, Silence>;
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
    let verdict = match identify(host, request, uid) {
        Ok((config, subject)) => ask_until_right(host, request, &config, &subject, talk),
        Err(Stop::NotAsked(not_asked)) => Verdict::NotAsked(not_asked),
        Err(Stop::Refused(refusal)) => refused_at_once(refusal, talk),
    };
    log_line::write(host.log, request, known, &verdict);
    match &verdict {
        Verdict::Granted(grant) => {
            let messages = messages::after_grant(grant, &request.user);
            messages.iter().for_each(|text| talk.tell(text));
        }
        Verdict::NotAsked(not_asked) => {
            if let Some(until) = not_asked.until {
                let days = until.number() - charge::day_of(host.clock.now());
                let days = days.max(0);
                talk.tell(&messages::not_enrolled_yet(&request.user, until, days));
            }
        }
        Verdict::Refused(_) => {}
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

/// Why nobody is asked.
enum Stop {
    NotAsked(NotAsked),
    Refused(Refusal),
}

impl<R: Into<Refusal>> From<R> for Stop {
    fn from(refusal: R) -> Stop {
        Stop::Refused(refusal.into())
    }
}

fn identify(
    host: &Host,
    request: &Request,
    uid: Result<Option<u32>, Fault>,
) -> Result<(Config, Subject), Stop> {
    let config = Config::load(host.root)?;
    let uid = uid?;
    let login = policy::Login {
        user: &request.user,
        uid,
        service: request.policy_service(),
        rhost: request.rhost.as_deref(),
    };
    let ruling = policy::rule(&config, &login, &NameService)?;
    log_line::write_debug(host.log, request, &ruling.rule);
    for warning in &ruling.warnings {
        log_line::write_caution(host.log, request, uid.is_some(), warning);
    }
    if !ruling.asked {
        return Err(Stop::NotAsked(NotAsked {
            rule: ruling.rule,
            until: None,
        }));
    }
    let store = Store::open(host.root)?;
    let Some(uid) = uid else {
        return Ok((config, Subject::Stranger(|| Refusal::UnknownUser)));
    };
    if let Some(record) = store.record(uid)? {
        store.check_owner(&record)?;
        let enrolled = Subject::Enrolled(Box::new(Enrolled { store, record }));
        return Ok((config, enrolled));
    }
    match policy::unready(&config, &login, &NameService, host.clock.now())? {
        Unready::Denied { rule } => {
            log_line::write_debug(host.log, request, &rule);
            Ok((config, Subject::Stranger(|| Refusal::NotEnrolled)))
        }
        Unready::Skipped { rule, until } => Err(Stop::NotAsked(NotAsked { rule, until })),
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
        first_pass: request.options.first_pass != FirstPass::No,
        password: None,
        asked: false,
    };
    let verdict = case.verdict(talk);
    if let Some(caution) = case.throttle.as_ref().and_then(Throttle::caution) {
        log_line::write_caution(host.log, request, true, caution);
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

    /// Whether it is one of his backup codes, used or not.
    pub(crate) fn has_backup_code(&self, code: &BackupCode) -> Result<bool, Refusal> {
        match self {
            Subject::Enrolled(enrolled) => Ok(enrolled.record.backup.find(code)?.is_some()),
            Subject::Stranger(_) => Ok(false),
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
