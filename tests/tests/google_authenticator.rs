//! google-authenticator's module (libpam-google-authenticator) beside ours, in its eight prompt modes:
//! the same verdict, the same number of prompts, the same password for the modules behind.
//!
//! We differ on purpose where it takes a code a second time, learns a clock that is off (hence its
//! `noskewadj`), has a configurable window or scratch codes of eight digits. Not compared either: ours
//! asks three times (hence `tries=1`), and later for several codes in a row; a code alone hands nothing
//! on, where theirs hands on an empty password; and a user who is not enrolled is asked as often as one
//! who is, where theirs asks less often under `try_first_pass`.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

use mfa_tests::{
    enrolled::{Enrolled, STEP, now},
    locate, need, pam,
    sandbox::Sandbox,
};

/// One of the ways in which a code can come.
#[derive(Debug)]
struct Mode {
    options: &'static str,
    /// What was asked for before us; `C` stands for the code.
    first_pass: Option<&'static str>,
    /// What is typed at the module's own prompt.
    typed: &'static str,
}

const MODES: [Mode; 8] = [
    mode("", None, "C"),
    mode("forward_pass", None, "pwC"),
    mode("use_first_pass", Some("pwC"), ""),
    mode("use_first_pass forward_pass", Some("pwC"), ""),
    mode("try_first_pass", Some("pwC"), "what?"),
    mode("try_first_pass forward_pass", Some("pwC"), "what?"),
    mode("try_first_pass", Some("pw"), "C"),
    mode("try_first_pass forward_pass", Some("pw"), "pwC"),
];

const fn mode(
    options: &'static str,
    first_pass: Option<&'static str>,
    typed: &'static str,
) -> Mode {
    Mode {
        options,
        first_pass,
        typed,
    }
}

/// What a login looks like from outside.
#[derive(Debug, PartialEq)]
struct Seen {
    code: i32,
    /// Those of the module itself.
    prompts: usize,
    /// What `PAM_AUTHTOK` is behind it.
    authtok: Option<String>,
}

/// Of pam_unix before the module, and of pam_exec behind it where there is no `PAM_AUTHTOK`.
const PASSWORD_PROMPT: &str = "Password: ";

/// Both modules, with the same secret. Theirs reads the real clock whatever the sandbox says.
struct Pair {
    sandbox: Sandbox,
    alice: Enrolled,
}

/// Which of the two.
#[derive(Clone, Copy, Debug)]
enum Module {
    Ours,
    Theirs,
}

impl Pair {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        // Theirs wants to know the name of whom it reads the file as.
        sandbox.add_account("tester", nix::unistd::geteuid().as_raw());
        let [alice] = sandbox.enroll_cheaply("alice", 2001, now());
        let mut pair = Self { sandbox, alice };
        pair.renew();
        pair
    }

    /// For both modules it is as if nobody had logged in yet.
    fn renew(&mut self) {
        [self.alice] = self.sandbox.enroll_cheaply("alice", 2001, now());
        let text = format!("{}\n\" TOTP_AUTH\n", self.alice.secret);
        self.sandbox.write("alice.google_authenticator", &text);
        let file = self.sandbox.path("alice.google_authenticator");
        fs::set_permissions(file, Permissions::from_mode(0o600)).expect("close the file to others");
    }

    fn line(&self, module: Module, options: &str) -> String {
        match module {
            Module::Ours => format!("auth required {{mfa}} tries=1 {options}\n"),
            Module::Theirs => format!(
                "auth required {} secret={}/${{USER}}.google_authenticator user={} noskewadj {options}\n",
                theirs().display(),
                self.sandbox.root().display(),
                nix::unistd::geteuid(),
            ),
        }
    }

    #[track_caller]
    fn seen(&self, module: Module, user: &str, mode: &Mode, code: &str) -> Seen {
        let file = self.sandbox.path("authtok");
        let asked = "auth optional pam_unix.so nodelay\n";
        let lines = [
            mode.first_pass.map_or("", |_| asked),
            &self.line(module, mode.options),
            "auth optional pam_exec.so quiet expose_authtok /usr/bin/tee ",
            &format!("{}\n", file.display()),
            "account required pam_permit.so\n",
        ];
        self.sandbox.stack(&lines.concat());
        let answers = mode.first_pass.into_iter().chain([mode.typed]);
        let answers: Vec<String> = answers.map(|text| text.replace('C', code)).collect();
        let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
        let outcome = self.sandbox.login(user, &answers);
        let is_password = |text: &&String| *text == PASSWORD_PROMPT;
        let passwords = outcome.prompts.iter().filter(is_password).count();
        let nothing = passwords > usize::from(mode.first_pass.is_some());
        Seen {
            code: outcome.code,
            prompts: outcome.prompts.len() - passwords,
            authtok: (!nothing).then(|| fs::read_to_string(file).expect("PAM_AUTHTOK")),
        }
    }
}

fn theirs() -> PathBuf {
    locate::pam_modules().join("pam_google_authenticator.so")
}

