//! Whether what came out of a login is right.
//!
//! What is checked here rests on the secrets, the time, the files as they were before, and what was
//! granted already; never on what the module decides.

use std::collections::HashMap;

use crate::libpam::{ABORT, AUTHINFO_UNAVAIL, CONV_ERR, IGNORE, SERVICE_ERR, SUCCESS, until_nul};
use crate::login::{Expected, PASSWORD};
use crate::machine::{Machine, Seen, id_of};
use crate::require;
use crate::scenario::{Odd, Talk, User, Word};
use crate::stage::Running;

/// How many prompts one try can have: three codes, and three times the same one again.
const PROMPTS_A_TRY: usize = 6;

/// A login that has ended.
pub struct Outcome<'t> {
    /// The PAM code.
    pub code: i32,
    /// When it ended.
    pub end: i64,
    /// What lay on the disk before.
    pub before: Seen,
    /// Not while another one holds the lock, perhaps.
    pub alone: bool,
    /// What came in, and what was said.
    pub running: Running,
    /// The arguments, if they are odd.
    pub words: Option<&'t [Word]>,
}

impl Outcome<'_> {
    /// Checks everything that must be so.
    pub fn check(&self, talk: &Talk) {
        let (code, running) = (self.code, &self.running);
        require!(code != IGNORE, "there is no policy that says so");
        require!(code != ABORT, "a panic: {}", running.log);
        let known = [SUCCESS, SERVICE_ERR, 7, AUTHINFO_UNAVAIL, 11, CONV_ERR, 31];
        require!(known.contains(&code), "PAM code {code}");
        self.check_prompts();
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

    fn check_prompts(&self) {
        let (prompts, tries) = self.running.prompts;
        let most = self.machine().config.tries;
        require!(tries <= most, "{tries} tries, and {most} are allowed");
        require!(prompts <= most * PROMPTS_A_TRY, "{prompts} prompts");
    }

    /// Nothing that was typed is shown or logged. The path of the machine has digits of its own.
    fn check_secrecy(&self) {
        let path = self.machine().path().display().to_string();
        let process = format!("[{}]", std::process::id());
        let said = format!("{}\n{}", self.running.log, self.running.told.join("\n"));
        let said = said.replace(&path, "").replace(&process, "");
        let words: Vec<&str> = said.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        for (_, text) in &self.running.typed {
            let leaked = match meaning(text, &self.running) {
                Meant::Codes(codes) => codes.iter().any(|code| words.contains(&code.as_str())),
                Meant::Backup(code) => said.contains(&self.machine().codes[code]),
                Meant::Nothing => said.contains(PASSWORD),
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
            Some(Odd::User(User::Raw(name))) => {
                let name = until_nul(name.clone()).into_bytes();
                crate::machine::uid_of(&name) == Some(1000)
            }
            Some(Odd::User(_) | Odd::NoUser(_)) => false,
            Some(_) => true,
        };
        let words = self.words.map(|words| Expected::of(words, self.machine()));
        his && self.machine().enrolled && words.is_none_or(|words| words == Expected::Ours)
    }

    /// SUCCESS implies judged and spent.
    fn check_grant(&self, talk: &Talk) {
        let Some((time, text)) = self.running.typed.last() else {
            require!(false, "granted without an answer");
            return;
        };
        require!(self.is_for_him(), "granted to somebody who is not enrolled");
        match meaning(text, &self.running) {
            Meant::Backup(code) => self.check_backup_grant(code),
            Meant::Codes(_) => self.check_code_grant(*time, talk.has_broken_disk()),
            Meant::Nothing => require!(false, "granted for no code: {text:?}"),
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
            "granted for codes that are none, or not {needed} in a row"
        );
        let mut granted = machine.granted.borrow_mut();
        let is_new = |(device, step): &&(usize, u64)| {
            let first = step - (needed as u64 - 1);
            granted
                .steps
                .get(device)
                .is_none_or(|newest| first > *newest)
        };
        let fresh: Vec<_> = candidates.iter().filter(is_new).collect();
        require!(
            !fresh.is_empty(),
            "granted for a code that was used, or is older than one that was"
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
            granted.steps.insert(*device, *step);
        }
    }

    /// For which device and step the last `needed` codes that were typed are codes in a row.
    fn runs_of(&self, needed: usize, time: i64) -> Vec<(usize, u64)> {
        let mut typed: Vec<String> = Vec::new();
        for (_, text) in &self.running.typed {
            match meaning(text, &self.running) {
                Meant::Codes(codes) => typed.extend(codes),
                _ => typed.push(String::new()),
            }
        }
        // Typing the same code again is told, and not counted.
        typed.dedup();
        let last = &typed[typed.len().saturating_sub(needed)..];
        self.steps_of(last, time, self.end)
            .into_iter()
            .filter(|_| last.len() == needed)
            .collect()
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
            && talk.disk.is_none()
            && matches!(talk.odd, None | Some(Odd::User(User::Alias) | Odd::NoItems))
            && self.alone
            && !self.running.interrupted
            && machine.config.is_plain
            && machine.enrolled;
        let Some((time, text)) = self.running.typed.first().filter(|_| plain) else {
            return false;
        };
        match meaning(text, &self.running) {
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

fn meaning(text: &[u8], running: &Running) -> Meant {
    let is_password = running
        .password
        .as_ref()
        .is_some_and(|p| p.to_bytes() == text);
    let Some(text) = std::str::from_utf8(text)
        .ok()
        .filter(|t| t.len() <= 512 && !is_password)
    else {
        return Meant::Nothing;
    };
    let dashes = ['-', '‐', '‑', '‒', '–', '—', '―', '−'];
    let symbols: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && !dashes.contains(c))
        .collect();
    let symbols = symbols.to_ascii_lowercase();
    let is_it = |code: &String| code.replace('-', "") == symbols;
    if let Some(number) = running.machine.codes.iter().position(is_it) {
        return Meant::Backup(number);
    }
    let digits = running
        .machine
        .shapes
        .iter()
        .map(|shape| usize::from(shape.digits));
    let fits = |digits: &usize| (1..=3).any(|codes| codes * digits == symbols.len());
    match digits.into_iter().find(fits) {
        Some(digits) if symbols.bytes().all(|byte| byte.is_ascii_digit()) => {
            let codes = symbols.as_bytes().chunks(digits);
            Meant::Codes(
                codes
                    .map(|c| String::from_utf8_lossy(c).into_owned())
                    .collect(),
            )
        }
        _ => Meant::Nothing,
    }
}
