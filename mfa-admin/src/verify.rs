//! Handing a secret to a device, and asking for a code that proves that it arrived.

use anyhow::{Context, Result, bail, ensure};
use mfa_core::enrollment::{Check, Pending};
use mfa_core::user::shown;

use crate::page::Page;
use crate::terminal::{BROKEN_OFF, Terminal};
use crate::time;

const TRIES: u32 = 3;

/// Shows the page and asks for a code until it is right.
pub fn verify(terminal: &mut Terminal, page: &Page, pending: &mut Pending) -> Result<()> {
    let mut message: Option<String> = None;
    let mut tries = 0;
    while tries < TRIES {
        match &message {
            Some(message) if !terminal.has_pages() => terminal.say(message)?,
            message => terminal.page(&page.lines(message.as_deref()))?,
        }
        let typed = terminal.need("Code from the device: ", "--no-verify and --yes")?;
        // To press Enter is no try; a script would do it for ever.
        if typed.trim().is_empty() && terminal.has_person() {
            message = Some("Type the code that the device shows.".to_owned());
            continue;
        }
        tries += 1;
        let now = time::now();
        match pending.verify(&typed, now) {
            Check::Right => return Ok(()),
            Check::Wrong => message = Some("Wrong code.".to_owned()),
            Check::ClockOff(minutes) => message = Some(clock_off(minutes, now)),
        }
    }
    bail!(
        "{} No try is left: nothing was changed. See whether the device has the secret that \
         was shown last, and whether its clock is right; then begin again",
        message.unwrap_or_default()
    )
}

/// Which of the two clocks is wrong only the person can see.
fn clock_off(minutes: i64, now: i64) -> String {
    let (count, time) = (minutes.unsigned_abs(), time::local(now));
    let unit = if count == 1 { "minute" } else { "minutes" };
    let side = if minutes < 0 { "behind" } else { "ahead of" };
    format!(
        "Wrong code: the device's clock is about {count} {unit} {side} this machine's, which says \
         {time}. Set the one that is wrong."
    )
}

/// A wrong secret on the device locks the user out, and nobody would have noticed before.
pub fn do_without(terminal: &mut Terminal, user: &str) -> Result<()> {
    terminal.say(&format!(
        "Without a code from it nobody knows whether the device shows right ones. If it does not, \
         {} is locked out.",
        shown(user)
    ))?;
    let answer = terminal.need("Type yes to go on: ", "--yes")?;
    ensure!(
        answer.trim() == "yes",
        "\"yes\" was not typed. Nothing was changed. In scripts add --yes"
    );
    Ok(())
}

/// Shows the page until somebody has taken the secret from it.
pub fn hand_over(terminal: &mut Terminal, page: &Page, wait: bool) -> Result<()> {
    if !wait {
        // Nobody would have the time to read a page.
        terminal.end_pages()?;
    }
    terminal.page(&page.lines(None))?;
    if wait && terminal.has_pages() {
        let answer = terminal.ask("Press Enter when the device has the secret: ")?;
        answer.context(BROKEN_OFF)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_named_with_its_side() {
        let ahead = clock_off(7, 0);
        assert!(ahead.contains("about 7 minutes ahead of"), "{ahead}");
        let behind = clock_off(-1, 0);
        assert!(behind.contains("about 1 minute behind"), "{behind}");
    }
}
