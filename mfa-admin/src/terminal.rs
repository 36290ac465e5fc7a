//! Talking to a person: pages that can be cleared away again, and questions.

use std::io::{self, Write};
use std::os::fd::AsFd;

use anyhow::{Context, Result, anyhow};
use mfa_core::user::shown;
use zeroize::Zeroizing;

use crate::input::Input;
use crate::stream::{Stream, check_output, is_closed};

/// A line that may hold a secret.
pub type Line = Zeroizing<String>;

const ENTER_ALTERNATE: &str = "\x1b[?1049h";
const LEAVE_ALTERNATE: &str = "\x1b[?1049l";
const CLEAR: &str = "\x1b[H\x1b[2J";

/// A terminal, or what stands in for one.
///
/// Pages are shown on the alternate screen, which keeps no scroll-back: nothing that was shown or
/// typed there can be read afterwards. Where there is none, they are plain lines.
pub struct Terminal {
    stream: Stream,
    input: Input,
    has_alternate: bool,
    on_alternate: bool,
}

impl Terminal {
    /// Shows on `stream`. Nobody turns a page who does not sit at the terminal.
    pub fn new(stream: Stream) -> io::Result<Terminal> {
        let input = Input::new()?;
        Ok(Terminal {
            has_alternate: stream.canvas().is_some() && input.is_terminal(),
            on_alternate: false,
            stream,
            input,
        })
    }

    /// Where it shows.
    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// Whether pages can be cleared away.
    pub fn has_pages(&self) -> bool {
        self.has_alternate
    }

    /// Shows a new page in place of the last one.
    pub fn page(&mut self, lines: &[Line]) -> io::Result<()> {
        if self.has_alternate && !self.on_alternate {
            self.stream.write_all(ENTER_ALTERNATE.as_bytes())?;
            self.on_alternate = true;
        }
        if self.on_alternate {
            self.stream.write_all(CLEAR.as_bytes())?;
        }
        lines.iter().try_for_each(|line| self.say(line))?;
        match self.on_alternate {
            // It may be full.
            true => Ok(()),
            false => self.say(""),
        }
    }

    /// Shows one more line.
    pub fn say(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.stream, "{line}")
    }

    /// Asks. `None` if no answer came: the end of the input, or somebody broke off.
    pub fn ask(&mut self, prompt: &str) -> io::Result<Option<Line>> {
        write!(self.stream, "{prompt}")?;
        self.stream.flush()?;
        let answer = self.input.line()?;
        if answer.is_none() || !self.input.is_terminal() {
            self.say("")?;
        }
        Ok(answer)
    }

    /// Whether somebody types the answers.
    pub fn has_person(&self) -> bool {
        self.input.is_terminal()
    }

    /// Asks what nothing is changed without. `options` spare a script the question.
    pub fn need(&mut self, prompt: &str, options: &str) -> Result<Line> {
        let answer = self.ask(prompt)?;
        answer.with_context(|| match self.has_person() {
            true => BROKEN_OFF.to_owned(),
            false => format!("{BROKEN_OFF}. In scripts add {options}"),
        })
    }

    /// Asks for a module of PAM: takes any bytes, and shows nothing of them if they are to be hidden.
    pub fn ask_for_module(
        &mut self,
        prompt: &str,
        hidden: bool,
    ) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let hiding = hidden.then(|| self.input.hide()).transpose()?;
        write!(self.stream, "{prompt}")?;
        self.stream.flush()?;
        let answer = self.input.bytes()?;
        drop(hiding);
        if answer.is_none() || hidden {
            self.say("")?;
        }
        Ok(answer)
    }

    /// Waits until there is something to read, or the end of it; false if somebody broke off.
    pub fn wait_for(&self, source: impl AsFd) -> io::Result<bool> {
        self.input.wait_for(source)
    }

    /// The last chance before something is changed for a user: fails if somebody broke off while
    /// nothing was asked, or if what there is to hand over then could not be written. `handed_over`: all of it
    /// was, so that nobody needs to see standard output.
    pub fn check_before_change(&self, user: &str, handed_over: bool) -> Result<()> {
        let fit = match self.input.is_broken_off() {
            true => Err(anyhow!("it was broken off")),
            false if !handed_over && is_closed()? => Err(anyhow!(
                "cannot write to standard output: it is closed, or the null device"
            )),
            false => check_output().context("cannot write to standard output"),
        };
        fit.with_context(|| format!("nothing was changed for {}", shown(user)))
    }

    /// Asks, and takes nothing for an answer that was typed before.
    pub fn ask_anew(&mut self, prompt: &str) -> io::Result<Option<Line>> {
        self.input.forget();
        self.ask(prompt)
    }

    /// Whether so many lines and a question fit on a page.
    pub fn fits(&self, lines: usize) -> bool {
        let height = self
            .stream
            .canvas()
            .map_or(usize::MAX, |(_, height)| height);
        lines + 2 <= height
    }

    /// From here on everything is plain lines, and stays.
    pub fn end_pages(&mut self) -> io::Result<()> {
        self.leave()?;
        self.has_alternate = false;
        Ok(())
    }

    /// Clears the page away and goes back to where we came from.
    pub fn leave(&mut self) -> io::Result<()> {
        if self.on_alternate {
            self.on_alternate = false;
            // Terminals without an alternate screen take the first part alone.
            write!(self.stream, "{CLEAR}{LEAVE_ALTERNATE}")?;
        }
        self.stream.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that cannot be written to is not there any more.
        let _ = self.leave();
    }
}

/// What to tell somebody who broke off before anything was changed.
pub const BROKEN_OFF: &str = "no answer came. Nothing was changed";
