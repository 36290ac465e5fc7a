//! `make demo`: enroll, then log in through the real libpam and the real module, in a throw-away
//! directory. With a terminal a person plays it; without one it plays itself and checks each step.

mod stage;
mod unattended;
mod with_a_person;

use std::{io::IsTerminal, process::ExitCode};

use stage::Stage;

fn main() -> ExitCode {
    let stage = Stage::build();
    let played = match std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        true => with_a_person::play(&stage),
        false => unattended::play(&stage),
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("demo: {problem}");
            ExitCode::FAILURE
        }
    }
}
