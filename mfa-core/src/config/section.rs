//! One table of the file: its values are taken by name, and what is left over is a problem.

use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something that is wrong in the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The key and what was expected.
    pub text: String,
}

impl fmt::Display for Problem {
    /// Keys come from the file: they steer no terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        self.text.chars().try_for_each(|c| match c.is_control() {
            true => write!(f, "{}", c.escape_debug()),
            false => write!(f, "{c}"),
        })
    }
}

/// So many problems are told: more are of one kind.
const MOST: usize = 100;

/// The problems found so far, each with the byte of the text where it stands.
#[derive(Default)]
pub struct Problems(Vec<(usize, String)>);

impl Problems {
    /// One more, at this byte of the text.
    pub fn add(&mut self, at: usize, text: String) {
        self.0.push((at, text));
    }

    /// The first of this text, in the order of their lines.
    pub fn all(mut self, text: &str) -> Vec<Problem> {
        self.0.sort();
        self.0.truncate(MOST);
        let (mut line, mut counted) = (1, 0);
        let problems = self.0.into_iter().map(|(at, problem)| {
            let lines = text.as_bytes().get(counted..at).unwrap_or_default();
            line += lines.iter().filter(|byte| **byte == b'\n').count();
            counted = at;
            Problem {
                line,
                text: problem,
            }
        });
        problems.collect()
    }
}

/// A table and where it stands.
pub struct Section<'s, 'i> {
    table: &'s DeTable<'i>,
    /// `service.sshd.`, or nothing for the top.
    path: String,
    known: Vec<&'static str>,
}

impl<'s, 'i> Section<'s, 'i> {
    /// The table under this path.
    pub fn new(table: &'s DeTable<'i>, path: String) -> Section<'s, 'i> {
        Section {
            table,
            path,
            known: Vec::new(),
        }
    }

    /// The value of a key, if it is there and `convert` accepts it.
    pub fn take<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        problems: &mut Problems,
        convert: impl Fn(&DeValue) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let converted = convert(value.get_ref());
        if converted.is_none() {
            let text = format!("`{}{key}`: expected {expected}", self.path);
            problems.add(value.span().start, text);
        }
        converted
    }

    /// The accepted elements of a list; each that is not accepted is a problem of its own.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        problems: &mut Problems,
        convert: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let name = format!("`{}{key}`", self.path);
        let DeValue::Array(elements) = value.get_ref() else {
            problems.add(value.span().start, format!("{name}: expected {expected}"));
            return Vec::new();
        };
        let mut accepted = Vec::new();
        for element in elements.iter() {
            let converted = match element.get_ref() {
                DeValue::String(text) => convert(text),
                _ => Err(format!("expected {expected}")),
            };
            match converted {
                Ok(element) => accepted.push(element),
                Err(problem) => problems.add(element.span().start, format!("{name}: {problem}")),
            }
        }
        accepted
    }

    /// The table under a key.
    pub fn table(&mut self, key: &'static str, problems: &mut Problems) -> Option<Section<'s, 'i>> {
        let value = self.value(key)?;
        self.below(key, value, problems)
    }

    /// The tables under a key, by the names that the administrator gave them.
    pub fn tables(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
    ) -> Vec<(String, Section<'s, 'i>)> {
        let Some(all) = self.table(key, problems) else {
            return Vec::new();
        };
        let below = |(name, value): (&'s Spanned<_>, &'s Spanned<_>)| {
            let name: &std::borrow::Cow<str> = name.get_ref();
            Some((name.to_string(), all.below(name, value, problems)?))
        };
        all.table.iter().filter_map(below).collect()
    }

    /// Where a key stands, if it is there.
    pub fn place(&self, key: &str) -> Option<usize> {
        let (key, _) = self.table.get_key_value(key)?;
        Some(key.span().start)
    }

    /// What nobody took is not known.
    pub fn end(self, problems: &mut Problems) {
        for key in self.table.keys() {
            if !self.known.contains(&&**key.get_ref()) {
                let (path, name) = (&self.path, key.get_ref());
                let known = self.known.join(", ");
                let text = format!("`{path}{name}`: unknown key; known here: {known}");
                problems.add(key.span().start, text);
            }
        }
    }

    fn value(&mut self, key: &'static str) -> Option<&'s Spanned<DeValue<'i>>> {
        self.known.push(key);
        self.table.get(key)
    }

    fn below(
        &self,
        key: &str,
        value: &'s Spanned<DeValue<'i>>,
        problems: &mut Problems,
    ) -> Option<Section<'s, 'i>> {
        let path = format!("{}{key}", self.path);
        match value.get_ref() {
            DeValue::Table(table) => Some(Section::new(table, format!("{path}."))),
            _ => {
                let text = format!("`{path}`: expected a table: [{path}]");
                problems.add(value.span().start, text);
                None
            }
        }
    }
}
