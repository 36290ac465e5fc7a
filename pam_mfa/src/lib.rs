//! The PAM module: from a PAM handle to a request, from a verdict to a PAM code. It decides
//! nothing; that is `mfa-core`'s.

#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

#[cfg(not(panic = "unwind"))]
compile_error!("a panic must never end somebody else's process: build with panic = \"unwind\"");

mod authenticate;
mod ffi;
mod hooks;
mod pam_code;
mod syslog;
mod talk;
