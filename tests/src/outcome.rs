//! What came out of a login.

use crate::{
    pam::{ABORT, SUCCESS},
    protocol::Event,
};

/// How a login ended, and what the user saw.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What the last `pam_authenticate` (or a failed `pam_start`) returned.
    pub code: i32,
    /// What every `pam_authenticate` returned.
    pub codes: Vec<i32>,
    /// The questions.
    pub prompts: Vec<String>,
    /// The messages.
    pub infos: Vec<String>,
    /// The error messages.
    pub errors: Vec<String>,
    /// The longest delay that libpam asked for (0.5 to 1.5 times the module's wish).
    pub delay_usec: Option<u32>,
    /// What `pam_acct_mgmt` returned, which is called after a success only.
    pub acct_mgmt: Option<i32>,
    /// What `pam_setcred` returned, which is called after a success only.
    pub setcred: Option<i32>,
    /// What `pam_open_session` returned, if it was wanted.
    pub open_session: Option<i32>,
    /// Resident memory in KiB and open descriptors, after a tenth of the rounds and at the end.
    pub memory: Vec<(u64, usize)>,
    /// What was written past the conversation: nothing, one hopes.
    pub stderr: String,
    /// All of it in order.
    pub events: Vec<Event>,
}

impl Outcome {
    pub(crate) fn new(events: Vec<Event>, stderr: String) -> Self {
        let mut outcome = Self {
            code: ABORT,
            stderr,
            ..Self::default()
        };
        events.iter().cloned().for_each(|event| outcome.add(event));
        outcome.events = events;
        outcome
    }

    fn add(&mut self, event: Event) {
        match event {
            Event::Prompt { text, .. } => self.prompts.push(text),
            Event::Info { text } => self.infos.push(text),
            Event::Error { text } => self.errors.push(text),
            Event::Delay { usec, .. } => self.delay_usec = self.delay_usec.max(Some(usec)),
            Event::Result { call, code } => self.add_result(&call, code),
            Event::Memory {
                rss_kib,
                descriptors,
                ..
            } => self.memory.push((rss_kib, descriptors)),
            Event::Changed { .. } => {}
        }
    }

    fn add_result(&mut self, call: &str, code: i32) {
        match call {
            "authenticate" => {
                self.code = code;
                self.codes.push(code);
            }
            "start" => self.code = code,
            "acct_mgmt" => self.acct_mgmt = Some(code),
            "setcred" => self.setcred = Some(code),
            "open_session" => self.open_session = Some(code),
            _ => {}
        }
    }

    /// Whether the user got in: authenticated, and got credentials.
    pub fn granted(&self) -> bool {
        self.code == SUCCESS && self.setcred == Some(SUCCESS)
    }

    /// All that the user saw, line by line.
    pub fn shown(&self) -> String {
        let texts = self.events.iter().filter_map(|event| match event {
            Event::Prompt { text, .. } | Event::Info { text } | Event::Error { text } => Some(text),
            _ => None,
        });
        texts.map(|text| format!("{text}\n")).collect()
    }
}
