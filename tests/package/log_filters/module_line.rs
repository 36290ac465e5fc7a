//! What the module would write about alice at sshd.

use std::cell::RefCell;

use mfa_core::{
    log_line::{self, Level},
    login::Request,
    options::Options,
    verdict::{Refusal, Verdict},
};

/// The line of a verdict.
pub fn decision(rhost: &str, verdict: &Verdict) -> String {
    written(rhost, |log, request| {
        log_line::write(log, request, true, verdict);
    })
}

/// The line of an answer after which another was asked for.
pub fn missed(rhost: &str, refusal: &Refusal) -> String {
    written(rhost, |log, request| {
        log_line::write_missed(log, request, true, refusal);
    })
}

fn written(rhost: &str, write: impl FnOnce(&dyn Fn(Level, &str), &Request)) -> String {
    let request = Request {
        user: "alice".to_owned(),
        service: "sshd".to_owned(),
        rhost: Some(rhost.to_owned()),
        tty: Some("ssh".to_owned()),
        authtok: None,
        options: Options::default(),
    };
    let line = RefCell::new(String::new());
    let log = |_, text: &str| *line.borrow_mut() = text.to_owned();
    write(&log, &request);
    line.into_inner()
}
