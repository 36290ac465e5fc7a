//! The files and directories of ours.

use std::{fs, path::PathBuf};

use mfa_tests::sandbox::Sandbox;

/// One of them, in a store in which alice is enrolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Etc,
    Config,
    Key,
    Data,
    Users,
    Mark,
    Record,
    States,
    State,
    Block,
    Run,
    RunState,
    Twin,
}

use Place::*;

impl Place {
    pub const ALL: [Place; 13] = [
        Etc, Config, Key, Data, Users, Mark, Record, States, State, Block, Run, RunState, Twin,
    ];

    pub const FILES: [Place; 6] = [Config, Key, Mark, Record, Block, Twin];

    pub fn path(self, sandbox: &Sandbox) -> PathBuf {
        sandbox.path(match self {
            Etc => "etc/pam_mfa",
            Config => "etc/pam_mfa/config.toml",
            Key => "etc/pam_mfa/key",
            Data => "var/lib/pam_mfa",
            Users => "var/lib/pam_mfa/users",
            Mark => "var/lib/pam_mfa/users/.store",
            Record => "var/lib/pam_mfa/users/2001.toml",
            States => "var/lib/pam_mfa/state",
            State => "var/lib/pam_mfa/state/2001",
            Run => "run/pam_mfa",
            RunState => "run/pam_mfa/2001",
            Block => return State.path(sandbox).join(block_name(sandbox)),
            Twin => return RunState.path(sandbox).join(block_name(sandbox)),
        })
    }

    pub fn is_file(self) -> bool {
        Place::FILES.contains(&self)
    }

    /// Everybody may read it, only its owner may write it.
    pub fn is_readable(self) -> bool {
        matches!(self, Etc | Config)
    }

    /// Whose login meets it: alice's, or only that of bob, who is not enrolled. The mark is looked at where
    /// there is no record.
    pub fn met_by(self) -> &'static str {
        match self {
            Mark => "bob",
            _ => "alice",
        }
    }

    /// Whether somebody who is not enrolled cannot be decided about.
    pub fn is_everybodys(self) -> bool {
        matches!(self, Etc | Config | Key | Data | Users | Mark | States)
    }
}

fn block_name(sandbox: &Sandbox) -> String {
    let names = fs::read_dir(State.path(sandbox)).expect("list alice's state");
    let mut names = names.map(|entry| entry.expect("an entry").file_name());
    let name = names.find(|name| name.as_encoded_bytes().starts_with(b"block-"));
    let name = name.expect("alice's block");
    name.into_string().expect("a name of ours")
}
