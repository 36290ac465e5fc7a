//! `mfa-admin stack status`.

use std::io::{Write, stdout};

use anyhow::{Context, Result};
use mfa_core::paths::Root;
use mfa_core::proof;

use crate::doctor::{self, Service, services};
use crate::stack::record::Record;
use crate::stack::sshd;
use crate::time;

/// Shows which services ask, since whose change, and which wait.
pub fn run(root: &Root) -> Result<()> {
    let records = Record::all(root)?;
    let names = services::that_matter(root);
    let lines = names.iter().map(|name| {
        let service = doctor::service(root, name);
        let record = records.iter().find(|record| record.service == service.name);
        format!("{:<12} {}\n", service.name, state(root, &service, record))
    });
    let text: String = lines.collect();
    let written = stdout().write_all(text.as_bytes());
    written.context("cannot write to standard output")
}

fn state(root: &Root, service: &Service, record: Option<&Record>) -> String {
    let drop_in = record.and_then(|record| sshd::drop_in_of(&record.edits));
    let overruled = drop_in.is_some_and(|drop_in| sshd::check(drop_in).is_err());
    let asks = match (&service.line, service.asks) {
        (None, _) => "asks for no code",
        (Some(_), true) if overruled => {
            "may let in without a code, for sshd does not do what it was told: see mfa-admin doctor"
        }
        (Some(_), true) => "asks for a code",
        (Some(_), false) => "lets in without a code: see mfa-admin doctor",
    };
    match (record, &service.line) {
        (Some(record), _)
            if !record.confirmed && !proof::is_announced(root, &record.service, record.id) =>
        {
            format!(
                "{asks}; nobody waits to put it back: mfa-admin stack disable {}",
                record.service
            )
        }
        (Some(record), _) if !record.confirmed => format!(
            "{asks}; waits for a login, then for: mfa-admin stack confirm {} (until {})",
            record.service,
            time::local(record.until)
        ),
        (Some(_), _) => format!("{asks}; by mfa-admin stack enable"),
        (None, Some(line)) => format!("{asks}; by {line}"),
        (None, None) => asks.to_owned(),
    }
}
