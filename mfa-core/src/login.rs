//! The whole login, top to bottom.

use zeroize::Zeroizing;

use crate::Clock;
use crate::attempt::Case;
use crate::backup::BackupCode;
use crate::block::State;
use crate::charge;
use crate::config::{Config, Day, open_etc};
use crate::fault::Fault;
use crate::file::Kept;
use crate::judge::{Presented, judge};
use crate::log_line::{self, Level};
use crate::messages;
use crate::options::{FirstPass, Options};
use crate::paths::Root;
use crate::policy::{self, Unready};
use crate::proof;
use crate::record::Record;
use crate::spend::{Judged, spend};
use crate::store::Store;
use crate::throttle::{Countable, Throttle};
use crate::traces::without_traces;
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
    let verdict = match look_up(host, request, uid) {
        Err(refusal) => refused_at_once(refusal, talk),
        Ok((config, standing)) => match standing.asked {
            Asked::No(until) => Verdict::NotAsked(NotAsked {
                rule: standing.rule,
                until,
            }),
            Asked::As(subject) => ask_until_right(host, request, known, &config, &subject, talk),
        },
    };
    log_line::write(host.log, request, known, &verdict);
    tell_after(host, request, &verdict, talk);
    verdict
}

/// What is done and told after the verdict.
fn tell_after(host: &Host, request: &Request, verdict: &Verdict, talk: &mut dyn Talk) {
    match verdict {
        Verdict::Granted(grant) => {
            proof::granted(host.root, &request.service);
            let messages = messages::after_grant(grant, &request.user);
            messages.iter().for_each(|text| talk.tell(text));
        }
        Verdict::NotAsked(NotAsked {
            until: Some(until), ..
        }) => {
            let days = until.number() - charge::day_of(host.clock.now());
            let text = messages::not_enrolled_yet(&request.user, *until, days.max(0));
            talk.tell(&text);
        }
        Verdict::NotAsked(_) | Verdict::Refused(_) => {}
    }
}

/// Refuses without asking, for a reason that lies before any login.
pub fn refuse(host: &Host, request: &Request, refusal: Refusal, talk: &mut dyn Talk) -> Verdict {
    let known = matches!(user::uid_of(&request.user), Ok(Some(_)));
    let verdict = refused_at_once(refusal, talk);
    log_line::write(host.log, request, known, &verdict);
    verdict
}

/// Whom a login is about.
pub enum Subject {
    /// An enrolled user.
    Enrolled(Box<Enrolled>),
    /// Asked like anybody else, and refused whatever he types.
    Stranger(fn() -> Refusal),
}

/// An enrolled user and his record.
pub struct Enrolled {
    store: Store,
    pub(crate) record: Record,
    /// The record's file.
    kept: Kept,
}

/// What the policy and the store say about a login.
pub struct Standing {
    /// The key of the configuration that decided, and what in it.
    pub rule: String,
    /// What in the configuration looks like an accident.
    pub warnings: Vec<String>,
    /// Whether it is asked, and as whom.
    pub asked: Asked,
}

/// Whether a login is asked for a second factor, and as whom.
pub enum Asked {
    /// Not at all; the last day on which that holds for a user who is not enrolled.
    No(Option<Day>),
    /// As somebody who is enrolled, or as a stranger.
    As(Subject),
}

/// What the policy and the store say about a login at `now` (seconds since 1970). The one place that
/// knows the order: the policy, the record, and what becomes of those who have none.
///
/// # Errors
/// A look-up that failed, or a store that is out of order.
pub fn standing(
    root: &Root,
    config: &Config,
    login: &policy::Login,
    now: i64,
) -> Result<Standing, Fault> {
    let open = || Store::open_with(root, open_etc(root)?.as_ref());
    standing_with(open, config, login, now)
}

