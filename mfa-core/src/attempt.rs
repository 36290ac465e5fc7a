//! The tries of one login: what is asked for, what is paid for, what is judged.

use std::mem;

use zeroize::Zeroizing;

use crate::answer::{self, Answer, Code};
use crate::config::{Asking, Config};
use crate::judge::{Miss, Presented};
use crate::log_line;
use crate::login::{Host, Request, Silence, Subject, Talk};
use crate::messages;
use crate::options::FirstPass;
use crate::throttle::{Countable, Throttle, Toll};
use crate::verdict::{Grant, Refusal, Verdict};

/// A login from its first prompt on.
pub(crate) struct Case<'c> {
    pub host: &'c Host<'c>,
    pub request: &'c Request,
    pub config: &'c Config,
    /// Whether there is a user of that name.
    pub known: bool,
    pub subject: &'c Subject,
    /// None for a stranger: whatever he types is wrong.
    pub throttle: Option<Throttle<'c>>,
    /// Whether the password that was typed before is still to be looked at.
    pub first_pass: bool,
    /// What stood before the code.
    pub password: Option<Zeroizing<Vec<u8>>>,
    /// Whether this try asked: one at what was typed before takes none from the others.
    pub asked: bool,
}

/// How often the same code may be typed again before it counts as a wrong one.
const REPEATS: usize = 3;

