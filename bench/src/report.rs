//! What is written: tables for people, and plots.

use std::{fmt::Display, fs, process::Command};

use mfa_tests::locate;

use crate::{
    admin,
    child::Memory,
    elf::Module,
    growth::{MODULES, Pile, Size},
    logins::{Cost, Logins, RUNS},
    scenario::{FLOOR, OURS, Scenario, Subject},
    stats::Samples,
    svg::{self, Line},
    targets::{self, Target, Way},
    throughput::Load,
};

/// Everything that was measured.
#[derive(Debug)]
pub struct Results {
    /// How often each login was measured in a run.
    pub rounds: usize,
    /// The kinds of logins.
    pub logins: Logins,
    /// What the disk alone takes.
    pub disk: Vec<(&'static str, Samples)>,
    /// The modules' files.
    pub modules: Vec<Module>,
    /// What a login leaves in its host: what it was, and for each module.
    pub memory: Vec<(String, Vec<(Subject, Memory)>)>,
    /// More users.
    pub sizes: Vec<Size>,
    /// More logins of one user.
    pub piles: Vec<Pile>,
    /// More at once.
    pub loads: Vec<Load>,
    /// The command line.
    pub admin: Vec<(String, Samples)>,
}

const BEGIN: &str = "<!-- measured: written by make bench -->\n";
const END: &str = "<!-- end of what make bench wrote -->\n";

impl Results {
    /// Writes the plots and the measured part of the document, which it returns.
    pub fn write(&self) -> String {
        let docs = locate::workspace().join("docs");
        let plots = docs.join("benchmarks");
        fs::create_dir_all(&plots).expect("make the folder of the plots");
        for (name, svg) in self.plots() {
            fs::write(plots.join(name), svg).expect("write a plot");
        }
        let text = self.text();
        let path = docs.join("benchmarks.md");
        let whole = fs::read_to_string(&path).expect("read docs/benchmarks.md");
        let (before, rest) = whole.split_once(BEGIN).expect("the mark where it begins");
        let (_, after) = rest.split_once(END).expect("the mark where it ends");
        fs::write(path, format!("{before}{BEGIN}\n{text}\n{END}{after}"))
            .expect("write the document");
        text
    }

    fn text(&self) -> String {
        let targets = targets::all(&self.logins, &self.modules, self.retained(), &self.sizes);
        let mut parts = vec![
            machine(self.rounds),
            "## Targets\n".to_owned(),
            target_table(&targets),
        ];
        parts.push("## Logins\n\n![Right code](benchmarks/right.svg)\n".to_owned());
        for scenario in Scenario::ALL {
            parts.push(format!("### {}\n", capital(scenario.title())));
            parts.push(self.times(scenario));
            parts.push(self.counts(scenario));
        }
        parts.push("## The disk alone\n".to_owned());
        parts.push(self.disk_alone());
        parts.push("## Where the instructions go\n".to_owned());
        parts.push(self.phases());
        parts.push("## Loading\n".to_owned());
        parts.push(self.loading());
        parts.push(
            "## Memory of the host\n\nKiB above what it is with `pam_permit` alone.\n".to_owned(),
        );
        parts.push(self.memories());
        parts.push("## More users\n\n![More users](benchmarks/users.svg)\n".to_owned());
        parts.push(self.growth());
        parts.push("## More logins of one user\n".to_owned());
        parts.push(self.piled_up());
        parts.push("## More at once\n\n![Different users](benchmarks/different.svg)\n![One user](benchmarks/one.svg)\n".to_owned());
        parts.push(self.throughput());
        parts.push(format!(
            "## The command line with {} users\n",
            thousands(admin::USERS as u64)
        ));
        let rows = self.admin.iter().map(|(name, samples)| {
            vec![
                format!("`{name}`"),
                format!("{:.1}", samples.median() / 1000.0),
            ]
        });
        parts.push(table(&["", "ms"], rows));
        parts.join("\n")
    }

    fn disk_alone(&self) -> String {
        let rows = self.disk.iter().map(|(what, samples)| {
            vec![
                (*what).to_owned(),
                format!("{:.0}", samples.median()),
                format!("{:.0}", samples.p95()),
            ]
        });
        table(&["what a right code leaves on disk", "µs", "p95"], rows)
    }

    fn retained(&self) -> Memory {
        let (_, modules) = self.memory.first().expect("the memory after a right code");
        modules
            .iter()
            .find(|(subject, _)| *subject == OURS)
            .expect("ours")
            .1
    }

