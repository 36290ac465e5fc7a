//! The machine that a login is fuzzed on.
//!
//! The module's own `pam_sm_authenticate` is linked in. Around it stand a libpam that plays a
//! script, the C library's calls with faults in them, a clock that is a number, and somebody who
//! knows the secrets and checks what comes out.

pub mod accounts;
pub mod calls;
pub mod libpam;
pub mod line;
pub mod login;
pub mod machine;
pub mod outcome;
pub mod policy;
pub mod scenario;
pub mod stage;

// Linked for `pam_sm_authenticate`.
extern crate pam_mfa as _;

/// A promise that was broken ends the process at once: a panic could be caught on its way, and
/// cannot pass a C function.
#[macro_export]
macro_rules! require {
    ($holds:expr, $($broken:tt)+) => {
        if !$holds {
            eprintln!("BROKEN: {}", format_args!($($broken)+));
            std::process::abort();
        }
    };
}
