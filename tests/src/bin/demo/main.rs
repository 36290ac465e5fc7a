//! `make demo`: enroll, then log in through the real libpam and the real module, in a throw-away
//! directory. With a terminal a person plays it; without one it plays itself and checks each step.

mod stage;
mod unattended;
mod with_a_person;

use std::{io::IsTerminal, process::ExitCode};

use stage::{END, Stage};

fn play() -> Result<(), String> {
    let stage = Stage::build()?;
    match std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        true => with_a_person::play(&stage),
        false => unattended::play(&stage),
    }
}

fn main() -> ExitCode {
    let played = play();
    let _end = END.lock();
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("demo: {problem}");
            ExitCode::FAILURE
        }
    }
}