    fn times(&self, scenario: Scenario) -> String {
        let floor = self.logins.with(scenario, FLOOR);
        let ours = self.logins.with(scenario, OURS);
        let way = |cost: &Cost, way: Way| {
            let (samples, floor) = (way(cost), way(floor));
            let added = |cost: &Cost| way(cost).median() - floor.median();
            let ratio = match cost.subject == FLOOR || cost.subject == OURS {
                true => String::new(),
                false => format!("{:.2}", added(ours) / added(cost)),
            };
            [
                format!("{:.0}", samples.median()),
                format!("{:.0}", samples.p95()),
                format!("{:.1}", samples.median() / floor.median()),
                ratio,
                format!("{:.0} %", 100.0 * samples.spread()),
            ]
        };
        let rows = self.logins.of(scenario).map(|cost| {
            let mut row = vec![cost.subject.label.to_owned()];
            row.extend(way(cost, |cost| &cost.warm));
            row.extend(way(cost, |cost| &cost.fresh));
            row
        });
        let heading = [
            "",
            "one process: µs",
            "p95",
            "× floor",
            "ours / this",
            "varies",
            "fresh process: µs",
            "p95",
            "× floor",
            "ours / this",
            "varies",
        ];
        table(&heading, rows)
    }

    fn counts(&self, scenario: Scenario) -> String {
        let rows = self.logins.of(scenario).map(|cost| {
            vec![
                cost.subject.label.to_owned(),
                thousands(cost.profile.total),
                cost.trace.total.to_string(),
                cost.trace.own.to_string(),
                cost.trace.syncs.to_string(),
                cost.trace.written.to_string(),
            ]
        });
        table(
            &[
                "",
                "instructions",
                "system calls",
                "of its own",
                "syncs",
                "bytes written",
            ],
            rows,
        )
    }

    fn phases(&self) -> String {
        let rows = PHASES.iter().map(|(name, function)| {
            let mut row = vec![(*name).to_owned()];
            row.extend(Scenario::ALL.map(|scenario| {
                thousands(self.logins.with(scenario, OURS).profile.within(function))
            }));
            row
        });
        let mut total = vec!["**all of the login**".to_owned()];
        total.extend(Scenario::ALL.map(|s| thousands(self.logins.with(s, OURS).profile.total)));
        let mut heading = vec![""];
        heading.extend(Scenario::ALL.map(Scenario::title));
        table(&heading, rows.chain([total]))
    }

    fn loading(&self) -> String {
        let rows = self.modules.iter().map(|module| {
            vec![
                module.subject.label.to_owned(),
                format!("{:.0}", module.size as f64 / 1024.0),
                module.relocations.to_string(),
                format!("{:.0}", module.load.median()),
                format!("{:.0}", module.load.p95()),
                format!("{:.0} %", 100.0 * module.load.spread()),
            ]
        });
        table(
            &["", "KiB", "relocations", "`dlopen` µs", "p95", "varies"],
            rows,
        )
    }

    fn memories(&self) -> String {
        let rows = self.memory.iter().flat_map(|(after, modules)| {
            modules.iter().map(move |(subject, memory)| {
                vec![
                    after.clone(),
                    subject.label.to_owned(),
                    memory.peak.to_string(),
                    memory.retained.to_string(),
                    memory.anonymous.to_string(),
                ]
            })
        });
        table(
            &[
                "after",
                "",
                "peak",
                "kept",
                "of that without a file behind it",
            ],
            rows,
        )
    }

    fn growth(&self) -> String {
        let rows = self.sizes.iter().map(|size| {
            vec![
                thousands(size.users as u64),
                size.subject.label.to_owned(),
                format!("{:.0}", size.time.median()),
                format!("{:.2}", size.time.median() / size.alone.median()),
                thousands(size.instructions),
                size.memory.peak.to_string(),
                size.memory.retained.to_string(),
            ]
        });
        let heading = [
            "users",
            "",
            "right code µs",
            "× one user, in turn",
            "instructions",
            "peak KiB",
            "kept KiB",
        ];
        table(&heading, rows)
    }

    fn piled_up(&self) -> String {
        let rows = self.piles.iter().map(|pile| {
            let mut row = vec![pile.after.clone()];
            for ((files, bytes), time) in pile.state.iter().zip(&pile.time) {
                row.push(format!("{files} / {}", thousands(*bytes)));
                row.push(format!("{:.0}", time.median()));
            }
            row
        });
        let mut heading = vec!["after"];
        heading.extend(["pam_mfa: files / bytes", "next right code µs"]);
        heading.extend(["google-authenticator", "µs", "pam_oath", "µs"]);
        table(&heading, rows)
    }

    fn throughput(&self) -> String {
        let rows = self.loads.chunks(MODULES.len()).map(|loads| {
            let users = if loads[0].one_user {
                "one"
            } else {
                "different"
            };
            let mut row = vec![users.to_owned(), loads[0].workers.to_string()];
            for load in loads {
                row.push(format!("{:.0}", load.rate));
                row.push(format!("{:.1} %", 100.0 * load.refused));
            }
            row
        });
        let heading = [
            "users",
            "at once",
            "pam_mfa: logins/s",
            "refused",
            "google-authenticator",
            "refused",
            "pam_oath",
            "refused",
        ];
        table(&heading, rows)
    }

