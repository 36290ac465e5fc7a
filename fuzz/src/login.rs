//! The logins of a scenario: what the application passes on and what the person types.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

use crate::libpam::{self, Answer, CONV_ERR, SILENT, SUCCESS, authenticate, until_nul};
use crate::line::{FirstPass, Line};
use crate::machine::{Machine, Workshop};
use crate::outcome::Outcome;
use crate::policy::{PROMPT, SERVICES, host};
use crate::require;
use crate::scenario::{Filler, Later, Login, Odd, Reply, Scenario, Talk, Typed, User, Word};
use crate::stage::{self, Meanwhile, Running, Typed as Answered};

/// Passwords; the first was typed before the module is asked. Some end like a code.
const PASSWORDS: [&[u8]; 4] = [
    b"correct horse battery",
    b"Tr0ub4dor123456",
    b"st\xe4ple ",
    b"my wxyz-abcd-2345",
];
/// What gives them away.
pub const TRACES: [&str; 3] = ["correct horse", "Tr0ub4dor", "wxyz-abcd"];
const MOST_LOGINS: usize = 6;

thread_local! {
    static WORKSHOP: RefCell<Workshop> = RefCell::new(Workshop::new());
}

/// Plays a scenario.
pub fn play(scenario: &Scenario) {
    let machine = WORKSHOP.with_borrow_mut(|workshop| workshop.machine(scenario));
    for login in scenario.logins.iter().take(MOST_LOGINS) {
        stage::sleep(i64::from(login.later), 0);
        one_login(&machine, login);
    }
    require!(machine.has_its_record(), "a login changed the record");
}

/// The first login, before the fuzzer has its hook for panics: the module would replace it.
pub fn warm_up() {
    let hook = std::panic::take_hook();
    play(&Scenario::plain());
    std::panic::set_hook(hook);
}

fn one_login(machine: &Rc<Machine>, login: &Login) {
    let other = login.meanwhile.clone().map(|(at, talk)| {
        let talk = talk.unwrap_or_else(|| login.talk.without_troubles());
        let machine = machine.clone();
        let login = Box::new(move || {
            check(&machine, &talk, None);
        });
        Meanwhile { at, login }
    });
    check(machine, &login.talk, other);
}

impl Talk {
    /// Nothing goes wrong, and these are the replies.
    fn plain(replies: Vec<Reply>) -> Talk {
        Talk {
            silent: false,
            replies,
            faults: Vec::new(),
            disk: None,
            odd: None,
            line: None,
            authtok: None,
            host: 0,
            lost: None,
        }
    }

    fn without_troubles(&self) -> Talk {
        Talk {
            faults: Vec::new(),
            disk: None,
            odd: None,
            lost: None,
            ..self.clone()
        }
    }
}

/// A login with these arguments, whose first answer is right. Says the PAM code, and how often it
/// was asked.
pub fn with_words(words: Vec<Word>, silent: bool) -> (i32, usize, Expected) {
    let machine = WORKSHOP.with_borrow_mut(|workshop| workshop.machine(&Scenario::plain()));
    let talk = Talk {
        silent,
        odd: Some(Odd::Words(words)),
        ..Talk::plain(vec![Reply::code()])
    };
    let line = Line::read(&talk.argv(&machine));
    let expected = Expected::of(line.as_ref(), &machine);
    let outcome = check(&machine, &talk, None);
    let running = &outcome.running;
    let prompt = line.and_then(|line| line.prompt);
    if let Some(prompt) = prompt.filter(|_| running.prompts.0 > 0) {
        let right = running.told.first() == Some(&prompt);
        require!(right, "{:?} instead of {prompt:?}", running.told);
    }
    (outcome.code, running.prompts.0, expected)
}

impl Scenario {
    /// Somebody who types a right code.
    pub fn plain() -> Scenario {
        use crate::scenario::{Block, Pairs, Start};
        let talk = Talk::plain(vec![Reply::code()]);
        Scenario {
            shapes: (0, None, None),
            damage: None,
            block: Block::Fresh,
            twin: None,
            guesses: 0,
            pairs: Pairs::Today(0),
            config: None,
            start: Start::After(1),
            logins: vec![Login {
                later: 0,
                talk,
                meanwhile: None,
            }],
        }
    }
}

impl Reply {
    fn code() -> Reply {
        Reply {
            wait: 0,
            what: Typed::Code(0, Later::NOW),
            filler: Filler::None,
            password: None,
        }
    }
}

/// What the arguments lead to, if somebody types a right code and typed his password before.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Expected {
    /// Something in them is not in order.
    Error,
    /// They name another directory than that of the machine, in which there is nothing.
    Elsewhere,
    /// The password is all there is, and no code stands behind it.
    NoCode,
    Granted,
}

impl Expected {
    fn of(line: Option<&Line>, machine: &Machine) -> Expected {
        match line {
            None => Expected::Error,
            Some(line) if !line.leads_to(machine) => Expected::Elsewhere,
            Some(line) if line.first_pass == FirstPass::Use => Expected::NoCode,
            Some(_) => Expected::Granted,
        }
    }

