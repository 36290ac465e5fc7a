//! What a person sees of a transaction, prompt by prompt.

use anyhow::{Context, Result, bail};
use pam_stack::Code;
use pam_witness::{Event, Kind, Style};

use super::places::Places;
use super::witness::Witness;
use crate::terminal::Terminal;

/// How far it got.
pub struct View {
    places: Places,
    /// The lines that libpam has loaded.
    lines: Vec<(Kind, String)>,
    /// The line whose module was called last.
    current: Option<usize>,
    asked: bool,
    /// Who said in the `auth` stack that it is right.
    yes: Vec<String>,
}

impl View {
    /// Nothing has happened yet.
    pub fn new(places: Places) -> View {
        View {
            places,
            lines: Vec::new(),
            current: None,
            asked: false,
            yes: Vec::new(),
        }
    }

    /// Shows it, and has a question answered. At the end: the code that it came to, and its text.
    pub fn show(
        &mut self,
        event: Event,
        terminal: &mut Terminal,
        witness: &mut Witness,
    ) -> Result<Option<(i32, String)>> {
        match event {
            Event::Loaded {
                kind,
                module,
                callable,
            } => {
                let (line, not_loaded) = self.places.next(kind, &module);
                not_loaded.iter().try_for_each(|line| terminal.say(line))?;
                if !callable {
                    terminal.say(&format!("{line}: is not made for this ({UNKNOWN})"))?;
                }
                self.lines.push((kind, line));
            }
            Event::TooMany => {
                bail!("the service has more lines than can be followed. Nothing was tried")
            }
            Event::Called(line) => {
                self.all_are_loaded(terminal)?;
                self.current = Some(line);
            }
            Event::Message(style, text) => self.message(style, &text, terminal, witness)?,
            Event::Returned(code) => terminal.say(&self.verdict(code))?,
            Event::Ended { code, text } => {
                self.all_are_loaded(terminal)?;
                return Ok(Some((code, text)));
            }
        }
        Ok(None)
    }

    fn all_are_loaded(&mut self, terminal: &mut Terminal) -> Result<()> {
        let rest = self.places.rest();
        Ok(rest.iter().try_for_each(|line| terminal.say(line))?)
    }

    fn message(
        &mut self,
        style: Style,
        text: &str,
        terminal: &mut Terminal,
        witness: &mut Witness,
    ) -> Result<()> {
        let (line, text) = (self.line(), plain(text));
        match style {
            Style::Error => {
                terminal.say(&format!("{line} says that something is wrong: {text}"))?
            }
            Style::Info => terminal.say(&format!("{line} says: {text}"))?,
            Style::Hidden | Style::Shown => {
                self.asked = true;
                terminal.say(&format!("{line} asks"))?;
                let answer = terminal.ask_for_module(&text, style == Style::Hidden)?;
                let answer =
                    answer.context("no answer came. What was typed before counts all the same")?;
                witness.answer(&answer)?;
            }
        }
        Ok(())
    }

    fn verdict(&mut self, code: i32) -> String {
        let line = self.line();
        let name = Code::new(code).map_or_else(|| code.to_string(), |code| code.name().to_owned());
        let kind = self
            .current
            .and_then(|line| self.lines.get(line))
            .map(|line| line.0);
        let right = code == 0 && kind == Some(Kind::Auth);
        if right {
            self.yes.push(line.clone());
        }
        let why = match right && line.starts_with("pam_rootok.so ") {
            true => ": you are root. For others who call it the stack goes on",
            false => "",
        };
        format!("{line}: {name}{why}")
    }

    fn line(&self) -> String {
        let line = self.current.and_then(|line| self.lines.get(line));
        line.map_or_else(|| "libpam".to_owned(), |(_, line)| line.clone())
    }

    /// Who let in, if nobody was asked anything.
    pub fn unasked(&self) -> Option<String> {
        let yes = || {
            format!(
                "\nNothing was asked. It was right for {}.",
                self.yes.join(", ")
            )
        };
        (!self.asked).then(yes)
    }

    /// What to say if it ends by itself.
    pub fn in_the_middle(&self) -> String {
        format!("{} did not come back", self.line())
    }
}

/// What libpam takes for the answer of a module that it cannot call.
pub const UNKNOWN: &str = "for libpam that is module_unknown";

/// Without characters that steer a terminal.
fn plain(text: &str) -> String {
    let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    let plain = text.chars().map(|c| match steers(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    });
    plain.collect()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_module_does_not_steer_the_terminal() {
        assert_eq!(plain("a\x1b[2J\tä\nb\r"), "a\\u{1b}[2J\tä\nb\\r");
    }
}
