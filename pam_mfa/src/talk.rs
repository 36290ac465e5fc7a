//! The PAM conversation.

use mfa_core::answer::LONGEST;
use mfa_core::login::{Silence, Talk};
use pam::constants::{
    PAM_ERROR_MSG, PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON, PAM_TEXT_INFO, PamMessageStyle,
    PamResultCode,
};
use pam::conv::Conv;
use pam::module::PamHandle;
use zeroize::Zeroizing;

/// Talks to the person through the application.
pub struct Conversation<'p> {
    pamh: &'p PamHandle,
    silent: bool,
    /// What went wrong, where it may not be said by itself: sudo sets `PAM_SILENT` always.
    unsaid: Option<String>,
}

impl<'p> Conversation<'p> {
    /// `silent`: the application set `PAM_SILENT`, so that only prompts are shown. What went wrong
    /// is told with the next of them.
    pub fn new(pamh: &'p PamHandle, silent: bool) -> Conversation<'p> {
        Conversation {
            pamh,
            silent,
            unsaid: None,
        }
    }

    /// Messages that only inform may fail: some applications answer them with an error.
    fn inform(&self, style: PamMessageStyle, text: &str) {
        if !self.silent
            && let Ok(Some(conv)) = self.pamh.get_item::<Conv>()
        {
            let _ = conv.send(style, text);
        }
    }
}

impl Talk for Conversation<'_> {
    fn ask(&mut self, prompt: &str, echo: bool) -> Result<Zeroizing<Vec<u8>>, Silence> {
        let conv = self
            .pamh
            .get_item::<Conv>()
            .ok()
            .flatten()
            .ok_or(Silence::NoConversation)?;
        let prompt = match self.unsaid.take() {
            Some(unsaid) => format!("{unsaid} {prompt}"),
            None => prompt.to_owned(),
        };
        let style = match echo {
            true => PAM_PROMPT_ECHO_ON,
            false => PAM_PROMPT_ECHO_OFF,
        };
        match conv.send(style, &prompt) {
            // One byte more than a code can have is enough to refuse the whole.
            Ok(Some(typed)) => {
                let typed = typed.as_bytes();
                Ok(Zeroizing::new(
                    typed.get(..=LONGEST).unwrap_or(typed).to_vec(),
                ))
            }
            Ok(None) => Err(Silence::NoAnswer),
            Err(PamResultCode::PAM_CONV_AGAIN) => Err(Silence::CalledTooEarly),
            Err(_) => Err(Silence::NoConversation),
        }
    }

    fn tell(&mut self, text: &str) {
        self.inform(PAM_TEXT_INFO, text);
    }

    fn warn(&mut self, text: &str) {
        match self.silent {
            true => self.unsaid = Some(text.to_owned()),
            false => self.inform(PAM_ERROR_MSG, text),
        }
    }
}
