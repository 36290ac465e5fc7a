//! `mfa-admin list`: who is enrolled.

use std::io::{self, Write, stdout};

use anyhow::{Context, Result, ensure};
use mfa_core::overview::{self, DeviceView};
use mfa_core::paths::Root;
use mfa_core::store::Store;
use mfa_core::user::shown;

use crate::cli::List;
use crate::json::{self, Entry, User};
use crate::time;

type Row = [String; 6];

const HEADING: [&str; 6] = [
    "USER",
    "DEVICES",
    "VERIFIED",
    "BACKUP CODES",
    "LAST LOGIN",
    "ENROLLED",
];

/// Everybody; fails at the end if there is a record or a configuration that cannot be used.
pub fn run(root: &Root, options: &List) -> Result<()> {
    let (all, in_order) = super::everybody(root, &Store::open(root)?)?;
    match options.json {
        true => json::print(&json::List {
            users: all.iter().map(entry).collect(),
        })?,
        false => show(&all).context("cannot write to standard output")?,
    }
    let unusable = all.iter().filter(|(_, seen)| seen.is_err()).count();
    ensure!(unusable == 0, "records that cannot be used: {unusable}");
    in_order.context("every login is refused")
}

fn entry((uid, seen): &overview::Entry) -> Entry<'_> {
    match seen {
        Ok(seen) => Entry::User(User::new(seen)),
        Err(fault) => Entry::Fault {
            uid: *uid,
            fault: fault.to_string(),
        },
    }
}

fn show(all: &[overview::Entry]) -> io::Result<()> {
    let mut out = stdout();
    if all.is_empty() {
        return writeln!(out, "Nobody is enrolled. Begin with: mfa-admin enroll USER");
    }
    let rows: Vec<Row> = all.iter().filter_map(row).collect();
    if !rows.is_empty() {
        out.write_all(table(&rows).as_bytes())?;
    }
    for (uid, seen) in all {
        if let Err(fault) = seen {
            writeln!(out, "uid {uid}: {fault}")?;
        }
    }
    out.flush()
}

fn row((_, seen): &overview::Entry) -> Option<Row> {
    let seen = seen.as_ref().ok()?;
    let devices = &seen.devices;
    let labels: Vec<&str> = devices.iter().map(|device| &*device.label).collect();
    let enrolled = devices.iter().map(|device| device.enrolled).max();
    Some([
        shown(&seen.user),
        labels.join(", "),
        verified(devices).to_owned(),
        seen.backup_left
            .map_or("unknown".to_owned(), |left| left.to_string()),
        super::last(seen.granted, seen),
        enrolled.map_or_else(String::new, time::local),
    ])
}

fn verified(devices: &[DeviceView]) -> &'static str {
    match devices.iter().filter(|device| device.verified).count() {
        0 => "no",
        count if count == devices.len() => "yes",
        _ => "in part",
    }
}

fn table(rows: &[Row]) -> String {
    let heading = HEADING.map(str::to_owned);
    let all = || std::iter::once(&heading).chain(rows);
    let mut widths = [0; HEADING.len()];
    for row in all() {
        let cells = widths.iter_mut().zip(row);
        cells.for_each(|(width, cell)| *width = cell.chars().count().max(*width));
    }
    all().map(|row| line(row, widths)).collect()
}

fn line(row: &Row, widths: [usize; HEADING.len()]) -> String {
    let cells = row.iter().zip(widths);
    let line: String = cells
        .map(|(cell, width)| format!("{cell:<width$}  "))
        .collect();
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let row = ["a-long-user-name", "phone", "no", "10", "never", "now"];
        let table = table(&[row.map(str::to_owned)]);
        let mut lines = table.lines();
        let (heading, row) = (lines.next().unwrap(), lines.next().unwrap());
        assert_eq!(heading.find("DEVICES"), row.find("phone"));
        assert_eq!(heading.find("ENROLLED"), row.find("now"));
    }
}
