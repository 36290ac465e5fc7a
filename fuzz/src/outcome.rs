//! Whether what came out of a login is right.
//!
//! What is checked here rests on the secrets, the time, the files as they were before, and what was
//! granted already; never on what the module decides.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use crate::accounts::{ALICE, uid_of};
use crate::libpam::{
    ABORT, AUTH_ERR, AUTHINFO_UNAVAIL, CONV_AGAIN, CONV_ERR, IGNORE, SERVICE_ERR, SUCCESS,
};
use crate::line::FirstPass;
use crate::login::TRACES;
use crate::machine::{Machine, Seen, id_of};
use crate::policy::Who;
use crate::require;
use crate::scenario::{Odd, Talk, User};
use crate::stage::{Running, Typed};

/// How many prompts one try can have: three codes, and three times the same one again.
const PROMPTS_A_TRY: usize = 6;

/// A login that has ended.
pub struct Outcome {
    /// The PAM code.
    pub code: i32,
    /// When it began.
    pub start: i64,
    /// When it ended.
    pub end: i64,
    /// What lay on the disk before.
    pub before: Seen,
    /// The newest step of each device that had been granted before.
    pub granted: HashMap<usize, u64>,
    /// Not while another one holds the lock, perhaps.
    pub alone: bool,
    /// What came in, and what was said.
    pub running: Running,
    /// Whether the arguments are in order and lead to this machine.
    pub in_order: bool,
}

impl Outcome {
    /// Checks everything that must be so.
    pub fn check(&self, talk: &Talk) {
        let (code, running) = (self.code, &self.running);
        require!(code != ABORT, "a panic: {}", running.log);
        let known = [
            SUCCESS,
            SERVICE_ERR,
            AUTH_ERR,
            AUTHINFO_UNAVAIL,
            11,
            CONV_ERR,
            IGNORE,
            31,
        ];
        require!(known.contains(&code), "PAM code {code}");
        self.check_policy(talk);
        self.check_prompts();
        self.check_handed_on();
        self.check_secrecy();
        if code == SUCCESS {
            self.check_grant(talk);
        } else {
            require!(
                !self.must_succeed(talk),
                "locked out with {code}: {talk:?} {}",
                running.log
            );
        }
        if talk.faults.is_empty() {
            let granted = running.log.contains(": granted user=");
            require!(
                granted == (code == SUCCESS),
                "{code}, but in the log: {}",
                running.log
            );
        }
    }

    /// Nobody is asked if the policy says so, and only then; never if nobody knows who he is.
    fn check_policy(&self, talk: &Talk) {
        let running = &self.running;
        if self.code == IGNORE {
            // Another login takes its time.
            let may = self.may_ignore(self.start) || self.may_ignore(self.end);
            require!(
                may,
                "let in without a question: {talk:?}\n{}\n{}",
                self.machine().config,
                running.log
            );
            require!(
                !running.lost,
                "let in after a look-up that failed: {}",
                running.log
            );
            require!(running.prompts.0 == 0, "asked, and then ignored");
        }
        let must = talk.faults.is_empty()
            && talk.lost.is_none()
            && matches!(talk.odd, None | Some(Odd::User(_)))
            && self.machine().config.policy.is_some()
            && self.may_ignore(self.start)
            && self.may_ignore(self.end);
        require!(
            !must || self.code == IGNORE,
            "asked, and the policy does not want it: {talk:?}\n{}\n{}",
            self.machine().config,
            running.log
        );
    }

    /// Whether policy and store say that nobody is asked.
    fn may_ignore(&self, time: i64) -> bool {
        let (machine, running) = (self.machine(), &self.running);
        let config = &machine.config;
        if !self.in_order
            || matches!(running.odd, Some(Odd::NoUser(code)) if i32::from(code) == CONV_AGAIN)
        {
            return false;
        }
        if config.policy.is_none() {
            // By chance it may be a policy.
            let text = config.text.as_deref().unwrap_or_default();
            let words = ["exempt", "require", "trusted_networks", "skip"];
            return words.iter().any(|word| contains(text, word));
        }
        let user = self.user();
        let who = Who {
            user: &user,
            service: running.service(),
            networks: running.networks,
        };
        let is_enrolled = match uid_of(user.as_bytes()) {
            Some(ALICE) => !machine.absent,
            Some(_) => false,
            None => true,
        };
        config.spares(&who) || (machine.sound && !is_enrolled && config.skips(&user, time))
    }

    /// The login name; none if it cannot be had or is no text.
    fn user(&self) -> String {
        let name = match self.running.odd {
            Some(Odd::NoUser(_)) => None,
            _ => self.running.user.as_ref(),
        };
        let name = name.and_then(|name| name.to_str().ok());
        name.unwrap_or_default().to_owned()
    }

