//! What stands in a manual page: its sections, the tags of its paragraphs, its examples.
//!
//! A page is named by its path from the top of the source tree.

use std::{fs, process::Command};

use crate::{command::run, locate};

/// A file of the source tree.
#[track_caller]
pub fn read(path: &str) -> String {
    fs::read_to_string(locate::workspace().join(path)).expect(path)
}

/// What stands for itself in a page, without the marks of roff.
pub fn plain(text: &str) -> String {
    text.replace("\\(dq", "\"")
        .replace("\\-", "-")
        .replace("\\e", "\\")
}

/// The lines of a section, as they are written.
#[track_caller]
pub fn section(page: &str, heading: &str) -> Vec<String> {
    let page = read(page);
    let lines = page.lines().map(str::to_owned);
    let mut lines = lines.skip_while(|line| *line != format!(".SH {heading}"));
    assert!(lines.next().is_some(), "no section {heading}");
    lines.take_while(|line| !line.starts_with(".SH ")).collect()
}

/// A part of a section.
#[derive(Debug)]
pub struct Part {
    /// Its heading; that of the first one, before any heading, is empty.
    pub heading: String,
    /// The paragraphs that have a tag.
    pub paragraphs: Vec<Paragraph>,
}

/// A paragraph with a tag.
#[derive(Debug)]
pub struct Paragraph {
    /// What hangs out on the left.
    pub tag: String,
    /// What is said about it, with the names of macros in it.
    pub text: String,
}

/// The parts of a section.
#[track_caller]
pub fn parts(page: &str, heading: &str) -> Vec<Part> {
    let text = section(page, heading).join("\n");
    let text = format!("\n{text}\n");
    // Each begins with its heading.
    let parts = text.split("\n.SS").map(|part| {
        let (heading, body) = part.split_once('\n').unwrap_or((part, ""));
        Part {
            heading: plain(heading.trim()),
            paragraphs: paragraphs(body),
        }
    });
    parts.collect()
}

fn paragraphs(body: &str) -> Vec<Paragraph> {
    let body = format!("\n{body}").replace("\n.TQ\n", "\n.TP\n");
    let paragraphs = body.split("\n.TP\n").skip(1).map(|paragraph| {
        let (tag, text) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        let text = text.split("\n.PP").next().unwrap_or_default();
        Paragraph {
            tag: plain(&tag_of(tag)),
            text: plain(text),
        }
    });
    paragraphs.collect()
}

/// `.BI` sets its words one behind the other; a blank stands in quotes.
fn tag_of(line: &str) -> String {
    let Some(words) = line.strip_prefix(".BI ") else {
        return line.strip_prefix(".B ").expect("a tag").to_owned();
    };
    let pieces = words.split('"').zip([false, true].into_iter().cycle());
    let pieces = pieces.map(|(piece, quoted)| match quoted {
        true => piece.to_owned(),
        false => piece.replace(' ', ""),
    });
    pieces.collect()
}

/// The tags of a section, each with the heading below which it stands.
#[track_caller]
pub fn tags(page: &str, heading: &str) -> Vec<(String, String)> {
    let parts = parts(page, heading).into_iter();
    let tags = parts.flat_map(|part| {
        let tags = part.paragraphs.into_iter().map(|paragraph| paragraph.tag);
        tags.map(move |tag| (part.heading.clone(), tag))
    });
    tags.collect()
}

/// The examples of a section.
#[track_caller]
pub fn examples(page: &str, heading: &str) -> Vec<String> {
    let text = plain(&section(page, heading).join("\n"));
    let examples = text.split(".EX\n").skip(1);
    let examples = examples.map(|rest| rest.split(".EE").next().unwrap_or_default().to_owned());
    examples.collect()
}

/// Fails the test unless groff shows the page on eighty columns and has nothing to say about it.
#[track_caller]
pub fn assert_renders(page: &str) {
    let mut groff = Command::new("groff");
    groff.args(["-man", "-Tutf8", "-ww", "-P-c", "-P-b", "-P-u", "-rLL=80n"]);
    let shown = run(groff.arg(locate::workspace().join(page)), "").ok();
    assert_eq!(shown.stderr, "", "{page}");
    for line in shown.stdout.lines() {
        assert!(line.chars().count() <= 80, "{page}: {line}");
    }
}
