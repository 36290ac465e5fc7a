//! The Debian packages on a clean Debian: `make test-package` says where both are.

#![allow(missing_docs)]

mod autopkgtest;
mod debian;
mod install;
mod log_filters;
mod logins;
mod purge;
mod recovery;
mod remove;
mod rollout;
mod upgrade;
