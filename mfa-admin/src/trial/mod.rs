//! A transaction of PAM that is watched: the program that runs it, where its modules stand, and what a
//! person sees of it.

pub mod places;
pub mod view;
pub mod witness;
