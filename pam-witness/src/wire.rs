//! The way to `mfa-admin`: standard input and output, which no module gets to see.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;

use nix::unistd::{dup2_stdin, dup2_stdout};
use pam_witness::Event;
use zeroize::Zeroizing;

/// libpam takes no longer answer (`PAM_MAX_RESP_SIZE`, bytes).
const LONGEST: usize = 512;

struct Wire {
    answers: File,
    events: File,
}

/// libpam leads from one call of ours to the next, and hands on nothing of ours to a module.
static WIRE: OnceLock<Wire> = OnceLock::new();

/// Keeps standard input and output for us; modules, and programs that they start, find nothing there.
///
/// # Errors
/// There is none of them, or no /dev/null.
pub fn take() -> io::Result<()> {
    let wire = Wire {
        answers: io::stdin().as_fd().try_clone_to_owned()?.into(),
        events: io::stdout().as_fd().try_clone_to_owned()?.into(),
    };
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&nothing)?;
    dup2_stdout(&nothing)?;
    let _ = WIRE.set(wire);
    Ok(())
}

/// Tells it. If nobody listens any more, nobody answers either, and the transaction ends by that.
pub fn tell(event: &Event) {
    let line = serde_json::to_string(event);
    if let (Some(wire), Ok(line)) = (WIRE.get(), line) {
        let _ = (&wire.events).write_all(format!("{line}\n").as_bytes());
    }
}

/// The answer to the question that was told; None if nobody answers any more.
pub fn answer() -> Option<Zeroizing<Vec<u8>>> {
    let mut answers = &WIRE.get()?.answers;
    // Never moved, and byte by byte: no typed password stays behind in a buffer.
    let mut answer = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut byte = Zeroizing::new([0; 1]);
    loop {
        answers.read_exact(byte.as_mut_slice()).ok()?;
        match byte.first() {
            Some(b'\n') | None => return Some(answer),
            Some(byte) if answer.len() < LONGEST => answer.push(*byte),
            Some(_) => {}
        }
    }
}