fn standing_with(
    open: impl FnOnce() -> Result<Store, Fault>,
    config: &Config,
    login: &policy::Login,
    now: i64,
) -> Result<Standing, Fault> {
    let policy::Ruling {
        asked,
        rule,
        warnings,
    } = policy::rule(config, login, &NameService)?;
    let (rule, asked) = match asked {
        false => (rule, Asked::No(None)),
        true => enrolled_or_not(open()?, config, login, now, rule)?,
    };
    Ok(Standing {
        rule,
        warnings,
        asked,
    })
}

fn enrolled_or_not(
    store: Store,
    config: &Config,
    login: &policy::Login,
    now: i64,
    rule: String,
) -> Result<(String, Asked), Fault> {
    let Some(uid) = login.uid else {
        // As for a user without a record: who exists must not be told apart.
        store.check_mark()?;
        return Ok((rule, Asked::As(Subject::Stranger(|| Refusal::UnknownUser))));
    };
    if let Some((record, kept)) = store.kept_record(uid)? {
        // The name of the login was just looked up.
        if record.user != login.user {
            store.check_owner(&record)?;
        }
        let enrolled = Enrolled {
            store,
            record,
            kept,
        };
        let enrolled = Subject::Enrolled(Box::new(enrolled));
        return Ok((rule, Asked::As(enrolled)));
    }
    Ok(match policy::unready(config, login, &NameService, now)? {
        Unready::Denied { rule } => (rule, Asked::As(Subject::Stranger(|| Refusal::NotEnrolled))),
        Unready::Skipped { rule, until } => (rule, Asked::No(until)),
    })
}

/// What is known before anybody is asked.
fn look_up(
    host: &Host,
    request: &Request,
    uid: Result<Option<u32>, Fault>,
) -> Result<(Config, Standing), Refusal> {
    let etc = open_etc(host.root)?;
    let config = Config::load_from(host.root, etc.as_ref())?;
    let login = policy::Login {
        user: &request.user,
        uid: uid?,
        service: request.policy_service(),
        rhost: request.rhost.as_deref(),
    };
    let open = || Store::open_with(host.root, etc.as_ref());
    let standing = standing_with(open, &config, &login, host.clock.now())?;
    log_line::write_debug(host.log, request, &standing.rule);
    for warning in &standing.warnings {
        log_line::write_caution(host.log, request, login.uid.is_some(), warning);
    }
    Ok((config, standing))
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
    known: bool,
    config: &Config,
    subject: &Subject,
    talk: &mut dyn Talk,
) -> Verdict {
    let mut case = Case {
        host,
        request,
        known,
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
            Subject::Enrolled(enrolled) => {
                Ok(without_traces(|| enrolled.record.backup.find(code))?.is_some())
            }
            Subject::Stranger(_) => Ok(false),
        }
    }

    /// An admin command may have replaced the record while the prompt was open.
    pub(crate) fn check_current(&self) -> Result<(), Refusal> {
        let Subject::Enrolled(enrolled) = self else {
            return Ok(());
        };
        match enrolled
            .store
            .is_current(&enrolled.record, &enrolled.kept)?
        {
            true => Ok(()),
            false => Err(Refusal::RecordChanged),
        }
    }
}

impl Enrolled {
    /// Judges without the lock, which nobody reaches without a right code. Under it it is judged again.
    /// `found`: the state as it was found since the answer came.
    pub(crate) fn judge(
        &self,
        presented: &Presented,
        found: Option<&Countable>,
        now: i64,
    ) -> Result<(), Refusal> {
        let read;
        let state = match found {
            Some(found) => &found.reading.state,
            None => {
                let unknown = || State::new(self.record.id, None);
                read = self.store.state_of(&self.record)?.unwrap_or_else(unknown);
                &read
            }
        };
        judge(&self.record, state, presented, now)?;
        Ok(())
    }

    /// Spends what was judged right.
    pub(crate) fn spend(
        &self,
        host: &Host,
        presented: &Presented,
        found: Option<&Countable>,
        charged: &[String],
    ) -> Result<Grant, Refusal> {
        let judged = Judged {
            record: &self.record,
            kept: &self.kept,
            presented,
            found,
        };
        spend(&self.store, host.clock, &judged, charged)
    }
}