#[test]
fn a_right_code_is_let_in_by_both_after_as_many_prompts() {
    need!(theirs());
    let mut pair = Pair::new();
    let prompts = [1, 1, 0, 0, 0, 0, 1, 1];
    let authtoks = [
        None,
        Some("pw"),
        Some("pwC"),
        Some("pw"),
        Some("pwC"),
        Some("pw"),
        Some("pw"),
        Some("pw"),
    ];
    for ((mode, prompts), authtok) in MODES.iter().zip(prompts).zip(authtoks) {
        for module in [Module::Ours, Module::Theirs] {
            pair.renew();
            let code = pair.alice.code_at(now());
            let seen = pair.seen(module, "alice", mode, &code);
            let expected = Seen {
                code: pam::SUCCESS,
                prompts,
                authtok: authtok.map(|text| text.replace('C', &code)),
            };
            assert_eq!(seen, expected, "{module:?} {mode:?}");
        }
    }
}

#[test]
fn a_wrong_code_is_refused_by_both_after_as_many_prompts() {
    need!(theirs());
    let prompts = [1, 1, 0, 0, 1, 1, 1, 1];
    for (mode, prompts) in MODES.iter().zip(prompts) {
        for module in [Module::Ours, Module::Theirs] {
            // Another one each time: ten wrong codes, and ours asks for two in a row.
            let pair = Pair::new();
            let time = now();
            let right = pair.alice.code_at(time);
            for code in [
                "",
                "what?",
                &right[1..],
                &format!("{right}x"),
                &pair.alice.code_at(time + 4 * STEP),
                &pair.alice.wrong_code_at(time),
            ] {
                let seen = pair.seen(module, "alice", mode, code);
                // What was asked for before stays as it was.
                let expected = Seen {
                    code: pam::AUTH_ERR,
                    prompts,
                    authtok: mode.first_pass.map(|text| text.replace('C', code)),
                };
                assert_eq!(seen, expected, "{module:?} {mode:?} {code:?}");
            }
        }
    }
}

#[test]
fn digits_before_the_code_belong_to_the_password_and_to_nothing_where_there_is_none() {
    need!(theirs());
    let mut pair = Pair::new();
    for mode in &MODES {
        for before in ["0", "7", "00", "12", "123456"] {
            let seen = [Module::Ours, Module::Theirs].map(|module| {
                pair.renew();
                let code = pair.alice.code_at(now());
                let mut seen = pair.seen(module, "alice", mode, &format!("{before}{code}"));
                // Each has its own.
                seen.authtok = seen.authtok.map(|text| text.replace(&code, "C"));
                seen
            });
            assert_eq!(seen[0], seen[1], "{mode:?} {before}");
            // Where the code comes alone.
            assert_eq!(seen[0].code == pam::SUCCESS, mode.typed != "C");
        }
    }
}

#[test]
fn without_a_password_use_first_pass_refuses_and_try_first_pass_asks_with_both() {
    need!(theirs());
    let mut pair = Pair::new();
    for (options, typed, granted, prompts) in [
        ("use_first_pass", "C", false, 0),
        ("use_first_pass forward_pass", "pwC", false, 0),
        ("try_first_pass", "C", true, 1),
        ("try_first_pass forward_pass", "pwC", true, 1),
    ] {
        for module in [Module::Ours, Module::Theirs] {
            pair.renew();
            let mode = mode(options, None, typed);
            let seen = pair.seen(module, "alice", &mode, &pair.alice.code_at(now()));
            let got = (seen.code == pam::SUCCESS, seen.prompts);
            assert_eq!(got, (granted, prompts), "{module:?} {mode:?}");
        }
    }
}

#[test]
fn who_is_not_enrolled_is_refused_by_both_after_as_many_prompts() {
    need!(theirs());
    let pair = Pair::new();
    let code = pair.alice.code_at(now());
    for (place, prompts) in [(0, 1), (1, 1), (2, 0), (3, 0), (6, 1), (7, 1)] {
        for module in [Module::Ours, Module::Theirs] {
            let seen = pair.seen(module, "bob", &MODES[place], &code);
            let got = (seen.code, seen.prompts);
            assert_eq!(
                got,
                (pam::AUTH_ERR, prompts),
                "{module:?} {:?}",
                MODES[place]
            );
        }
    }
}

/// Their `nullok` is our `unenrolled = "skip"`.
#[test]
fn who_is_not_enrolled_and_need_not_be_is_not_asked_by_either() {
    need!(theirs());
    let pair = Pair::new();
    let config = "unenrolled = 'skip'\n";
    pair.sandbox.write("etc/pam_mfa/config.toml", config);
    for options in [
        "",
        "forward_pass",
        "use_first_pass",
        "try_first_pass forward_pass",
    ] {
        let nullok = format!("nullok {options}");
        for line in [
            pair.line(Module::Ours, options),
            pair.line(Module::Theirs, &nullok),
        ] {
            let rest = "auth required pam_permit.so\naccount required pam_permit.so\n";
            pair.sandbox.stack(&format!("{line}{rest}"));
            let outcome = pair.sandbox.login("bob", &[]);
            assert!(outcome.granted(), "{line}");
            assert_eq!(outcome.shown(), "", "{line}");
            // It is no yes.
            pair.sandbox.stack(&line);
            assert_ne!(pair.sandbox.login("bob", &[]).code, pam::SUCCESS);
        }
    }
}
