//! The programs that let people in, each with the PAM files that Debian ships for it.

use mfa_tests::{
    PASSWORD,
    enrolled::{Enrolled, STEP, now},
    machine::Machine,
    pty::Pty,
    sshd::Sshd,
};

/// What a person is asked for, and types.
#[derive(Clone, Debug)]
pub enum Step {
    /// The password.
    Password(String),
    /// A code.
    Code(String),
}

/// How a door looks from outside.
pub struct Door<'d> {
    /// Opens it for a user.
    pub open: Box<dyn Fn(&str) -> Pty + Sync + 'd>,
    /// The end of its question for the password.
    pub password: &'static str,
    /// What appears when somebody was refused.
    pub refused: &'static str,
}

const CODE: &str = "ode or backup code: ";
/// What the users' commands write.
const GREETING: &str = "echo let in";
const LET_IN: &str = "let in\r\n";

/// The right password, and this code.
pub fn password_and(code: &str) -> Vec<Step> {
    vec![
        Step::Password(PASSWORD.to_owned()),
        Step::Code(code.to_owned()),
    ]
}

/// The right password and three times a wrong code.
pub fn password_and_wrong(alice: &Enrolled) -> Vec<Step> {
    let wrong = Step::Code(wrong_code(alice));
    let mut steps = vec![Step::Password(PASSWORD.to_owned())];
    steps.extend([wrong.clone(), wrong.clone(), wrong]);
    steps
}

/// The password alone.
pub fn password(password: &str) -> Vec<Step> {
    vec![Step::Password(password.to_owned())]
}

/// A code that is not good now.
pub fn wrong_code(alice: &Enrolled) -> String {
    alice.wrong_code_at(now())
}

/// The next code, which is good already and stays so for two steps.
pub fn code(alice: &Enrolled) -> String {
    alice.code_at(now() + STEP)
}

impl Door<'_> {
    /// Whoever is asked for just this, and types it, gets in.
    #[track_caller]
    pub fn lets_in(&self, user: &str, steps: &[Step]) {
        self.walk(user, steps, true);
    }

    /// Whoever is asked for just this, and types it, is refused.
    #[track_caller]
    pub fn refuses(&self, user: &str, steps: &[Step]) {
        self.walk(user, steps, false);
    }

    #[track_caller]
    fn walk(&self, user: &str, steps: &[Step], let_in: bool) {
        let mut pty = (self.open)(user);
        for step in steps {
            let (asked, typed) = match step {
                Step::Password(typed) => (0, typed),
                Step::Code(typed) => (1, typed),
            };
            self.assert_next(&mut pty, asked, steps);
            pty.send_line(typed);
        }
        self.assert_next(&mut pty, if let_in { 2 } else { 3 }, steps);
    }

    #[track_caller]
    fn assert_next(&self, pty: &mut Pty, expected: usize, steps: &[Step]) {
        let possible = [self.password, CODE, LET_IN, self.refused];
        let (next, _) = pty.expect_any(&possible);
        let (next, expected) = (possible[next], possible[expected]);
        assert_eq!(next, expected, "{steps:?}\n{}", pty.transcript());
    }
}

/// ssh to a running sshd with these options.
pub fn ssh<'d>(sshd: &'d Sshd, options: &'d [&'d str]) -> Door<'d> {
    let once = ["-oNumberOfPasswordPrompts=1"];
    let open = move |user: &str| sshd.ssh(user, &[&once, options].concat(), GREETING);
    Door {
        open: Box::new(open),
        password: "assword: ",
        refused: "Permission denied",
    }
}

/// The machine's own sshd_config, and for what it does not say the defaults of sshd: nothing but
/// the document's file is ours. The harness adds port and host key.
pub fn sshd(machine: &Machine) -> Sshd<'_> {
    let defaults = "Include /etc/ssh/sshd_config\n\
                    PasswordAuthentication yes\n\
                    UsePAM no\n\
                    PermitRootLogin prohibit-password";
    Sshd::start(machine, defaults)
}

/// `su USER`, called by carol.
pub fn su<'d>(machine: &'d Machine, words: &'d [&'d str]) -> Door<'d> {
    let open = move |user: &str| {
        let words = [words, &[user, "-c", GREETING]].concat();
        machine.spawn_pty("carol", &words)
    };
    Door {
        open: Box::new(open),
        password: "Password: ",
        refused: "su: Authentication failure",
    }
}

/// `sudo`, called by the user.
pub fn sudo<'d>(machine: &'d Machine, words: &'d [&'d str]) -> Door<'d> {
    let open = move |user: &str| {
        let words = [words, &["echo", "let in"]].concat();
        machine.spawn_pty(user, &words)
    };
    Door {
        open: Box::new(open),
        password: "password for ",
        refused: "incorrect password attempt",
    }
}

/// `login` on a terminal. The shell that it starts is told to greet.
pub fn login(machine: &Machine) -> Door<'_> {
    let open = move |user: &str| {
        machine.write(&format!("/home/{user}/.profile"), GREETING, "0644");
        machine.spawn_pty("root", &["login", user])
    };
    Door {
        open: Box::new(open),
        password: "Password: ",
        refused: "Login incorrect",
    }
}
