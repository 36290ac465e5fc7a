//! One login through the real libpam, as an application does it.

use std::{
    ffi::{OsStr, c_int, c_uint},
    path::Path,
    time::Instant,
};

use mfa_tests::pam::{self, Application, Reply, Start, Transaction};

use crate::raw;

/// Who logs in where, and what he types.
#[derive(Clone, Debug)]
pub struct Login<'a> {
    /// The folder of the stacks.
    pub confdir: &'a Path,
    /// The stack.
    pub service: &'a str,
    /// The login name.
    pub user: &'a str,
    /// The answer to every prompt.
    pub answer: &'a str,
}

/// How it ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// What `pam_authenticate` returned.
    pub code: c_int,
    /// From `pam_start` to `pam_end`.
    pub microseconds: f64,
}

impl Ended {
    /// Whether somebody was let in.
    pub fn granted(self) -> bool {
        self.code == pam::SUCCESS
    }
}

struct Typist(Vec<u8>);

impl Application for Typist {
    fn converse(&mut self, style: c_int, _text: &str) -> Reply {
        match style {
            pam::PROMPT_ECHO_OFF | pam::PROMPT_ECHO_ON => Reply::Text(self.0.clone()),
            _ => Reply::Null,
        }
    }

    /// Nobody waits.
    fn delay(&mut self, _status: c_int, _usec: c_uint) {}
}

impl Login<'_> {
    /// Logs in.
    pub fn run(&self) -> Ended {
        let typist = Box::new(Typist(self.answer.as_bytes().to_vec()));
        raw::mark();
        let start = Instant::now();
        let code = measured(self, typist);
        let microseconds = start.elapsed().as_secs_f64() * 1e6;
        raw::mark();
        Ended { code, microseconds }
    }
}

/// callgrind counts what happens in here.
#[inline(never)]
fn measured(login: &Login, typist: Box<Typist>) -> c_int {
    let start = Start {
        confdir: login.confdir,
        service: login.service,
        user: Some(OsStr::new(login.user)),
        null_conversation: false,
    };
    let mut transaction = Transaction::start(start, typist).expect("pam_start");
    let code = transaction.authenticate(0);
    assert_eq!(transaction.end(), pam::SUCCESS);
    code
}
