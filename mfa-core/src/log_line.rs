//! One line a decision for the system's log, and one for each answer that was refused before it. No
//! secret and nothing of what was typed stands in it.

use std::fmt::{Display, Write as _};
use std::slice;

use crate::judge::Miss;
use crate::login::Request;
use crate::verdict::{Method, Refusal, Verdict};

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// What `debug` on the PAM line asks for.
    Debug,
    /// Somebody was let in.
    Info,
    /// Somebody was refused.
    Notice,
    /// Somebody was let in, but something needs to be mended.
    Warning,
    /// Somebody was refused because something needs to be mended.
    Error,
}

/// Writes the line of a verdict. `known`: there is a user of that name.
pub fn write(log: &dyn Fn(Level, &str), request: &Request, known: bool, verdict: &Verdict) {
    let (level, text) = decision(request, known, verdict);
    log(level, &format!("{}{text}", prefix(request)));
}

/// Writes the line of an answer that was refused and after which another is asked for.
pub fn write_missed(log: &dyn Fn(Level, &str), request: &Request, known: bool, refusal: &Refusal) {
    let (level, text) = refused("missed", request, known, slice::from_ref(refusal));
    log(level, &format!("{}{text}", prefix(request)));
}

/// Writes what an administrator should mend, whatever became of the login.
pub fn write_caution(
    log: &dyn Fn(Level, &str),
    request: &Request,
    known: bool,
    caution: &dyn Display,
) {
    let user = name(request, known);
    let text = format!(
        "{}caution user={user} warning=\"{}\"",
        prefix(request),
        quoted(caution)
    );
    log(Level::Warning, &text);
}

/// Writes what `debug` on the PAM line asks for.
pub fn write_debug(log: &dyn Fn(Level, &str), request: &Request, text: &str) {
    if request.options.debug {
        let text = format!("{}debug {}", prefix(request), quoted(&text));
        log(Level::Debug, &text);
    }
}

fn prefix(request: &Request) -> String {
    format!("pam_mfa({}:auth): ", clean(&request.service))
}

fn decision(request: &Request, known: bool, verdict: &Verdict) -> (Level, String) {
    match verdict {
        Verdict::Granted(grant) => {
            let mut line = format!("granted user={}", clean(&request.user));
            match &grant.method {
                Method::Totp { device } => put(&mut line, "method=totp device", device),
                Method::Backup { left } => put(&mut line, "method=backup left", &left.to_string()),
            }
            if grant.failures > 0 {
                put(&mut line, "failures", &grant.failures.to_string());
            }
            put_source(&mut line, request);
            match &grant.only_in_run {
                None => (Level::Info, line),
                Some(fault) => (
                    Level::Warning,
                    format!("{line} warning=\"{}\"", quoted(fault)),
                ),
            }
        }
        Verdict::NotAsked(not_asked) => {
            let mut line = format!("not-asked user={}", name(request, known));
            put_source(&mut line, request);
            let rule = quoted(&not_asked.rule);
            (Level::Info, format!("{line} rule=\"{rule}\""))
        }
        Verdict::Refused(refusals) => refused("refused", request, known, refusals),
    }
}

fn refused(what: &str, request: &Request, known: bool, refusals: &[Refusal]) -> (Level, String) {
    let words: Vec<&str> = refusals.iter().map(Refusal::word).collect();
    let mut line = format!(
        "{what} user={} reason={}",
        name(request, known),
        words.join(",")
    );
    put_source(&mut line, request);
    match refusals.iter().rev().find_map(detail) {
        None => (Level::Notice, line),
        Some((level, detail)) => (level, format!("{line} {detail}")),
    }
}

/// People type passwords where a name is asked for: a name that nobody has is not logged.
fn name(request: &Request, known: bool) -> String {
    match known {
        true => clean(&request.user),
        false => "(unknown)".to_owned(),
    }
}

/// sshd's method `password` answers every prompt without echo with the password.
const PASSWORD: &str = "the answer was the password again: if it was sshd that gave it, set \
    KbdInteractiveAuthentication yes and PasswordAuthentication no in sshd_config";

fn detail(refusal: &Refusal) -> Option<(Level, String)> {
    match refusal {
        Refusal::Missed(Miss::Wrong {
            clock_off: Some(minutes),
        })
        | Refusal::MissedRun(Miss::Wrong {
            clock_off: Some(minutes),
        }) => {
            let which = if *minutes > 0 { "ahead of" } else { "behind" };
            let minutes = minutes.unsigned_abs().max(1);
            let text = format!(
                "hint=\"clock off by about {minutes} min: the device is {which} this machine\""
            );
            Some((Level::Notice, text))
        }
        Refusal::Fault(fault) | Refusal::BackupUnrecordable(fault) => {
            Some((Level::Error, format!("error=\"{}\"", quoted(fault))))
        }
        Refusal::Config(bad) => Some((Level::Error, format!("error=\"{}\"", quoted(bad)))),
        Refusal::Arguments(text) => Some((Level::Error, format!("error=\"{}\"", quoted(text)))),
        Refusal::Password => Some((Level::Notice, format!("hint=\"{PASSWORD}\""))),
        _ => None,
    }
}