impl Case<'_> {
    /// Asks until an answer is right or no try is left.
    pub fn verdict(&mut self, talk: &mut dyn Talk) -> Verdict {
        let mut refusals = Vec::new();
        let asking = self.asking();
        let mut left = self.tries(&asking);
        loop {
            self.password = None;
            self.asked = self.request.options.first_pass == FirstPass::Use;
            let refusal = match self.attempt(&asking, talk) {
                Ok(grant) => {
                    let password = self.password.take();
                    return Verdict::Granted(Grant { password, ..grant });
                }
                Err(refusal) => refusal,
            };
            left = left.saturating_sub(u32::from(self.asked));
            let again = left > 0 && !self.ends_at(&refusal);
            if again {
                // Now, for whoever breaks off at the next prompt would leave no line.
                log_line::write_missed(self.host.log, self.request, self.known, &refusal);
            }
            messages::refusal(&refusal)
                .into_iter()
                .for_each(|text| talk.warn(text));
            refusals.push(refusal);
            if !again {
                return Verdict::Refused(refusals);
            }
        }
    }

    fn asking(&self) -> Asking {
        let line = self.request.options.asking.clone();
        line.or(&self.config.asking(self.request.policy_service()))
    }

    /// A suspended user whose password ends in digits is still asked for a backup code.
    fn ends_at(&self, refusal: &Refusal) -> bool {
        refusal.is_final() && (self.asked || !matches!(refusal, Refusal::Suspended))
    }

    fn tries(&self, asking: &Asking) -> u32 {
        match self.request.options.first_pass {
            FirstPass::Use => 1,
            FirstPass::No | FirstPass::Try => asking.tries.unwrap_or(Asking::TRIES),
        }
    }

    /// One backup code, or as many verification codes in a row as the throttle asks for.
    fn attempt(&mut self, asking: &Asking, talk: &mut dyn Talk) -> Result<Grant, Refusal> {
        let needed = self.throttle.as_mut().map_or(Ok(1), Throttle::run)?;
        log_line::write_debug(
            self.host.log,
            self.request,
            &format!("codes in a row: {needed}"),
        );
        let mut run: Vec<Code> = Vec::new();
        let mut repeats = 0;
        loop {
            match self.collect(asking, run.len(), needed, talk)? {
                Some(Answer::Backup(code)) => {
                    self.subject.check_current()?;
                    return self.redeem(Answer::Backup(code), None, self.host.clock.now());
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
            self.subject.check_current()?;
            let now = self.host.clock.now();
            if let Toll::Paid(found) = self.allows(&run, now)? {
                return self.redeem(Answer::Codes(run), found.as_deref(), now);
            }
        }
    }

    /// `None` if what was typed cannot be a code.
    fn collect(
        &mut self,
        asking: &Asking,
        typed: usize,
        needed: usize,
        talk: &mut dyn Talk,
    ) -> Result<Option<Answer>, Refusal> {
        let options = &self.request.options;
        if mem::take(&mut self.first_pass)
            && let Some(password) = &self.request.authtok
        {
            let answer = self.split(password, needed)?;
            // A password may end in digits: fewer codes than are needed are none.
            let enough = match &answer {
                Some(Answer::Codes(codes)) => codes.len() >= needed,
                Some(Answer::Backup(_)) => true,
                None => false,
            };
            if enough || options.first_pass == FirstPass::Use {
                return Ok(answer);
            }
            self.password = None;
        }
        if options.first_pass == FirstPass::Use {
            return Err(Refusal::NoAnswer);
        }
        self.asked = true;
        if options.forward_pass && typed == 0 {
            // That of the configuration asks for a code alone.
            let prompt = options.asking.prompt.as_deref().filter(|_| needed == 1);
            let prompt = prompt.unwrap_or(messages::prompt_behind_password(needed));
            let answer = talk.ask(prompt, false).map_err(refusal_of)?;
            return self.split(&answer, needed);
        }
        let prompt = asking
            .prompt
            .as_deref()
            .filter(|_| typed == 0 && needed == 1);
        let prompt = prompt.unwrap_or(messages::prompt(typed, needed));
        let echo = asking.echo.unwrap_or(false);
        let answer = talk.ask(prompt, echo).map_err(refusal_of)?;
        match &self.request.authtok {
            Some(password) if **password == *answer && typed == 0 => Err(Refusal::Password),
            Some(password) if **password == *answer => Ok(None),
            _ => {
                let text = std::str::from_utf8(&answer).ok();
                Ok(text.and_then(|text| Answer::parse(text, &self.subject.digits())))
            }
        }
    }

    /// The code behind a password. The password is kept for the modules behind us.
    fn split(&mut self, typed: &[u8], needed: usize) -> Result<Option<Answer>, Refusal> {
        if typed.len() > answer::LONGEST {
            return Ok(None);
        }
        let backup = match answer::backup_behind_password(typed) {
            Some((start, code)) if self.subject.has_backup_code(&code)? => {
                Some((start, Answer::Backup(code)))
            }
            _ => None,
        };
        let codes = || answer::codes_behind_password(typed, &self.subject.digits(), needed);
        let found = backup.or_else(|| {
            let (start, codes) = codes()?;
            Some((start, Answer::Codes(codes)))
        });
        let Some((start, answer)) = found else {
            return Ok(None);
        };
        let password = typed.get(..start).unwrap_or_default();
        if self.request.options.forward_pass && !password.is_empty() {
            self.password = Some(Zeroizing::new(password.to_vec()));
        }
        Ok(Some(answer))
    }

    /// Whether the codes may be judged. If so they are paid for.
    fn allows(&mut self, run: &[Code], now: i64) -> Result<Toll, Refusal> {
        let Some(throttle) = &mut self.throttle else {
            return Ok(Toll::Paid(None));
        };
        if throttle.is_suspended(self.config.suspend_after)? {
            return Err(Refusal::Suspended);
        }
        Ok(throttle.allows(run, now)?)
    }

    /// Judges, and spends what is right. `found`: what was found since it was typed.
    fn redeem(
        &mut self,
        answer: Answer,
        found: Option<&Countable>,
        now: i64,
    ) -> Result<Grant, Refusal> {
        let enrolled = match self.subject {
            Subject::Enrolled(enrolled) => enrolled,
            Subject::Stranger(refusal) => return Err(refusal()),
        };
        let run = matches!(&answer, Answer::Codes(codes) if codes.len() > 1);
        let presented = Presented::new(&enrolled.record, answer)?;
        let charged = self.throttle.as_ref().map_or(&[][..], Throttle::charged);
        let judged = enrolled.judge(&presented, found, now);
        let spent = judged.and_then(|()| enrolled.spend(self.host, &presented, found, charged));
        // A replayed right code is no guess and costs nothing. Of a run it is not said what was wrong
        // with it.
        let throttle = self.throttle.iter_mut();
        match spent {
            Ok(grant) => {
                throttle.for_each(|throttle| throttle.give_back(found));
                Ok(grant)
            }
            Err(Refusal::Missed(miss)) if run => Err(Refusal::MissedRun(miss)),
            Err(Refusal::Missed(Miss::Replayed)) => {
                throttle.for_each(|throttle| throttle.give_back_last(found));
                Err(Refusal::Missed(Miss::Replayed))
            }
            Err(refusal) => Err(refusal),
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
