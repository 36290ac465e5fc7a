//! What `pam-client` prints and reads: one JSON object a line.

use std::iter;

use serde::{Deserialize, Serialize};

use crate::{pam::Reply, process::Changes};

/// Something that happened in `pam-client`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The stack asks; a [`Steer`] must follow.
    Prompt {
        /// `PAM_PROMPT_ECHO_OFF` (1), `PAM_PROMPT_ECHO_ON` (2) or something unusual.
        style: i32,
        /// The question.
        text: String,
    },
    /// The stack tells something.
    Info {
        /// The message.
        text: String,
    },
    /// The stack tells of an error.
    Error {
        /// The message.
        text: String,
    },
    /// libpam asks to delay the answer.
    Delay {
        /// The PAM code that is about to be returned.
        status: i32,
        /// Microseconds; libpam has stirred chance into what the modules asked for.
        usec: u32,
    },
    /// A PAM function returned.
    Result {
        /// Its name without `pam_`.
        call: String,
        /// The PAM code.
        code: i32,
    },
    /// The size of the process, with `--rounds`.
    Memory {
        /// Rounds so far.
        round: u32,
        /// Resident memory.
        rss_kib: u64,
        /// Open file descriptors.
        descriptors: usize,
    },
    /// What is not as it was before `pam_start`, with `--look`.
    Changed {
        /// Each thing with its name.
        what: Changes,
    },
}

/// The prompt of the client itself, with `--look`: `pam_end` has returned, and it waits.
pub const LOOK: &str = "Look at me.";

/// The answer to a prompt, as it stands on the line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Steer {
    /// `{"text":"123456"}`
    Text {
        /// The answer.
        text: String,
    },
    /// `{"hex":"ff00"}`
    Hex {
        /// The answer's bytes.
        hex: String,
    },
    /// `{"repeat":"A","count":1048576}`
    Repeat {
        /// What to repeat.
        repeat: String,
        /// How often.
        count: usize,
    },
    /// `{"null":true}`
    Null {
        /// Always true.
        null: bool,
    },
    /// `{"null_array":true}`
    NullArray {
        /// Always true.
        null_array: bool,
    },
    /// `{"error":19}`
    Error {
        /// The PAM code that the conversation returns.
        error: i32,
    },
}

impl From<Steer> for Reply {
    fn from(steer: Steer) -> Self {
        match steer {
            Steer::Text { text } => Self::Text(text.into_bytes()),
            Steer::Hex { hex } => Self::Text(from_hex(&hex)),
            Steer::Repeat { repeat, count } => Self::Text(repeat.repeat(count).into_bytes()),
            Steer::Null { .. } => Self::Null,
            Steer::NullArray { .. } => Self::NullArray,
            Steer::Error { error } => Self::Error(error),
        }
    }
}

impl From<Reply> for Steer {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Text(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Self::Text { text },
                Err(error) => Self::Hex {
                    hex: to_hex(error.as_bytes()),
                },
            },
            Reply::Null => Self::Null { null: true },
            Reply::NullArray => Self::NullArray { null_array: true },
            Reply::Error(error) => Self::Error { error },
        }
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let mut digits = text.chars().map(|c| c.to_digit(16).expect("a hex digit"));
    iter::from_fn(|| Some((digits.next()? * 16 + digits.next()?) as u8)).collect()
}