    /// What goes to later modules: what stood before the code that was granted, and nothing else.
    fn check_handed_on(&self) {
        let running = &self.running;
        let typed = running
            .typed
            .iter()
            .rev()
            .find(|typed| typed.behind.is_some());
        let wanted = typed.filter(|_| self.code == SUCCESS && running.line.forward);
        let stands = |typed: &Typed, most| match behind(&typed.bytes, most, running) {
            Some((start @ 1.., _)) => Some(typed.bytes[..start].to_vec()),
            _ => None,
        };
        let right = match wanted {
            None => running.handed_on.is_empty(),
            Some(typed) => self.readings(typed).any(|most| {
                let password = stands(typed, most);
                running.handed_on == Vec::from_iter(password)
            }),
        };
        require!(
            right,
            "handed on after {}: {:?}, typed: {:?}\n{}",
            self.code,
            running.handed_on,
            running.typed,
            running.log
        );
    }

    /// How many codes may be looked for behind a password: it is known, unless a fault or another
    /// login may be the reason for more or fewer.
    fn readings(&self, typed: &Typed) -> RangeInclusive<usize> {
        let exact = self.running.faults.is_empty() && !self.running.interrupted && self.alone;
        match typed.behind.filter(|_| exact) {
            Some(codes) => codes..=codes,
            None => 1..=3,
        }
    }

    fn meaning(&self, typed: &Typed) -> Meant {
        meaning(typed, *self.readings(typed).end(), &self.running)
    }

    fn check_prompts(&self) {
        let running = &self.running;
        let (prompts, tries) = running.prompts;
        let most = running.asking().0;
        require!(
            tries <= most,
            "{tries} tries, and {most} are allowed: {:?}\n{}",
            running.told,
            running.log
        );
        let only = running.line.first_pass == FirstPass::Use;
        require!(
            !only || prompts == 0,
            "{prompts} prompts with use_first_pass"
        );
        require!(prompts <= most * PROMPTS_A_TRY, "{prompts} prompts");
    }

    /// Nothing that was typed is shown or logged. The path of the machine has digits of its own.
    fn check_secrecy(&self) {
        let path = self.machine().path().display().to_string();
        let process = format!("[{}]", std::process::id());
        let said = format!("{}\n{}", self.running.log, self.running.told.join("\n"));
        let said = said.replace(&path, "").replace(&process, "");
        let words: Vec<&str> = said.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let shown = TRACES.iter().any(|trace| said.contains(trace));
        require!(!shown, "a password is shown or logged: {said}");
        for typed in &self.running.typed {
            let leaked = match self.meaning(typed) {
                Meant::Codes(codes) => codes.iter().any(|code| words.contains(&code.as_str())),
                Meant::Backup(code) => said.contains(&self.machine().codes[code]),
                Meant::Nothing => false,
            };
            require!(!leaked, "what was typed is shown or logged: {said}");
        }
    }

    fn machine(&self) -> &Machine {
        &self.running.machine
    }

    /// Whether a right code of this user may lead to anything at all.
    fn is_for_him(&self) -> bool {
        let his = match &self.running.odd {
            Some(Odd::User(User::Alias)) | None => true,
            Some(Odd::User(_)) => uid_of(self.user().as_bytes()) == Some(ALICE),
            Some(Odd::NoUser(_)) => false,
            Some(_) => true,
        };
        his && self.machine().enrolled && self.in_order && !self.may_ignore(self.end)
    }

    /// SUCCESS implies judged and spent.
    fn check_grant(&self, talk: &Talk) {
        let Some(typed) = self.running.typed.last() else {
            require!(false, "granted without an answer");
            return;
        };
        require!(self.is_for_him(), "granted to somebody who is not enrolled");
        match self.meaning(typed) {
            Meant::Backup(code) => self.check_backup_grant(code),
            Meant::Codes(_) => self.check_code_grant(typed.time, talk.has_broken_disk()),
            Meant::Nothing => require!(false, "granted for no code: {:?}", typed.bytes),
        }
    }

    fn check_backup_grant(&self, code: usize) {
        let machine = self.machine();
        require!(
            self.running.interrupted || machine.takes_backup(&self.before, code),
            "granted for a backup code that was spent or is not known to be unspent"
        );
        let mut granted = machine.granted.borrow_mut();
        let is_new = granted
            .backup
            .as_mut()
            .is_some_and(|codes| codes.insert(code));
        require!(
            is_new,
            "a backup code was granted twice, or after it was forgotten which were"
        );
        require!(
            machine.block().is_some_and(|state| state.is_spent(code)),
            "granted, and the backup code is not spent"
        );
    }