    /// The PAM code, and how often it is asked.
    pub fn outcome(self) -> (i32, usize) {
        match self {
            Expected::Error => (libpam::SERVICE_ERR, 0),
            Expected::Elsewhere => (libpam::AUTHINFO_UNAVAIL, 0),
            Expected::NoCode => (libpam::AUTH_ERR, 0),
            Expected::Granted => (libpam::SUCCESS, 1),
        }
    }
}

impl Line {
    /// Whether the files are those of the machine.
    pub fn leads_to(&self, machine: &Machine) -> bool {
        self.root.as_deref() == Some(machine.path())
    }
}

impl Talk {
    fn argv(&self, machine: &Machine) -> Vec<CString> {
        let root = machine.path().as_os_str().as_bytes();
        let words = match (&self.odd, &self.line) {
            (Some(Odd::Words(words)), _) => words.clone(),
            (_, Some(line)) => line.words(),
            _ => vec![Word::Ours(Vec::new())],
        };
        let words = words.iter().map(|word| word.bytes(root));
        words.map(until_nul).collect()
    }
}

impl Word {
    fn bytes(&self, root: &[u8]) -> Vec<u8> {
        const FLAGS: [&str; 8] = [
            "echo",
            "debug",
            "forward_pass",
            "try_first_pass",
            "use_first_pass",
            "tries",
            "prompt",
            "root",
        ];
        const KEYS: [&str; 6] = ["service", "prompt", "tries", "root", "echo", "debug"];
        let value = |key: &str, value: &[u8]| [key.as_bytes(), b"=", value].concat();
        match self {
            Word::Ours(more) => value("root", &[root, more].concat()),
            Word::Root(dir) => value("root", dir),
            Word::Raw(word) => word.clone(),
            Word::Flag(number) => FLAGS[usize::from(number % 8)].into(),
            Word::Value(number, text) => value(KEYS[usize::from(number % 6)], text),
            Word::Tries(number) => value("tries", (number % 14).to_string().as_bytes()),
            Word::LongPrompt(number) => {
                let more = usize::from(number % 12);
                value("prompt", &[&[b'x'; 248][..], &b": ".repeat(more)].concat())
            }
        }
    }
}

impl crate::scenario::Line {
    fn words(&self) -> Vec<Word> {
        let asking = &self.asking;
        let first_pass = self
            .first_pass
            .map(|only| Word::Flag(if only { 4 } else { 3 }));
        let service = self.service.map(|other| SERVICES[usize::from(other)]);
        let words = [
            Some(Word::Ours(Vec::new())),
            first_pass,
            self.forward.then_some(Word::Flag(2)),
            self.debug.then_some(Word::Flag(1)),
            (asking.echo == Some(true)).then_some(Word::Flag(0)),
            asking.tries.map(|number| Word::Tries(1 + number % 10)),
            asking.prompt.then(|| Word::Value(1, PROMPT.into())),
            service.map(|name| Word::Value(0, name.into())),
        ];
        words.into_iter().flatten().collect()
    }
}

impl Running {
    fn new(machine: &Rc<Machine>, talk: &Talk, meanwhile: Option<Meanwhile>) -> Running {
        let user: Option<&[u8]> = match &talk.odd {
            Some(Odd::User(User::Alias)) => Some(b"alias"),
            Some(Odd::User(User::NotEnrolled)) => Some(b"bob"),
            Some(Odd::User(User::Null)) => None,
            Some(Odd::User(User::Raw(name))) => Some(name),
            _ => Some(b"alice"),
        };
        let mut running = Running {
            machine: machine.clone(),
            user: user.map(|name| until_nul(name.to_vec())),
            password: None,
            replies: talk.replies.clone().into(),
            odd: talk.odd.clone(),
            faults: talk.faults.clone(),
            disk: talk.disk.clone(),
            meanwhile,
            calls: 0,
            interrupted: false,
            spent_by_then: HashMap::new(),
            always_lost: talk.lost,
            lost: false,
            line: Line::default(),
            host: host(talk.host).0,
            networks: host(talk.host).1,
            typed: Vec::new(),
            handed_on: Vec::new(),
            told: Vec::new(),
            prompts: (0, 0),
            log: String::new(),
            log_socket: -1,
        };
        running.password = match &talk.authtok {
            _ if talk.odd == Some(Odd::NoItems) => None,
            None => Some(PASSWORDS[0].to_vec()),
            Some(Reply {
                what: Typed::Fails(_),
                ..
            }) => None,
            Some(reply) => Some(running.bytes_of(reply)),
        }
        .map(until_nul);
        running
    }

    /// With these arguments an earlier password counts as an answer.
    fn with_line(mut self, line: Line, needed: usize) -> Running {
        if let Some(password) = self
            .password
            .as_ref()
            .filter(|_| line.first_pass != FirstPass::No)
        {
            self.typed.push(Answered {
                time: stage::now(),
                bytes: password.to_bytes().to_vec(),
                behind: Some(needed),
                earlier: true,
            });
        }
        self.line = line;
        self
    }