fn put_source(line: &mut String, request: &Request) {
    put(line, "rhost", request.rhost.as_deref().unwrap_or_default());
    put(line, "tty", request.tty.as_deref().unwrap_or_default());
}

fn put(line: &mut String, key: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = write!(line, " {key}={}", clean(value));
}

/// The longest value in a line, in characters.
const LONGEST: usize = 256;

/// A value that cannot end the line, nor look like the next key, nor move a terminal's cursor.
fn clean(value: &str) -> String {
    let escaped = value.chars().take(LONGEST).map(|c| match c {
        ' ' | '"' | '=' | '\\' => format!("\\x{:02x}", u32::from(c)),
        c => visible(c),
    });
    escaped.collect()
}

/// Without characters that steer a terminal or cannot be seen.
fn visible(c: char) -> String {
    match c {
        '\'' | '"' | '\\' => c.to_string(),
        c if c.is_control() || c.is_whitespace() => c.escape_unicode().to_string(),
        c => c.escape_debug().to_string(),
    }
}

fn quoted(value: &dyn Display) -> String {
    let text = value.to_string();
    let escaped = text.chars().take(4 * LONGEST).map(|c| match c {
        '"' => "'".to_owned(),
        ' ' => c.to_string(),
        c => visible(c),
    });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;
    use crate::options::Options;
    use crate::verdict::Grant;
    use std::cell::RefCell;

    fn request(user: &str) -> Request {
        Request {
            user: user.to_owned(),
            service: "sshd".to_owned(),
            rhost: Some("203.0.113.7".to_owned()),
            tty: Some("ssh".to_owned()),
            authtok: None,
            options: Options::default(),
        }
    }

    fn line(user: &str, verdict: &Verdict) -> (Level, String) {
        let lines = RefCell::new(Vec::new());
        let log = |level: Level, text: &str| lines.borrow_mut().push((level, text.to_owned()));
        write(&log, &request(user), true, verdict);
        lines.into_inner().pop().unwrap()
    }

    fn granted(method: Method) -> Verdict {
        Verdict::Granted(Grant {
            method,
            failures: 0,
            only_in_run: None,
            password: None,
        })
    }

    #[test]
    fn one_line_tells_who_and_how_and_from_where() {
        let device = "phone".to_owned();
        assert_eq!(
            line("alice", &granted(Method::Totp { device })),
            (Level::Info, "pam_mfa(sshd:auth): granted user=alice method=totp device=phone rhost=203.0.113.7 tty=ssh".to_owned())
        );
        let wrong = Refusal::Missed(Miss::Wrong {
            clock_off: Some(-5),
        });
        assert_eq!(
            line("alice", &Verdict::Refused(vec![Refusal::NoCode, wrong])).1,
            "pam_mfa(sshd:auth): refused user=alice reason=no-code,wrong-code rhost=203.0.113.7 tty=ssh \
             hint=\"clock off by about 5 min: the device is behind this machine\""
        );
    }

    #[test]
    fn an_unknown_name_is_not_logged() {
        let fault = || Refusal::Fault(Fault::NoRandom);
        for refusal in [
            Refusal::UnknownUser,
            Refusal::NoCode,
            Refusal::NoAnswer,
            fault(),
        ] {
            let verdict = Verdict::Refused(vec![refusal]);
            let (_, text) = decision(&request("hunter2"), false, &verdict);
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_fault_is_told_after_a_hint() {
        let hint = Refusal::Missed(Miss::Wrong { clock_off: Some(5) });
        let verdict = Verdict::Refused(vec![hint, Refusal::Fault(Fault::NoRandom)]);
        let (level, text) = line("alice", &verdict);
        assert!(level == Level::Error && text.contains("random"), "{text}");
    }

    #[test]
    fn nobody_writes_a_line_of_his_own() {
        let text = line("a\nb c=\u{1b}[2J\"", &granted(Method::Backup { left: 3 })).1;
        assert!(
            text.contains("user=a\\u{a}b\\x20c\\x3d\\u{1b}[2J\\x22 method=backup left=3"),
            "{text}"
        );
        let text = line(
            "al\u{202e}ice\u{200b}",
            &granted(Method::Backup { left: 3 }),
        )
        .1;
        assert!(text.contains("al\\u{202e}ice\\u{200b} "), "{text}");
        let fault = Fault::OtherUser {
            path: "/x".into(),
            user: "a\"\n".to_owned(),
            uid: 1,
        };
        let text = line("a", &Verdict::Refused(vec![fault.into()])).1;
        assert!(
            text.matches('"').count() == 2 && !text.contains('\n'),
            "{text}"
        );
    }
}
