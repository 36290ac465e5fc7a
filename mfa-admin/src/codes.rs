//! Backup codes, on their way to the user.

use std::io;

use anyhow::Result;
use mfa_core::backup::BackupCode;
use mfa_core::user::shown;
use zeroize::Zeroizing;

use crate::backup_file::BackupFile;
use crate::cli::HandingOver;
use crate::terminal::{Line, Terminal};
use crate::{host, time};

const ONCE: &str = "Each of them is good for one login, instead of a code from the device.";

/// Whose codes they are.
pub struct Codes<'c> {
    /// The login name.
    pub user: &'c str,
    /// When they were made.
    pub made: i64,
    /// The codes.
    pub codes: &'c [BackupCode],
}

impl Codes<'_> {
    /// Writes them into the file, if there is one.
    pub fn write(&self, file: Option<&mut BackupFile>) -> Result<()> {
        file.map_or(Ok(()), |file| file.write(&self.text()))
    }

    /// Shows them once, unless they go elsewhere. Says whether the person goes on.
    pub fn show(&self, terminal: &mut Terminal, handing_over: &HandingOver) -> io::Result<bool> {
        if handing_over.json || handing_over.backup_codes_file.is_some() {
            return Ok(true);
        }
        let mut lines = self.heading();
        lines.extend(self.numbered(""));
        if handing_over.yes || !terminal.fits(lines.len()) {
            terminal.end_pages()?;
        }
        terminal.page(&lines)?;
        if terminal.has_pages() {
            // Whatever comes, the codes have been shown, and are good.
            let answer = terminal.ask_anew("\nPress Enter when you have written them down: ")?;
            return Ok(answer.is_some());
        }
        if terminal.stream().is_terminal() {
            terminal.say("Clear them from the terminal when you have written them down.")?;
        }
        Ok(true)
    }

    fn heading(&self) -> Vec<Line> {
        let heading = format!(
            "Backup codes of {} on {}. They are shown only now.",
            shown(self.user),
            host::name()
        );
        [&*heading, ONCE, ""]
            .map(|line| Zeroizing::new(line.to_owned()))
            .to_vec()
    }

    fn numbered(&self, checkbox: &str) -> impl Iterator<Item = Line> {
        let numbers = self.codes.iter().zip(1..);
        numbers.map(move |(code, number)| {
            Zeroizing::new(format!("{number:>4}.  {checkbox}{}", code.shown().as_str()))
        })
    }

    /// The file to print.
    fn text(&self) -> Line {
        let mut text = Zeroizing::new(String::with_capacity(2048));
        text.push_str(&format!(
            "Backup codes\n\nHost: {}\nUser: {}\nMade: {}\n\n",
            host::name(),
            shown(self.user),
            time::local(self.made)
        ));
        for line in self.numbered("[ ]  ") {
            text.push_str(&line);
            text.push('\n');
        }
        text.push_str(&format!(
            "\n{ONCE}\nType it where the login asks for it, with or without the dashes, and tick \
             it off here.\nKeep this sheet where you keep your keys, and remove the file. New \
             codes, which make\nthese worthless: sudo mfa-admin regenerate {}\n",
            shown(self.user)
        ));
        text
    }
}

/// Says where codes are that were not shown.
pub fn say_where(terminal: &mut Terminal, handing_over: &HandingOver) -> io::Result<()> {
    match &handing_over.backup_codes_file {
        Some(file) => terminal.say(&format!(
            "The backup codes are in {}. Print it, then remove it.",
            file.display()
        )),
        None => Ok(()),
    }
}

/// What to say if something was done, but not everything could be told of it.
pub fn not_shown(done: &str, user: &str) -> String {
    let user = shown(user);
    format!(
        "{user} {done}, but the backup codes may not have been seen. New ones: mfa-admin \
         regenerate {user}. Why"
    )
}
