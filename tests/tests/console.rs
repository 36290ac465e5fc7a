//! `login`, `su` and `sudo` on a real terminal, with the module behind the password.

use std::thread;

use mfa_tests::{
    PASSWORD,
    enrolled::{Enrolled, STEP, now},
    machine::Machine,
    need, need_root,
    pty::Pty,
};

const STACK: &str = "auth required pam_unix.so\nauth required pam_mfa.so\n";
const PROMPT: &str = "Verification code or backup code: ";
const WRONG: &str = "Wrong code.";
const USED: &str = "This code was already used. Wait for the next one.";
const SPENT: &str = "This backup code was already used. Take another one.";

/// One of the programs that ask on a terminal.
struct Program {
    service: &'static str,
    /// Who calls it.
    user: &'static str,
    words: &'static [&'static str],
    password_prompt: &'static str,
    /// Whether it shows what modules tell: sudo passes `PAM_SILENT`, up to 1.9.15 always.
    tells: bool,
    /// What it says when it has refused.
    refusal: &'static str,
    /// What appears when it has let in.
    success: &'static str,
}

const LOGIN: Program = Program {
    service: "login",
    user: "root",
    words: &["login", "alice"],
    password_prompt: "Password: ",
    tells: true,
    refusal: "Login incorrect",
    success: "$ ",
};

const SU: Program = Program {
    service: "su",
    user: "bob",
    words: &["su", "alice", "-c", "id -un"],
    password_prompt: "Password: ",
    tells: true,
    refusal: "su: Authentication failure",
    success: "\r\nalice\r\n",
};

const SUDO: Program = Program {
    service: "sudo",
    user: "alice",
    words: &["sudo", "id", "-un"],
    password_prompt: "password for alice: ",
    tells: false,
    refusal: "sudo: 1 incorrect password attempt",
    success: "\r\nroot\r\n",
};

/// Alice may use sudo, which forgets her at once, so that each call asks.
const SUDOERS: &str =
    "Defaults passwd_tries=1, timestamp_timeout=0, lecture=never\nalice ALL=(ALL) ALL\n";

fn machine(program: &Program) -> (Machine, Enrolled) {
    let (machine, alice) = Machine::with_alice();
    machine.add_user("bob");
    machine.stack(program.service, STACK);
    // The module's own delay is the longer one then.
    machine.sh("sed -i 's/^FAIL_DELAY.*/FAIL_DELAY 1/' /etc/login.defs");
    if program.service == "sudo" {
        machine.write("/etc/sudoers.d/alice", SUDOERS, "0440");
    }
    (machine, alice)
}

/// The next code, which is good already and stays so for two steps.
fn code(alice: &Enrolled) -> String {
    alice.code_at(now() + STEP)
}

impl Program {
    /// The program, which was given the password and asks for a code.
    #[track_caller]
    fn start(&self, machine: &Machine) -> Pty {
        let mut pty = machine.spawn_pty(self.user, self.words);
        pty.expect(self.password_prompt);
        pty.send_line(PASSWORD);
        pty.expect(PROMPT);
        pty
    }

    /// Gives a code that is let in; what was shown until then.
    #[track_caller]
    fn assert_granted(&self, mut pty: Pty, code: &str) -> String {
        pty.send_line(code);
        let (which, shown) = pty.expect_any(&[self.success, self.refusal]);
        assert_eq!(which, 0, "{}", pty.transcript());
        assert!(!pty.transcript().contains(code), "{}", pty.transcript());
        shown
    }

    /// Gives the code three times, and is told this each time.
    #[track_caller]
    fn assert_refused(&self, mut pty: Pty, code: &str, told: &str) {
        for _ in 0..2 {
            pty.send_line(code);
            let before = pty.expect(PROMPT);
            self.assert_told(&before, told);
        }
        pty.send_line(code);
        let before = pty.expect(self.refusal);
        self.assert_told(&before, told);
    }

    #[track_caller]
    fn assert_told(&self, shown: &str, message: &str) {
        match self.tells {
            true => assert!(shown.contains(message), "{shown}"),
            // What went wrong comes with the next prompt, what merely informs does not come.
            false => assert!(
                shown.trim().is_empty() || shown.contains(message),
                "{shown}"
            ),
        }
    }

    /// Every kind of code. What is refused runs side by side, for each refusal takes two seconds.
    fn try_all(&self) {
        let (machine, alice) = machine(self);
        let (right, backup) = (&*code(&alice), &*alice.backup_codes[0]);
        self.assert_granted(self.start(&machine), right);
        let shown = self.assert_granted(self.start(&machine), backup);
        self.assert_told(&shown, "9 backup codes are left.");
        let wrong = &*alice.wrong_code_at(now());
        thread::scope(|scope| {
            for (code, told) in [(right, USED), (wrong, WRONG), (backup, SPENT)] {
                let pty = self.start(&machine);
                scope.spawn(move || self.assert_refused(pty, code, told));
            }
        });
        self.assert_logged(&machine);
    }

    #[track_caller]
    fn assert_logged(&self, machine: &Machine) {
        let mut lines = machine.decisions();
        // After a refusal login(1) asks for another name, and notices that nobody is there any more.
        lines.retain(|line| !line.contains("user=(unknown) reason=no-answer "));
        lines.sort_unstable();
        let decisions = [
            "granted user=alice method=backup left=9",
            "granted user=alice method=totp device=phone",
            "refused user=alice reason=replayed-code,replayed-code,replayed-code",
            "refused user=alice reason=spent-backup-code,spent-backup-code,spent-backup-code",
            "refused user=alice reason=wrong-code,wrong-code,wrong-code",
        ];
        assert_eq!(lines.len(), decisions.len(), "{lines:#?}");
        for (line, decision) in lines.iter().zip(decisions) {
            let begin = format!("pam_mfa({}:auth): {decision} rhost=", self.service);
            assert!(line.starts_with(&begin), "{line}");
            assert!(line.contains("pts/"), "{line}");
        }
    }
}

#[test]
fn login_asks_for_the_password_and_then_for_a_code() {
    need_root!();
    need!("/bin/login");
    LOGIN.try_all();
}

#[test]
fn su_asks_an_ordinary_user_for_the_password_and_then_for_a_code() {
    need_root!();
    SU.try_all();
}

#[test]
fn sudo_asks_an_ordinary_user_for_the_password_and_then_for_a_code() {
    need_root!();
    need!("/usr/bin/sudo");
    SUDO.try_all();
}

#[test]
fn a_right_code_does_not_make_up_for_a_wrong_password() {
    need_root!();
    let (machine, alice) = machine(&SU);
    let mut su = machine.spawn_pty(SU.user, SU.words);
    su.expect(SU.password_prompt);
    su.send_line("wrong");
    su.expect(PROMPT);
    su.send_line(&code(&alice));
    su.expect(SU.refusal);
}

#[test]
fn an_interrupt_at_the_prompt_lets_nobody_in_and_leaves_the_code_good() {
    need_root!();
    let (machine, alice) = machine(&SU);
    // The shell outlives the interrupt and tells when su has ended.
    let script = "trap : INT; su alice -c 'echo in'; echo ended";
    let mut su = machine.spawn_pty(SU.user, &["sh", "-c", script]);
    su.expect(SU.password_prompt);
    su.send_line(PASSWORD);
    su.expect(PROMPT);
    su.send("\x03");
    let before = su.expect("ended\r\n");
    assert!(!before.contains("in\r\n"), "{before}");
    SU.assert_granted(SU.start(&machine), &code(&alice));
}
