//! What a module can say.

/// A return value of a module (pam(3)); its number is that of libpam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(u8);

/// In the order of libpam, as pam.conf(5) spells them.
const NAMES: [&str; 32] = [
    "success",
    "open_err",
    "symbol_err",
    "service_err",
    "system_err",
    "buf_err",
    "perm_denied",
    "auth_err",
    "cred_insufficient",
    "authinfo_unavail",
    "user_unknown",
    "maxtries",
    "new_authtok_reqd",
    "acct_expired",
    "session_err",
    "cred_unavail",
    "cred_expired",
    "cred_err",
    "no_module_data",
    "conv_err",
    "authtok_err",
    "authtok_recover_err",
    "authtok_lock_busy",
    "authtok_disable_aging",
    "try_again",
    "ignore",
    "abort",
    "authtok_expired",
    "module_unknown",
    "bad_item",
    "conv_again",
    "incomplete",
];

impl Code {
    /// It is right.
    pub const SUCCESS: Code = Code(0);
    /// Not allowed; what libpam itself says at a line that it does not understand.
    pub const PERM_DENIED: Code = Code(6);
    /// It is wrong.
    pub const AUTH_ERR: Code = Code(7);
    /// Right, but the password has to be changed.
    pub const NEW_AUTHTOK_REQD: Code = Code(12);
    /// The module has nothing to say.
    pub const IGNORE: Code = Code(25);

    /// What libpam gives this number.
    pub fn new(number: i32) -> Option<Code> {
        let number = u8::try_from(number).ok();
        number
            .filter(|number| usize::from(*number) < NAMES.len())
            .map(Code)
    }

    /// All but `incomplete`, after which libpam is called again.
    pub fn all() -> impl Iterator<Item = Code> {
        (0..31).map(Code)
    }

    /// The name in a control.
    pub fn name(self) -> &'static str {
        NAMES.get(usize::from(self.0)).copied().unwrap_or_default()
    }

    pub(crate) fn number(self) -> usize {
        usize::from(self.0)
    }

    /// The code that the text begins with, and what follows it. libpam takes the first that fits.
    pub(crate) fn at_start(text: &str) -> Option<(Code, &str)> {
        let mut codes = (0..32).map(Code);
        codes.find_map(|code| Some((code, text.strip_prefix(code.name())?)))
    }
}