    fn check_code_grant(&self, time: i64, broken_disk: bool) {
        let machine = self.machine();
        let needed = match self.running.interrupted {
            // What the other login freed or mended may count.
            true => 1,
            false => machine.needed(&self.before, time),
        };
        require!(
            self.running.interrupted || !machine.is_suspended(&self.before),
            "granted for a verification code after too many failures"
        );
        let candidates = self.runs_of(needed, time);
        require!(
            !candidates.is_empty(),
            "granted for codes that are none, or not {needed} in a row: {:?}\n{}",
            self.running.typed,
            self.running.log
        );
        let mut granted = machine.granted.borrow_mut();
        // One that was interrupted may have spent its code before the other had its turn.
        let is_new = |(device, step): &&(usize, u64)| {
            let first = step - (needed as u64 - 1);
            let newest = granted.steps.get(device);
            let newest = match self.running.spent_by_then.get(device) == Some(step) {
                true if newest != Some(step) => self.granted.get(device),
                _ => newest,
            };
            newest.is_none_or(|newest| first > *newest)
        };
        let fresh: Vec<_> = candidates.iter().filter(is_new).collect();
        require!(
            !fresh.is_empty(),
            "granted for a code that was used, or is older than one that was: {candidates:?}, {:?}, {:?}\n{}",
            granted.steps,
            self.running.typed,
            self.running.log
        );
        let after = machine.look();
        let is_spent =
            |(device, step): &&&(usize, u64)| after.steps.get(device).is_some_and(|s| s >= step);
        let spent: Vec<_> = fresh.iter().filter(is_spent).collect();
        require!(!spent.is_empty(), "granted, and the code is not spent");
        let block = machine.block();
        let is_kept = |(device, step): &&&(usize, u64)| {
            let newest = block
                .as_ref()
                .and_then(|state| state.newest(&id_of(*device)));
            newest >= Some(*step)
        };
        require!(
            broken_disk || spent.iter().any(is_kept),
            "granted, and the disk was not to blame that the code is spent in /run alone"
        );
        for (device, step) in spent {
            let newest = granted.steps.entry(*device).or_default();
            *newest = (*step).max(*newest);
        }
    }

    /// For which device and step the last `needed` codes that were typed are codes in a row, however
    /// they may be read.
    fn runs_of(&self, needed: usize, time: i64) -> Vec<(usize, u64)> {
        let readings = (1..=3).map(|most| self.codes_typed(most));
        let runs = readings.flat_map(|typed| {
            let last = typed.len().checked_sub(needed).map(|first| &typed[first..]);
            last.map_or(Vec::new(), |last| self.steps_of(last, time, self.end))
        });
        runs.collect()
    }

    fn codes_typed(&self, most: usize) -> Vec<String> {
        let mut typed: Vec<String> = Vec::new();
        for answer in &self.running.typed {
            let readings = self.readings(answer);
            let most = most.clamp(*readings.start(), *readings.end());
            match meaning(answer, most, &self.running) {
                Meant::Codes(codes) => typed.extend(codes),
                _ => typed.push(String::new()),
            }
        }
        // Typing the same code again is told, and not counted.
        typed.dedup();
        typed
    }

    /// For which device and last step these are codes in a row, in a window between two times.
    fn steps_of(&self, codes: &[String], from: i64, to: i64) -> Vec<(usize, u64)> {
        let machine = self.machine();
        let mut found = Vec::new();
        for device in 0..machine.shapes.len() {
            let first = machine
                .step(device, from, 0)
                .map(|step| step.saturating_sub(1));
            let (Some(first), Some(last)) = (first, machine.step(device, to, 1)) else {
                continue;
            };
            for step in first.max(codes.len() as u64)..=last {
                let mut back = codes.iter().rev().zip((0..=step).rev());
                if back.all(|(code, step)| machine.code(device, step) == *code) {
                    found.push((device, step));
                }
            }
        }
        found
    }