    /// What the application says to a message that merely informs.
    pub fn hears(&mut self, text: &str) -> Answer {
        self.told.push(text.to_owned());
        match self.told.len() % 5 {
            4 => Answer::Fails(CONV_ERR),
            _ => Answer::Fails(SUCCESS),
        }
    }

    /// The answer to a prompt; `needed`: how many codes are looked for if it may be the password with
    /// codes behind it.
    pub fn answer(&mut self, prompt: &str, needed: Option<usize>, echo: bool) -> Answer {
        self.told.push(prompt.to_owned());
        self.prompts.0 += 1;
        let begins = !prompt.ends_with("as soon as it changes: ");
        self.prompts.1 += usize::from(begins);
        let behind = needed.filter(|_| begins);
        let is_known = self.machine.config.policy.is_some();
        let right = echo == (self.asking().1 && behind.is_none());
        require!(right || !is_known, "shown: {echo}, at {prompt:?}");
        let Some(reply) = self.replies.pop_front() else {
            return Answer::Fails(SUCCESS);
        };
        stage::sleep(i64::from(reply.wait), 0);
        if let Typed::Fails(code) = reply.what {
            return Answer::Fails(i32::from(code % 32));
        }
        let bytes = until_nul(self.bytes_of(&reply)).into_bytes();
        self.typed.push(Answered {
            time: stage::now(),
            bytes: bytes.clone(),
            behind,
            earlier: false,
        });
        Answer::Types(bytes)
    }

    /// The service whose policy holds.
    pub fn service(&self) -> &str {
        self.line.service.as_deref().unwrap_or(SERVICES[0])
    }

    /// How many tries there are, and whether what is typed is shown.
    pub fn asking(&self) -> (usize, bool) {
        let (tries, echo) = self.machine.config.asking(self.service());
        let tries = match self.line.first_pass {
            FirstPass::Use => 1,
            _ => self.line.tries.unwrap_or(tries),
        };
        (tries, echo || self.line.echo)
    }

    fn bytes_of(&self, reply: &Reply) -> Vec<u8> {
        let password = reply
            .password
            .map(|number| PASSWORDS[usize::from(number % 4)]);
        [password.unwrap_or_default(), &self.code_of(reply)].concat()
    }

    fn code_of(&self, reply: &Reply) -> Vec<u8> {
        let machine = &self.machine;
        let code = |device: u8, later: i64| {
            let device = usize::from(device) % machine.shapes.len();
            let step = machine.step(device, stage::now(), later);
            machine.code(device, step.unwrap_or_default())
        };
        let text = match &reply.what {
            Typed::Code(device, later) => code(*device, later.steps()),
            Typed::Run(device, last, three) => (i64::from(!three)..3)
                .map(|number| code(*device, last.steps() - 2 + number))
                .collect(),
            Typed::Backup(number) => {
                machine.codes[usize::from(*number) % machine.codes.len()].clone()
            }
            Typed::Wrong(device) => {
                let code = code(*device, 0);
                let (rest, last) = code.split_at(code.len() - 1);
                format!("{rest}{}", if last == "9" { 0 } else { 9 })
            }
            Typed::TooLong(device) => format!("{}{}", code(*device, 0), " ".repeat(506)),
            Typed::Password => {
                return self
                    .password
                    .as_ref()
                    .map_or(vec![], |p| p.to_bytes().into());
            }
            Typed::Again => return self.typed.last().map_or(vec![], |last| last.bytes.clone()),
            Typed::Raw(bytes) => return bytes.clone(),
            Typed::Fails(_) => unreachable!("it types nothing"),
        };
        let with = |filler: &str| text.chars().map(|c| format!("{c}{filler}")).collect();
        let text: String = match reply.filler {
            Filler::None => text,
            Filler::Blanks => with(" \u{a0}"),
            Filler::Dashes => with("\u{2013}"),
            Filler::Capitals => text.to_uppercase(),
        };
        text.into_bytes()
    }
}

/// Logs in, and checks everything that must be so.
fn check(machine: &Rc<Machine>, talk: &Talk, meanwhile: Option<Meanwhile>) -> Outcome {
    let argv = talk.argv(machine);
    let line = Line::read(&argv);
    let flags = if talk.silent { SILENT } else { 0 };
    let before = machine.look();
    let alone = !stage::is_occupied();
    let granted = machine.granted.borrow().steps.clone();
    let start = stage::now();
    let running = Running::new(machine, talk, meanwhile);
    let running = match &line {
        Some(line) => running.with_line(line.clone(), machine.needed(&before, start)),
        None => running,
    };
    let (code, running) = stage::run(running, || authenticate(flags, &argv));
    let outcome = Outcome {
        code,
        start,
        end: stage::now(),
        before,
        granted,
        alone,
        running,
        // The policy goes by the service.
        in_order: talk.odd != Some(Odd::NoItems) && line.is_some_and(|line| line.leads_to(machine)),
    };
    outcome.check(talk);
    outcome
}
