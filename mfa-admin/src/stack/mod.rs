//! The change of a PAM stack that puts itself back: what is changed, how it is undone, who waits.

pub mod edit;
mod group;
pub mod keeper;
mod place;
pub mod plan;
pub mod record;
pub mod sshd;
