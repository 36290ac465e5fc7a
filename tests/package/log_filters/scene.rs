//! A machine whose log is Debian's rsyslogd, and what the filters make of what stands in it.

use std::cell::Cell;

use mfa_tests::{command::Finished, locate, machine::Machine, protocol::Steer};

use super::{FILTER, RULES, wait_until};
use crate::debian;

const CLIENT: &str = "/root/pam-client";

/// Debian's format, and the one that was usual before.
const LOGS: [&str; 2] = ["/var/log/auth.log", "/var/log/traditional.log"];

/// The second of them.
const TRADITIONAL: &str = "auth,authpriv.* /var/log/traditional.log;RSYSLOG_TraditionalFileFormat";

/// What logcheck does with a file of rules, in the language of cron and in that of a shell.
const LOGCHECK: &str = r#"
grep -E --text -v '^[[:space:]]*$|^#' "$0" >/tmp/rules
for language in C C.UTF-8; do
    sed -e 's/[[:space:]]*$//' "$1" | LC_ALL=$language grep -E --text -v -f /tmp/rules >/tmp/mailed.$language || true
done
cmp /tmp/mailed.*
cat /tmp/mailed.C
"#;

/// The machine and its log.
pub struct Scene {
    pub machine: Machine,
    marks: Cell<usize>,
}

impl Scene {
    /// A clean Debian with the packages and a log.
    #[track_caller]
    pub fn new() -> Self {
        let machine = debian::installed();
        // Whoever waits for a line must find a file.
        machine.sh(&LOGS.map(|log| format!(": >>{log}\n")).concat());
        debian::start_rsyslogd(&machine, TRADITIONAL);
        machine.copy_in(&locate::pam_client(), CLIENT, "0755");
        let marks = Cell::default();
        Self { machine, marks }
    }

    /// Logs in with `pam-client`; once the answers are used up, the user is gone.
    #[track_caller]
    pub fn log_in(&self, service: &str, user: &str, rhost: &str, tty: &str, answers: &[&str]) {
        let place = [CLIENT, "--confdir", "/etc/pam.d", "--service", service];
        let who = ["--user", user, "--rhost", rhost, "--tty", tty];
        let words = [&place[..], &who].concat();
        let mut client = self.machine.spawn_pty("root", &words);
        for text in answers {
            self.machine.confidential().keep(text);
            let text = (*text).to_owned();
            let steer = serde_json::to_string(&Steer::Text { text });
            client.send(&(steer.expect("an answer as JSON") + "\n"));
        }
        // The end of the answers; a terminal hands them over one by one.
        client.send("\x04");
        client.finish();
    }

    /// Writes a line as somebody else does, or as the module would.
    #[track_caller]
    pub fn write(&self, tag: &str, text: &str) {
        logger(&self.machine, &[], tag, text).ok();
    }

    /// Waits until everything that was sent before stands in both logs.
    #[track_caller]
    pub fn settle(&self) {
        self.marks.set(self.marks.get() + 1);
        let mark = format!("mark-{}.", self.marks.get());
        self.write("marks", &mark);
        for log in LOGS {
            wait_until(&mark, || self.machine.read(log).contains(&mark));
        }
    }
}

/// Writes a line into the log of a machine; `before` stands before the command.
#[track_caller]
pub fn logger(machine: &Machine, before: &[&str], tag: &str, text: &str) -> Finished {
    let words = ["logger", "-p", "authpriv.notice", "--id=77", "-t", tag];
    machine.run(&[before, &words, &["--", text]].concat())
}

/// A line of the module, and what is to become of it.
struct Line {
    text: String,
    /// The address for which it counts.
    counts: Option<&'static str>,
    mailed: bool,
}

/// The lines that are to stand in the log.
#[derive(Default)]
pub struct Foreseen(Vec<Line>);

impl Foreseen {
    /// The next line. What comes behind an error or a warning is told elsewhere.
    pub fn line(&mut self, text: &str, counts: Option<&'static str>, mailed: bool) {
        let text = short(text).to_owned();
        self.0.push(Line {
            text,
            counts,
            mailed,
        });
    }

    /// The next line is one that is normal.
    pub fn normal(&mut self, text: &str) {
        self.line(text, None, false);
    }

    /// The next line is one that is mailed, and counts for nobody.
    pub fn mailed(&mut self, text: &str) {
        self.line(text, None, true);
    }

    /// The next line is one that is mailed, and counts for the address.
    pub fn guess(&mut self, address: &'static str, text: &str) {
        self.line(text, Some(address), true);
    }

    /// The lines are all that stands in both logs, and the filters make of them what was foreseen.
    #[track_caller]
    pub fn assert_in(&self, scene: &Scene) {
        scene.settle();
        let machine = &scene.machine;
        let texts = |which: fn(&Line) -> bool| -> Vec<&str> {
            let lines = self.0.iter().filter(|line| which(line));
            lines.map(|line| &*line.text).collect()
        };
        let counting = self.0.iter().filter_map(|line| {
            let address = line.counts?;
            Some((address.to_owned(), line.text.clone()))
        });
        let counting: Vec<(String, String)> = counting.collect();
        for log in LOGS {
            let lines = ours(&machine.read(log));
            assert_eq!(bare(&lines), texts(|_| true), "{log}");
            let told = machine.confidential().found_in(&lines);
            assert_eq!(told, None, "{log}");
            assert_eq!(matched(machine, log), counting, "{log}");
            let left = machine.run(&["sh", "-euc", LOGCHECK, RULES, log]).ok();
            assert_eq!(
                bare(&ours(&left.stdout)),
                texts(|line| line.mailed),
                "{log}"
            );
        }
    }
}

/// The lines of the module, or that look like it.
fn ours(log: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| line.contains("pam_mfa"));
    lines.map(str::to_owned).collect()
}

/// Without date, host, name and process.
fn text_of(line: &str) -> &str {
    line.split_once("]: ").map_or(line, |(_, text)| text)
}

fn bare(lines: &[String]) -> Vec<&str> {
    lines.iter().map(|line| short(text_of(line))).collect()
}

fn short(text: &str) -> &str {
    let ends = ["error=\"", "warning=\""];
    let mut ends = ends
        .iter()
        .filter_map(|end| Some(text.find(end)? + end.len()));
    ends.next().map_or(text, |end| &text[..end])
}

/// The address and the text of each failure that fail2ban sees in the log.
#[track_caller]
fn matched(machine: &Machine, log: &str) -> Vec<(String, String)> {
    let out = |what: &str| {
        let words = ["fail2ban-regex", "-o", what, log, FILTER];
        machine.run(&words).ok().stdout
    };
    let (addresses, lines) = (out("ip"), out("msg"));
    assert_eq!(addresses.lines().count(), lines.lines().count(), "{lines}");
    let pairs = addresses.lines().zip(lines.lines());
    let pairs = pairs.map(|(address, line)| (address.to_owned(), text_of(line).to_owned()));
    pairs.collect()
}
