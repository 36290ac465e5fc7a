//! What the PAM line asks for. Plain data.

use crate::config::Asking;

/// The options of a PAM line, as far as they concern the decision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The PAM service whose policy holds, if it is not the real one (`service=`).
    pub service: Option<String>,
    /// How it is asked (`prompt=`, `echo`, `tries=`); what stands here counts more than the
    /// configuration.
    pub asking: Asking,
    /// Whether the code is in what an earlier module asked for.
    pub first_pass: FirstPass,
    /// Whether our prompt is for the password with the code behind it, and the password is handed
    /// on to later modules (`forward_pass`).
    pub forward_pass: bool,
    /// Whether more is logged (`debug`).
    pub debug: bool,
}

/// What is done with the password that an earlier module asked for (`PAM_AUTHTOK`), which may end in
/// a code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FirstPass {
    /// Nothing.
    #[default]
    No,
    /// It is tried, and if no right code is behind it, we ask (`try_first_pass`).
    Try,
    /// It is all there is (`use_first_pass`).
    Use,
}
