//! The demo with a terminal: a person enrolls and logs in.

use std::{
    ffi::c_int,
    io::{self, ErrorKind, Write},
};

use mfa_tests::pam::{ERROR_MSG, PROMPT_ECHO_OFF, PROMPT_ECHO_ON, Reply, SUCCESS, TEXT_INFO};

use crate::stage::{PASSWORD, Stage, break_off};

/// Plays until the person has enough.
pub fn play(stage: &Stage) -> Result<(), String> {
    println!(
        "Everything happens in {} and is removed at the end.",
        stage.root().display()
    );
    println!("\nFirst you enroll: have an authenticator app at hand (any TOTP app).");
    if !asked("Press Enter to see the QR code, or type q to leave: ")? {
        return Ok(());
    }
    let status = stage.admin(&["enroll", &stage.user]).status();
    if !status
        .map_err(|error| format!("mfa-admin does not start: {error}"))?
        .success()
    {
        return Err("the enrollment was not finished; nothing is left of it".to_owned());
    }
    println!(
        "\nNow log in, through the real libpam, with this PAM service:\n\n{}",
        stage.service()
    );
    println!("The password is: {PASSWORD}");
    println!(
        "The code that you just typed is used up: wait for the next one, or take a backup code."
    );
    while asked("\nPress Enter to log in, or type q to leave: ")? {
        log_in(stage);
        println!(
            "Try also: the same code again, a wrong one, a backup code, the same backup code again."
        );
    }
    Ok(())
}

fn log_in(stage: &Stage) {
    let (code, log) = stage.login(converse);
    match code {
        SUCCESS => println!("\nPAM lets {} in.", stage.user),
        code => println!("\nPAM does not let {} in (code {code}).", stage.user),
    }
    match log.is_empty() {
        true => println!("No code was asked for: the password was wrong. It is: {PASSWORD}"),
        false => println!("The line in the log: {log}"),
    }
}

fn converse(style: c_int, text: &str) -> Reply {
    match style {
        PROMPT_ECHO_OFF => typed(rpassword::prompt_password(text)),
        PROMPT_ECHO_ON => typed(rpassword::prompt_password(text)),
        ERROR_MSG | TEXT_INFO => {
            println!("{text}");
            Reply::Null
        }
        _ => Reply::Null,
    }
}

fn typed(line: io::Result<String>) -> Reply {
    match line {
        Ok(line) => Reply::Text(line.into_bytes()),
        // Ctrl-C.
        Err(error) if error.kind() == ErrorKind::Interrupted => break_off(),
        Err(_) => Reply::Null,
    }
}

/// Whether the person goes on.
fn asked(question: &str) -> Result<bool, String> {
    print!("{question}");
    io::stdout().flush().map_err(|error| error.to_string())?;
    let mut line = String::new();
    let read = io::stdin()
        .read_line(&mut line)
        .map_err(|error| error.to_string())?;
    Ok(read > 0 && !line.trim().eq_ignore_ascii_case("q"))
}