    fn plots(&self) -> Vec<(&'static str, String)> {
        let right = Scenario::Right;
        let groups = right.subjects()[1..].iter().map(|subject| {
            let values = [(|cost| &cost.warm) as Way, |cost| &cost.fresh]
                .map(|way| targets::added(&self.logins, right, *subject, way));
            (subject.service.to_owned(), values.to_vec())
        });
        let groups: Vec<_> = groups.collect();
        let title = "A right code: microseconds above the floor";
        let users = lines(MODULES, |subject| {
            let sizes = self.sizes.iter().filter(|size| size.subject == subject);
            sizes
                .map(|size| (size.users as f64, size.time.median()))
                .collect()
        });
        let load = |one_user| {
            let of = lines(MODULES, |subject| {
                let loads = self.loads.iter();
                let ours =
                    loads.filter(|load| load.subject == subject && load.one_user == one_user);
                ours.map(|load| (load.workers as f64, load.rate.max(1.0)))
                    .collect()
            });
            let title = if one_user {
                "One user"
            } else {
                "Different users"
            };
            svg::lines(title, "at once", "logins a second that were let in", &of)
        };
        vec![
            (
                "right.svg",
                svg::bars(title, &["in one process", "in a fresh process"], &groups),
            ),
            (
                "users.svg",
                svg::lines("A right code", "enrolled users", "microseconds", &users),
            ),
            ("different.svg", load(false)),
            ("one.svg", load(true)),
        ]
    }
}

fn lines<const N: usize>(
    subjects: [Subject; N],
    points: impl Fn(Subject) -> Vec<(f64, f64)>,
) -> Vec<Line> {
    subjects
        .map(|subject| (subject.label.to_owned(), points(subject)))
        .into()
}

/// What stands in the line of callgrind; each with all that it calls, so that some contain others.
const PHASES: [(&str, &str); 11] = [
    ("load the module", "dlopen@@"),
    ("who is it (name service)", "mfa-core/src/user.rs:"),
    ("key and mark of the store", "mfa-core/src/init.rs:"),
    ("record: verify, parse, unseal", "mfa-core/src/record.rs:"),
    ("state: read, claim, write", "mfa-core/src/state.rs:"),
    ("throttle", "mfa-core/src/throttle.rs:"),
    ("codes of the steps", "/totp-rs-"),
    ("digest of a backup code", "/argon2-"),
    ("spend", "mfa-core/src/spend.rs:"),
    ("wipe the stack", "/zeroize-"),
    ("log", "pam_mfa/src/syslog.rs:"),
];

fn target_table(targets: &[Target]) -> String {
    let rows = targets.iter().map(|target| {
        let met = if target.met { "met" } else { "**missed**" };
        vec![
            target.promise.clone(),
            target.measured.clone(),
            met.to_owned(),
        ]
    });
    table(&["target", "measured", ""], rows)
}

fn machine(rounds: usize) -> String {
    let model = fs::read_to_string("/proc/cpuinfo").expect("the processor");
    let model = model
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let versions = ["libpam-google-authenticator", "libpam-oath", "libpam0g"].map(|package| {
        format!(
            "{package} {}",
            says(&["dpkg-query", "-W", "-f", "${Version}", package])
        )
    });
    format!(
        "Measured on {}: {} × {}, {}, /var/tmp on {}; {}. In each of {RUNS} runs each login {rounds} times \
         in either way. *varies*: the lowest and the highest median of a run lie so far apart.\n",
        says(&["date", "-u", "+%Y-%m-%d"]),
        std::thread::available_parallelism().map_or(1, usize::from),
        model.map_or("an unknown processor", |(_, name)| name.trim()),
        says(&["uname", "-s", "-r"]),
        says(&["stat", "--file-system", "--format=%T", "/var/tmp"]),
        versions.join(", "),
    )
}

fn says(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output();
    String::from_utf8_lossy(&output.expect("ask the machine").stdout)
        .trim()
        .to_owned()
}

fn table<H: Display>(heading: &[H], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(heading.iter().map(H::to_string).collect());
    let align = |column: usize| if column == 0 { "---" } else { "--:" };
    text += &format!(
        "|{}|\n",
        (0..heading.len()).map(align).collect::<Vec<_>>().join("|")
    );
    text.extend(rows.map(line));
    text
}

/// 1234567 → 1,234,567.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let with_comma = digits.chars().enumerate().flat_map(|(at, digit)| {
        let comma = at > 0 && (digits.len() - at).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    });
    with_comma.collect()
}

fn capital(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_uppercase() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_tables_are_for_people() {
        assert_eq!(
            ["7", "1,000", "1,234,567"],
            [7, 1000, 1_234_567]
                .map(thousands)
                .each_ref()
                .map(String::as_str)
        );
        let row = vec!["x".to_owned(), "1".to_owned()];
        assert_eq!(
            table(&["a", "b"], [row].into_iter()),
            "| a | b |\n|---|--:|\n| x | 1 |\n"
        );
        assert_eq!(capital("right code"), "Right code");
    }
}
