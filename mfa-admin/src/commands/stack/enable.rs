//! `mfa-admin stack enable`.

use anyhow::{Context, Result, bail, ensure};
use mfa_core::file::{Dir, Privacy};
use mfa_core::paths::Root;
use mfa_core::proof;
use mfa_core::random;

use crate::cli::StackEnable;
use crate::doctor;
use crate::stack::keeper::{self, Keeper};
use crate::stack::plan::{self, Plan};
use crate::stack::record::{self, Record};
use crate::stack::sshd;
use crate::stream::Stream;
use crate::terminal::Terminal;
use crate::time;

/// Shows what would be changed, has somebody wait to undo it, and only then changes it.
pub fn run(root: &Root, options: &StackEnable) -> Result<()> {
    let service = &options.service;
    check_no_other(root, service)?;
    let plan = plan::make(root, service, options.for_group.as_deref())?;
    let mut terminal = Terminal::new(Stream::Out)?;
    for planned in &plan.edits {
        super::show(&mut terminal, &planned.edit, &planned.old, &planned.new)?;
    }
    plan.notes
        .iter()
        .try_for_each(|note| terminal.say(&format!("\nNote: {note}")))?;
    if !options.yes {
        terminal.say("")?;
        super::agreed(&mut terminal, "Change this?")?;
    }
    let lock = record::lock(root)?;
    // Another one may have come first.
    check_no_other(root, service)?;
    let (record, keeper) = begin(root, options, &plan)?;
    if let Err(error) = carry_out(root, service, &plan) {
        let undone = super::put_back(root, &lock, &record, true);
        undone.context(
            "the change failed, and could not be put back. It is tried again in a while",
        )?;
        keeper::release(service);
        return Err(error.context("everything was put back as it was"));
    }
    drop(lock);
    terminal.say(&told(&record, keeper))?;
    Ok(())
}

fn check_no_other(root: &Root, service: &str) -> Result<()> {
    match Record::load(root, service)? {
        None => Ok(()),
        Some(record) if record.confirmed => {
            bail!("{service} was enabled already. To begin anew: mfa-admin stack disable {service}")
        }
        Some(_) => bail!(
            "{service} was enabled already, and waits: mfa-admin stack confirm {service}, or mfa-admin \
             stack disable {service}"
        ),
    }
}

/// From here on there is a way back: the old files, the record of the change, and who waits.
fn begin(root: &Root, options: &StackEnable, plan: &Plan) -> Result<(Record, Keeper)> {
    let dir = Record::dir(root, &options.service);
    Dir::make_path(&dir, Privacy::Private)?;
    plan.edits
        .iter()
        .try_for_each(|planned| planned.keep(&dir))?;
    let within = options.confirm_within;
    let record = Record {
        id: u64::from_ne_bytes(random::bytes()?),
        service: options.service.clone(),
        within,
        until: time::now().saturating_add_unsigned(within),
        confirmed: false,
        proofs: plan.proofs.clone(),
        edits: plan
            .edits
            .iter()
            .map(|planned| planned.edit.clone())
            .collect(),
    };
    record.save(root)?;
    match keeper::start(root, &record.service, record.id) {
        Ok(keeper) => Ok((record, keeper)),
        Err(error) => {
            record.put_back(root, true)?;
            record.forget(root)?;
            keeper::release(&record.service);
            Err(error.context("nothing was changed"))
        }
    }
}

fn carry_out(root: &Root, service: &str, plan: &Plan) -> Result<()> {
    plan.edits.iter().try_for_each(|planned| planned.make())?;
    if let Some(drop_in) = sshd::drop_in_of(plan.edits.iter().map(|planned| &planned.edit)) {
        sshd::check(drop_in)?;
        sshd::reload()?;
    }
    // A login from before proves nothing.
    plan.proofs
        .iter()
        .try_for_each(|service| proof::wait_for(root, service))?;
    ensure!(
        doctor::service(root, service).asks,
        "{service} would not ask for a code: see mfa-admin doctor {service}"
    );
    Ok(())
}

fn told(record: &Record, keeper: Keeper) -> String {
    let Record { service, until, .. } = record;
    let restart = match keeper {
        Keeper::Systemd => "after a restart of the machine it has as much time again",
        Keeper::Process => {
            "a restart of the machine ends the wait:\nthen nobody puts it back but you, by mfa-admin stack disable"
        }
    };
    format!(
        "\n{service} asks for a code now. Keep this terminal, log in by {service} from another one,\n\
         and then run:\n\n    mfa-admin stack confirm {service}\n\n\
         Unless you do, everything is put back at {}, whatever becomes of\n\
         this terminal; {restart}.",
        time::local(*until)
    )
}
