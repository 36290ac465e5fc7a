//! mfa-admin(8) and the command line say the same.

use std::{collections::BTreeSet, fs, process::Command};

use mfa_tests::{
    command::{Finished, run},
    enrolled::{NOW, STEP},
    locate,
    manual::{Paragraph, Part, assert_renders, examples, parts, plain, read, tags},
    need,
    sandbox::Sandbox,
};

const PAGE: &str = "docs/man/mfa-admin.8";

fn help(command: &[&str]) -> String {
    let mut admin = Command::new(locate::admin());
    run(admin.args(command).arg("--help"), "").ok().stdout
}

/// The lines of `--help` below a heading.
fn below<'h>(help: &'h str, heading: &str) -> Vec<&'h str> {
    let lines = help.lines().skip_while(|line| *line != heading);
    let lines = lines.skip(1);
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with(' '));
    lines.collect()
}

/// The commands that `--help` lists. Not among them is `help`, which says what `--help` says.
fn listed(help: &str) -> Vec<&str> {
    let lines = below(help, "Commands:").into_iter();
    let names = lines.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").collect()
}

/// `Usage: mfa-admin enroll [OPTIONS] <USER>` → `enroll USER`.
fn usage(help: &str) -> String {
    let mut lines = help.lines();
    let usage = lines.find_map(|line| line.strip_prefix("Usage: mfa-admin "));
    let usage = usage.expect("a usage").replace("[OPTIONS]", "");
    let words: Vec<&str> = usage.split_whitespace().collect();
    words.join(" ").replace(['<', '>'], "")
}

/// An option begins a line; what it does stands behind it, or below it and farther to the right.
fn options(help: &str) -> Vec<Paragraph> {
    let mut options: Vec<Paragraph> = Vec::new();
    for line in below(help, "Options:") {
        let option = line.trim_start();
        if option.starts_with('-') && line.len() - option.len() <= 6 {
            let (tag, text) = option.split_once("  ").unwrap_or((option, ""));
            options.push(Paragraph {
                tag: tag.replace(['<', '>'], ""),
                text: text.to_owned(),
            });
        } else if let Some(option) = options.last_mut() {
            option.text += &format!("\n{line}");
        }
    }
    options
}

/// The options that every command has stand first, without a heading.
fn shown_by_help() -> Vec<Part> {
    let everywhere = options(&help(&[]));
    let (mut helps, mut shown) = (Vec::new(), Vec::new());
    for name in listed(&help(&[])) {
        let help_of_it = help(&[name]);
        let below = listed(&help_of_it);
        helps.extend(below.iter().map(|below| help(&[name, below])));
        if below.is_empty() {
            helps.push(help_of_it);
        }
    }
    for help in helps {
        let (common, own): (Vec<_>, Vec<_>) = options(&help)
            .into_iter()
            .partition(|option| everywhere.iter().any(|other| other.tag == option.tag));
        let common: Vec<_> = common.into_iter().map(|option| option.tag).collect();
        assert_eq!(common, ["--root DIR", "-h, --help"], "{help}");
        shown.push(Part {
            heading: usage(&help),
            paragraphs: own,
        });
    }
    shown.insert(
        0,
        Part {
            heading: String::new(),
            paragraphs: everywhere,
        },
    );
    shown
}

fn shown_in_page() -> Vec<Part> {
    let commands = parts(PAGE, "COMMANDS").into_iter().skip(1);
    parts(PAGE, "OPTIONS").into_iter().chain(commands).collect()
}

/// Each heading with the tags below it.
fn outline(parts: &[Part]) -> Vec<(&str, Vec<&str>)> {
    let outline = parts.iter().map(|part| {
        let tags = part.paragraphs.iter().map(|paragraph| &*paragraph.tag);
        (&*part.heading, tags.collect())
    });
    outline.collect()
}

#[test]
fn page_and_help_show_the_same_commands_and_options_in_the_same_order() {
    let (help, page) = (shown_by_help(), shown_in_page());
    assert!(help.len() > 8 && help.iter().any(|part| part.heading == "config check"));
    assert_eq!(outline(&page), outline(&help));
}

/// What stands in a text between two others, on however many lines.
fn between(text: &str, begin: &str, end: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let words = words.join(" ");
    let (_, rest) = words.split_once(begin)?;
    Some(rest.split_once(end)?.0.to_owned())
}

/// `- sha1: HMAC-SHA-1, which every app knows` → `sha1`.
fn values(text: &str) -> Vec<&str> {
    let lines = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "));
    lines
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect()
}

