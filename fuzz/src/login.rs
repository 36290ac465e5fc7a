//! The logins of a scenario: what the application passes on and what the person types.

use std::cell::RefCell;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use crate::libpam::{self, Answer, CONV_ERR, SILENT, SUCCESS, authenticate, until_nul};
use crate::machine::{Machine, Workshop};
use crate::outcome::Outcome;
use crate::require;
use crate::scenario::{Filler, Later, Login, Odd, Reply, Scenario, Talk, Typed, User, Word};
use crate::stage::{self, Meanwhile, Running};

/// What was typed before the module is asked.
pub const PASSWORD: &str = "correct horse battery";
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
    fn without_troubles(&self) -> Talk {
        Talk {
            faults: Vec::new(),
            disk: None,
            odd: None,
            ..self.clone()
        }
    }
}

/// A login with these arguments, whose first answer is right. Says the PAM code, and how often it
/// was asked.
pub fn with_words(words: Vec<Word>, silent: bool) -> (i32, usize, Expected) {
    let machine = WORKSHOP.with_borrow_mut(|workshop| workshop.machine(&Scenario::plain()));
    let expected = Expected::of(&words, &machine);
    let talk = Talk {
        silent,
        replies: vec![Reply::code()],
        faults: Vec::new(),
        disk: None,
        odd: Some(Odd::Words(words)),
    };
    let (code, prompts) = check(&machine, &talk, None);
    (code, prompts, expected)
}

impl Scenario {
    /// Somebody who types a right code.
    pub fn plain() -> Scenario {
        use crate::scenario::{Block, Pairs, Start};
        let talk = Talk {
            silent: false,
            replies: vec![Reply::code()],
            faults: Vec::new(),
            disk: None,
            odd: None,
        };
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
        }
    }
}

/// What the arguments lead to.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Expected {
    /// One of them is no argument of ours.
    Error,
    /// They name the directory of the machine.
    Ours,
    /// They name another one, in which there is nothing.
    Elsewhere,
}

impl Expected {
    /// What these lead to.
    pub fn of(words: &[Word], machine: &Machine) -> Expected {
        let mut expected = Expected::Elsewhere;
        for word in argv(Some(words), machine) {
            let word = word.to_string_lossy();
            match word.strip_prefix("root=").map(Path::new) {
                Some(dir) if dir == machine.path() => expected = Expected::Ours,
                Some(dir) if dir.is_absolute() => expected = Expected::Elsewhere,
                _ => return Expected::Error,
            }
        }
        expected
    }
}

fn argv(words: Option<&[Word]>, machine: &Machine) -> Vec<CString> {
    let root = machine.path().as_os_str().as_bytes();
    let ours = [Word::Ours(Vec::new())];
    let words = words.unwrap_or(&ours).iter().map(|word| match word {
        Word::Ours(more) => [b"root=", root, more].concat(),
        Word::Root(dir) => [b"root=".as_slice(), dir].concat(),
        Word::Raw(word) => word.clone(),
    });
    words.map(until_nul).collect()
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
        let password = match talk.odd {
            Some(Odd::Password(true)) => {
                let step = machine.step(0, stage::now(), 0);
                machine.code(0, step.unwrap_or_default())
            }
            _ => PASSWORD.to_owned(),
        };
        Running {
            machine: machine.clone(),
            user: user.map(|name| until_nul(name.to_vec())),
            password: Some(until_nul(password.into_bytes())),
            replies: talk.replies.clone().into(),
            odd: talk.odd.clone(),
            faults: talk.faults.clone(),
            disk: talk.disk.clone(),
            meanwhile,
            calls: 0,
            interrupted: false,
            typed: Vec::new(),
            told: Vec::new(),
            prompts: (0, 0),
            log: String::new(),
            log_socket: -1,
        }
    }

    /// What the application says to a message that merely informs.
    pub fn hears(&mut self, text: &str) -> Answer {
        self.told.push(text.to_owned());
        match self.told.len() % 5 {
            4 => Answer::Fails(CONV_ERR),
            _ => Answer::Fails(SUCCESS),
        }
    }

    /// The answer to a prompt.
    pub fn answer(&mut self, prompt: &str) -> Answer {
        self.told.push(prompt.to_owned());
        self.prompts.0 += 1;
        if !prompt.ends_with("as soon as it changes: ") {
            self.prompts.1 += 1;
        }
        let Some(reply) = self.replies.pop_front() else {
            return Answer::Fails(SUCCESS);
        };
        stage::sleep(i64::from(reply.wait), 0);
        if let Typed::Fails(code) = reply.what {
            return Answer::Fails(i32::from(code % 32));
        }
        let bytes = until_nul(self.bytes_of(&reply)).into_bytes();
        self.typed.push((stage::now(), bytes.clone()));
        Answer::Types(bytes)
    }

    fn bytes_of(&self, reply: &Reply) -> Vec<u8> {
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
            Typed::Again => return self.typed.last().map_or(vec![], |(_, text)| text.clone()),
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

/// Logs in, and checks everything that must be so. Says the PAM code, and how often it was asked.
fn check(machine: &Rc<Machine>, talk: &Talk, meanwhile: Option<Meanwhile>) -> (i32, usize) {
    let words = match &talk.odd {
        Some(Odd::Words(words)) => Some(words.as_slice()),
        _ => None,
    };
    let argv = argv(words, machine);
    let flags = if talk.silent { SILENT } else { 0 };
    let before = machine.look();
    let alone = !stage::is_occupied();
    let running = Running::new(machine, talk, meanwhile);
    let (code, running) = stage::run(running, || authenticate(flags, &argv));
    let outcome = Outcome {
        code,
        end: stage::now(),
        before,
        alone,
        running,
        words,
    };
    outcome.check(talk);
    (code, outcome.running.prompts.0)
}

/// What the codes of `pam_sm_authenticate` are for the arguments.
impl Expected {
    /// The PAM code, and how often it is asked.
    pub fn outcome(self) -> (i32, usize) {
        match self {
            Expected::Error => (libpam::SERVICE_ERR, 0),
            Expected::Elsewhere => (libpam::AUTHINFO_UNAVAIL, 0),
            Expected::Ours => (libpam::SUCCESS, 1),
        }
    }
}
