//! `mfa-admin doctor`: what stands in the way of a second factor that is really asked for.

use std::io::{self, Write, stdout};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use mfa_core::paths::Root;
use nix::unistd::geteuid;

use crate::cli::Doctor;
use crate::doctor::{self, Grave, Report};
use crate::json;

/// 0 if there is nothing to tell, 1 for warnings alone, 2 for a fault.
pub fn run(root: &Root, options: &Doctor) -> Result<ExitCode> {
    ensure!(
        geteuid().is_root() || root.below("") != Path::new("/"),
        "this must run as root"
    );
    let report = doctor::examine(root, options.service.as_deref());
    match options.json {
        true => json::print(&report)?,
        false => show(&report).context("cannot write to standard output")?,
    }
    Ok(ExitCode::from(match report.worst() {
        None => 0,
        Some(Grave::Warning) => 1,
        Some(Grave::Fault) => 2,
    }))
}

fn show(report: &Report) -> io::Result<()> {
    let mut out = stdout();
    for service in &report.services {
        let says = match (&service.line, service.asks) {
            (None, _) => "asks for no code".to_owned(),
            (Some(line), true) => format!("asks for a code ({line})"),
            (Some(line), false) => format!("lets in without a code, though it asks ({line})"),
        };
        writeln!(out, "{:<12} {says}", service.name)?;
    }
    for finding in &report.findings {
        writeln!(out, "\n{finding}")?;
    }
    let count = |grave| {
        report
            .findings
            .iter()
            .filter(|finding| finding.grave == grave)
            .count()
    };
    let (faults, warnings) = (count(Grave::Fault), count(Grave::Warning));
    writeln!(out, "\nFaults: {faults}. Warnings: {warnings}.")?;
    out.flush()
}