#[test]
fn page_and_help_show_the_same_defaults_and_values() {
    let all = |parts: Vec<Part>| parts.into_iter().flat_map(|part| part.paragraphs);
    let mut count = 0;
    for (help, page) in all(shown_by_help()).zip(all(shown_in_page())) {
        let default = between(&help.text, "[default: ", "]");
        assert_eq!(between(&page.text, "(default: ", ")"), default, "{page:?}");
        let named = |value: &&str| page.text.split([' ', ',', '\n']).any(|word| word == *value);
        let values = values(&help.text);
        assert!(values.iter().all(named), "{values:?} {page:?}");
        count += values.len();
    }
    assert!(count > 5, "{count}");
}

/// The text around the examples: those are run, and in them are options of other programs.
fn prose() -> String {
    let page = plain(&read(PAGE));
    let pieces = page
        .split(".EX\n")
        .map(|piece| match piece.split_once(".EE") {
            Some((_, behind)) => behind,
            None => piece,
        });
    pieces.collect()
}

#[test]
fn the_text_names_no_option_that_the_command_line_does_not_know() {
    let help = shown_by_help();
    let tags = help.iter().flat_map(|part| &part.paragraphs);
    let tags = tags.flat_map(|option| option.tag.split([' ', ',']));
    let known: BTreeSet<&str> = tags.collect();
    let prose = prose();
    let words = prose.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let named: BTreeSet<&str> = words.filter(|word| word.starts_with("--")).collect();
    assert!(named.contains("--all"), "{named:?}");
    let invented: Vec<_> = named.difference(&known).collect();
    assert!(invented.is_empty(), "{invented:?}");
}

/// Runs an example in a sandbox, line by line, with nobody there to answer.
fn run_example(sandbox: &Sandbox, example: &str) -> Finished {
    let root = sandbox.root().display().to_string();
    let admin = format!("{} --root {root} ", locate::admin().display());
    let script = example
        .replace(" /", &format!(" {root}/"))
        .replace("mfa-admin ", &admin);
    let mut shell = Command::new("sh");
    shell.args(["-ec", &script]).current_dir(&root);
    shell.envs(sandbox.environment(None));
    run(&mut shell, "")
}

/// The last two examples make a backup and bring it back.
fn examples_and_backup() -> (Vec<String>, [String; 2]) {
    let mut examples = examples(PAGE, "EXAMPLES");
    let backup = examples.split_off(examples.len() - 2);
    (examples, backup.try_into().expect("two examples"))
}

#[test]
fn the_examples_work_as_far_as_they_go_without_an_answer() {
    let (sandbox, _) = Sandbox::with_alice();
    sandbox.add_account("gone", 1001);
    let [_] = sandbox.enroll_cheaply("gone", 1001, NOW);
    sandbox.remove_account("gone");
    let (examples, _) = examples_and_backup();
    assert!(examples.len() > 5, "{examples:?}");
    for example in examples {
        let finished = run_example(&sandbox, &example);
        let no_answer = "mfa-admin: no answer came. Nothing was changed. In scripts add ";
        let asked = finished.stderr.starts_with(no_answer);
        assert!(finished.code() == 0 || asked, "{example}{finished:#?}");
    }
}

#[test]
fn the_backup_of_the_examples_brings_everybody_back_and_no_code_to_life() {
    let (sandbox, alice) = Sandbox::with_alice();
    for folder in ["mnt/usb", "srv"] {
        fs::create_dir_all(sandbox.path(folder)).expect("make a folder");
    }
    let (_, [backup, restore]) = examples_and_backup();
    run_example(&sandbox, &backup).ok();
    assert!(sandbox.login("alice", &[&alice.backup_codes[0]]).granted());
    fs::remove_dir_all(sandbox.path("var/lib/pam_mfa")).expect("lose the store");
    fs::remove_file(sandbox.path("etc/pam_mfa/key")).expect("lose the key");
    let list = run_example(&sandbox, &restore).ok().stdout;
    assert!(list.contains("\nalice "), "{list}");
    assert!(!sandbox.login("alice", &[&alice.backup_codes[0]]).granted());
    let later = NOW + 2 * STEP;
    let outcome = sandbox.at(later).login("alice", &[&alice.code_at(later)]);
    assert!(outcome.granted(), "{outcome:#?}");
}

#[test]
fn every_exit_status_of_the_page_can_be_seen() {
    let (sandbox, _) = Sandbox::with_alice();
    let seen = [&["list"][..], &["status", "bob"], &["status"]];
    let seen = seen.map(|command| sandbox.admin(command).code().to_string());
    let tags = tags(PAGE, "EXIT STATUS").into_iter();
    let documented: Vec<String> = tags.map(|(_, status)| status).collect();
    assert_eq!(documented, seen);
}

#[test]
fn the_page_is_shown_without_warnings_on_eighty_columns() {
    need!("/usr/bin/groff");
    assert_renders(PAGE);
}
