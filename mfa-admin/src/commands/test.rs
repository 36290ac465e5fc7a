//! `mfa-admin test`: a login through the real stack, watched.

use std::io::stdin;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use mfa_core::paths::Root;
use mfa_core::proof;
use mfa_core::user::shown;
use nix::unistd::ttyname;

use crate::cli::Test;
use crate::stream::Stream;
use crate::terminal::Terminal;
use crate::trial::places::Places;
use crate::trial::view::View;
use crate::trial::witness::Witness;

/// 0 if the user would get in, 1 if not.
pub fn run(root: &Root, options: &Test) -> Result<ExitCode> {
    super::check_here_as_root(root, "test logs in to")?;
    let tty = ttyname(stdin()).ok();
    let tty = tty.filter(|_| Stream::Out.is_terminal());
    let tty = tty.context("somebody has to answer: run it at a terminal")?;
    let service = &options.service.to_ascii_lowercase();
    let proved = proof::is_there(root, service);
    let done = watch(root, options, &tty.display().to_string());
    // What is granted here shows nothing of the program that lets in: "stack confirm" has to wait.
    if !proved && proof::is_there(root, service) {
        proof::wait_for(root, service)?;
    }
    done
}

fn watch(root: &Root, options: &Test, tty: &str) -> Result<ExitCode> {
    let (user, service) = (shown(&options.user), &options.service);
    let mut terminal = Terminal::new(Stream::Out)?;
    terminal.say(&format!(
        "This is a real login by {service} as {user}, without a session.\n\
         A code that you type is used up, and a wrong password or code counts as a failure, also in other\n\
         modules (pam_faillock).\n"
    ))?;
    let places = Places::read(root, service);
    places
        .notes
        .iter()
        .try_for_each(|note| terminal.say(note))?;

    let mut arguments = vec![service, &options.user, tty];
    arguments.extend(options.rhost.as_deref());
    let mut witness = Witness::start(&arguments)?;
    let mut view = View::new(places);
    let (code, text) = loop {
        let next = witness.next(&terminal);
        let Some(event) = next.with_context(|| view.in_the_middle())? else {
            bail!("it was broken off. What was typed before counts all the same");
        };
        if let Some(end) = view.show(event, &mut terminal, &mut witness)? {
            break end;
        }
    };
    if let (0, Some(unasked)) = (code, view.unasked()) {
        terminal.say(&unasked)?;
    }
    let result = match code {
        0 => format!("{user} would get in."),
        NEW_PASSWORD => format!("{user} would have to choose a new password first: {text}"),
        _ => format!("{user} would be refused: {text}"),
    };
    terminal.say(&format!("\nResult: {result}"))?;
    Ok(ExitCode::from(u8::from(code != 0)))
}

/// `PAM_NEW_AUTHTOK_REQD` (pam_acct_mgmt(3)).
const NEW_PASSWORD: i32 = 12;
