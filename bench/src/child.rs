//! What this program does when it calls itself: one login, or more, in a fresh process.

use std::{
    env,
    ffi::CString,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    code::{self, STEP},
    login::{Ended, Login},
    place::Place,
    raw,
    scenario::{Scenario, Subject},
};

/// The words with which this program calls itself for one login.
pub fn login_command(
    place: &Place,
    service: &str,
    user: &str,
    answer: &str,
    now: u64,
) -> Vec<String> {
    let program = env::current_exe().expect("the path of this program");
    let confdir = place.confdir();
    [
        &program.to_string_lossy(),
        "login",
        &confdir.to_string_lossy(),
        service,
        user,
        answer,
        &now.to_string(),
    ]
    .map(str::to_owned)
    .into()
}

/// One login of a kind in a fresh process, under the words of another program if there are any.
pub fn login(
    place: &Place,
    scenario: Scenario,
    subject: Subject,
    now: u64,
    under: &[&str],
) -> Ended {
    let answer = scenario.answer(place, subject, now);
    let words = login_command(place, subject.service, &scenario.user(), &answer, now);
    let ended = ended_of(&run(under, &words));
    scenario.check(subject, ended);
    ended
}

fn ended_of(output: &str) -> Ended {
    let mut numbers = output.split_whitespace();
    let mut next = || {
        numbers
            .next()
            .unwrap_or_else(|| panic!("no result: {output:?}"))
    };
    Ended {
        code: next().parse().expect("a PAM code"),
        microseconds: next().parse().expect("a time"),
    }
}

/// Runs a program and returns what it wrote.
pub fn run(under: &[&str], words: &[String]) -> String {
    let mut all = under
        .iter()
        .copied()
        .chain(words.iter().map(String::as_str));
    let mut command = Command::new(all.next().expect("a program"));
    let output = command
        .args(all)
        .stdin(Stdio::null())
        .output()
        .expect("start a program");
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// What a host's memory is like after some logins, in KiB above what it was before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// At the highest point.
    pub peak: i64,
    /// After the last.
    pub retained: i64,
    /// Of that, what no file stands behind.
    pub anonymous: i64,
}

/// The memory of a fresh process after so many right codes, or after backup codes.
pub fn memory(place: &Place, subject: Subject, answers: &[String], now: u64) -> Memory {
    let mut words = login_command(place, subject.service, &Scenario::Right.user(), "", now);
    words[1] = "memory".to_owned();
    words.extend(answers.iter().cloned());
    let output = run(&[], &words);
    let numbers: Vec<i64> = output
        .split_whitespace()
        .map(|n| n.parse().expect("a number"))
        .collect();
    Memory {
        peak: numbers[0],
        retained: numbers[1],
        anonymous: numbers[2],
    }
}

/// How long it takes to load a module in a fresh process, in microseconds.
pub fn load(module: &Path) -> f64 {
    let program = env::current_exe().expect("the path of this program");
    let words = [
        &program.to_string_lossy(),
        "load",
        &module.to_string_lossy(),
    ]
    .map(str::to_owned);
    run(&[], &words).trim().parse().expect("a time")
}

/// In the child: does what the words say.
pub fn main(words: &[String]) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["login", confdir, service, user, answer, now] => {
            raw::set_clock(now.parse().expect("a time"));
            let login = Login {
                confdir: Path::new(confdir),
                service,
                user,
                answer,
            };
            let ended = login.run();
            println!("{} {}", ended.code, ended.microseconds);
        }
        ["memory", confdir, service, user, _, now, ref answers @ ..] => {
            let now: u64 = now.parse().expect("a time");
            let before = sizes();
            fs::write("/proc/self/clear_refs", "5").expect("forget the highest point");
            for (number, answer) in answers.iter().enumerate() {
                raw::set_clock(now + number as u64 * STEP);
                let login = Login {
                    confdir: Path::new(confdir),
                    service,
                    user,
                    answer,
                };
                assert!(login.run().granted(), "a right code is let in");
            }
            let after = sizes();
            println!(
                "{} {} {}",
                after[0] - before[1],
                after[1] - before[1],
                after[2] - before[2]
            );
        }
        ["load", module] => {
            let path = CString::new(module).expect("a path");
            let took = raw::load(&path).expect("a module that can be loaded");
            println!("{}", took.as_secs_f64() * 1e6);
        }
        _ => panic!("call it without arguments"),
    }
    std::io::stdout().flush().expect("write the result");
}

/// The right codes of so many steps.
pub fn codes(now: u64, count: u64) -> Vec<String> {
    (0..count).map(|n| code::at(now + n * STEP)).collect()
}

/// The highest point, the present one, and what of it no file stands behind.
fn sizes() -> [i64; 3] {
    // Those of status are counted for each processor, and added up from time to time.
    let (status, rollup) = ("/proc/self/status", "/proc/self/smaps_rollup");
    let at = [(status, "VmHWM:"), (rollup, "Rss:"), (rollup, "Anonymous:")];
    at.map(|(file, name)| {
        let text = fs::read_to_string(file).expect("read our memory");
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let size = line.and_then(|line| line.trim().strip_suffix(" kB"));
        size.and_then(|size| size.trim().parse().ok())
            .expect("a size in kB")
    })
}
