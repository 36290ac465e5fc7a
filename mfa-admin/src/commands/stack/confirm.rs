//! `mfa-admin stack confirm`.

use anyhow::{Context, Result, bail, ensure};
use mfa_core::paths::Root;
use mfa_core::proof;

use crate::cli::StackConfirm;
use crate::doctor;
use crate::stack::edit::Edit;
use crate::stack::keeper;
use crate::stack::record::{self, Record};
use crate::stack::sshd;
use crate::time;

/// Lets a change stay, once a login with a code has shown that it works.
pub fn run(root: &Root, options: &StackConfirm) -> Result<()> {
    let lock = record::lock(root)?;
    let mut record = wanted(root, options.service.as_deref())?;
    let service = record.service.clone();
    ensure!(
        record.edits.iter().all(Edit::stands) && doctor::service(root, &service).asks,
        "the change to {service} is not there any more as it was made. Undo what is left of it: mfa-admin \
         stack disable {service}"
    );
    // A file that came since may lead around PAM.
    if let Some(drop_in) = sshd::drop_in_of(&record.edits) {
        sshd::check(drop_in)?;
    }
    ensure!(
        record
            .proofs
            .iter()
            .any(|service| proof::is_there(root, service)),
        "nobody has logged in by {service} with a code since the change. Do that from another terminal, \
         then confirm again; it is put back at {}",
        time::local(record.until)
    );
    record.confirmed = true;
    record.save(root)?;
    record.forget_proofs(root);
    keeper::release(&service);
    drop(lock);
    super::super::tell(&format!(
        "{service} asks for a code from now on. To undo: mfa-admin stack disable {service}"
    ))
}

fn wanted(root: &Root, service: Option<&str>) -> Result<Record> {
    let waiting =
        |record: &Record| !record.confirmed && service.is_none_or(|name| name == record.service);
    let mut records: Vec<Record> = Record::all(root)?.into_iter().filter(waiting).collect();
    let one = records.pop();
    if !records.is_empty() {
        bail!("several services wait: name the one. See: mfa-admin stack status");
    }
    one.context(
        "nothing waits to be confirmed; if time ran out, it was put back. See: mfa-admin stack status",
    )
}