    /// Nothing is wrong, and the first answer is right: then he must be let in.
    fn must_succeed(&self, talk: &Talk) -> bool {
        let (machine, seen) = (self.machine(), &self.before);
        let plain = talk.faults.is_empty()
            && talk.lost.is_none()
            && talk.disk.is_none()
            && matches!(talk.odd, None | Some(Odd::User(User::Alias)))
            && self.alone
            && !self.running.interrupted
            && machine.config.policy.is_some()
            && machine.enrolled
            && self.in_order
            && !self.may_ignore(self.start);
        let running = &self.running;
        // What is not enough may be the end of the password alone.
        let counts = |typed: &&Typed| match self.meaning(typed) {
            _ if !typed.earlier || running.line.first_pass == FirstPass::Use => true,
            Meant::Codes(codes) => Some(codes.len()) >= typed.behind,
            Meant::Backup(_) => true,
            Meant::Nothing => false,
        };
        let Some(typed) = running.typed.iter().find(counts).filter(|_| plain) else {
            return false;
        };
        let time = &typed.time;
        match self.meaning(typed) {
            Meant::Backup(code) => machine.takes_backup(seen, code),
            Meant::Codes(codes) => {
                let fresh = |(device, step): &(usize, u64)| {
                    let newest: &HashMap<usize, u64> = &seen.steps;
                    *step > 3
                        && newest
                            .get(device)
                            .is_none_or(|newest| step - (codes.len() as u64 - 1) > *newest)
                };
                codes.len() == machine.needed(seen, *time)
                    && !machine.is_suspended(seen)
                    && self.steps_of(&codes, *time, *time).iter().any(fresh)
            }
            Meant::Nothing => false,
        }
    }
}

/// An answer, as somebody reads it who knows what it should be.
enum Meant {
    Codes(Vec<String>),
    Backup(usize),
    Nothing,
}

fn meaning(typed: &Typed, most: usize, running: &Running) -> Meant {
    if typed.behind.is_some() {
        return behind(&typed.bytes, most, running).map_or(Meant::Nothing, |(_, meant)| meant);
    }
    let password = running
        .password
        .as_ref()
        .map(|password| password.to_bytes());
    if password == Some(&typed.bytes) || typed.bytes.len() > LONGEST {
        return Meant::Nothing;
    }
    let text = std::str::from_utf8(&typed.bytes).unwrap_or_default();
    let dashes = ['-', '‐', '‑', '‒', '–', '—', '―', '−'];
    let symbols: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && !dashes.contains(c))
        .collect();
    let digits = running.machine.digits();
    let mut shapes = digits
        .iter()
        .flat_map(|digits| (1..=3).map(move |codes| (codes, *digits)));
    let shape = shapes.find(|(codes, digits)| codes * digits == symbols.len());
    match (backup_code(&symbols, running), shape) {
        (Some(number), _) => Meant::Backup(number),
        (None, Some((_, digits))) => codes(&symbols, digits).map_or(Meant::Nothing, Meant::Codes),
        (None, None) => Meant::Nothing,
    }
}

/// The code behind a password, and where it begins: one of his backup codes, or as many verification
/// codes as there are, `most` at most.
fn behind(text: &[u8], most: usize, running: &Running) -> Option<(usize, Meant)> {
    if text.len() > LONGEST {
        return None;
    }
    let places = || (0..text.len()).filter(|place| !b" -".contains(&text[*place]));
    let symbols: String = places().map(|place| char::from(text[place])).collect();
    // Each is one char now, and those that count are one byte each.
    let places: Vec<usize> = places().collect();
    let tail = |length: usize| {
        let skipped = places.len().checked_sub(length)?;
        let tail: String = symbols.chars().skip(skipped).collect();
        Some((*places.get(skipped)?, tail))
    };
    if let Some((start, tail)) = tail(12)
        && let Some(number) = backup_code(&tail, running)
    {
        return Some((start, Meant::Backup(number)));
    }
    let mut digits = running.machine.digits();
    digits.sort_by_key(|digits| usize::MAX - digits);
    let mut shapes = (1..=most)
        .rev()
        .flat_map(|codes| digits.iter().map(move |d| (codes, *d)));
    shapes.find_map(|(number, digits)| {
        let (start, tail) = tail(number * digits)?;
        Some((start, Meant::Codes(codes(&tail, digits)?)))
    })
}

/// The longest answer that is looked at.
const LONGEST: usize = 512;

fn backup_code(symbols: &str, running: &Running) -> Option<usize> {
    let symbols = symbols.to_ascii_lowercase();
    let codes = &running.machine.codes;
    codes
        .iter()
        .position(|code| code.replace('-', "") == symbols)
}

fn codes(symbols: &str, digits: usize) -> Option<Vec<String>> {
    let is_number = symbols.bytes().all(|byte| byte.is_ascii_digit());
    let code = |code: &[u8]| String::from_utf8_lossy(code).into_owned();
    is_number.then(|| symbols.as_bytes().chunks(digits).map(code).collect())
}

fn contains(text: &[u8], word: &str) -> bool {
    text.windows(word.len())
        .any(|window| window == word.as_bytes())
}
