//! `mfa-admin enroll`: a secret on a device, a right code from it, backup codes.

use std::io::Write;

use anyhow::{Context, Result, ensure};
use mfa_core::backup::{BackupSet, Cost};
use mfa_core::device::Shape;
use mfa_core::enrollment::{self, Error, Pending};
use mfa_core::fault::Fault;
use mfa_core::init::init;
use mfa_core::paths::Root;
use mfa_core::store::Store;
use mfa_core::uri;
use mfa_core::user::shown;

use crate::backup_file::BackupFile;
use crate::cli::Enroll;
use crate::codes::{self, Codes};
use crate::json::{self, Enrolled};
use crate::names::Names;
use crate::page::{Page, Wish};
use crate::stream::Stream;
use crate::terminal::{Line, Terminal};
use crate::verify::{do_without, hand_over, verify};
use crate::{shape, time};

/// Nothing is active before a right code was typed, or `--no-verify` was confirmed.
pub fn run(root: &Root, options: &Enroll) -> Result<()> {
    let stream = Stream::beside_json(options.handing_over.json);
    let store = open_or_init(root, &options.user, stream)?.by_force(options.force);
    let mut pending = pend(&store, options)?;
    let names = Names::of(options)?;
    let mut terminal = Terminal::new(stream)?;
    let mut file = give_secret(&mut terminal, options, &names, &mut pending)?;

    let made = time::now();
    let (set, codes) = BackupSet::generate(Cost::default(), made)?;
    let codes = Codes {
        user: &options.user,
        made,
        codes: &codes,
    };
    codes.write(file.as_mut())?;
    // A device that was verified has its secret.
    let handed_over = file.is_some() && pending.device().verified;
    terminal.check_before_change(&options.user, handed_over)?;
    let done = Done::new(&pending, &names);
    let warning = pending.activate(&store, set)?;
    super::warn(warning);
    if let Some(file) = file {
        file.keep();
    }
    done.tell(&mut terminal, options, &codes)
        .with_context(|| codes::not_shown("is enrolled", &options.user))
}

/// Nothing is made for somebody who is not there.
fn open_or_init(root: &Root, user: &str, mut stream: Stream) -> Result<Store> {
    match Store::open(root) {
        Err(Fault::NoKey { .. }) => {
            enrollment::known(user)?;
            let made = init(root, false)?;
            writeln!(stream, "{}", super::init::report(root, &made))?;
            Ok(Store::open(root)?)
        }
        opened => Ok(opened?),
    }
}

fn pend(store: &Store, options: &Enroll) -> Result<Pending, Error> {
    let (user, device) = (&options.user, &options.device);
    let (shape, replace) = (shape::of(options), options.replace);
    Pending::new(store, user, device, shape, replace, time::now())
}

/// Makes the file for the backup codes first: a bad path must fail before anybody scans anything.
fn give_secret(
    terminal: &mut Terminal,
    options: &Enroll,
    names: &Names,
    pending: &mut Pending,
) -> Result<Option<BackupFile>> {
    let handing_over = &options.handing_over;
    if options.no_verify && !handing_over.yes {
        do_without(terminal, &options.user)?;
    }
    let file = BackupFile::wanted(handing_over)?;
    let page = Page::new(pending.device(), names, &wish(terminal, options));
    match options.no_verify {
        false => verify(terminal, &page, pending)?,
        // A program finds the secret in the JSON.
        true if handing_over.json => {}
        true => hand_over(terminal, &page, !handing_over.yes)?,
    }
    Ok(file)
}

fn wish(terminal: &Terminal, options: &Enroll) -> Wish {
    Wish {
        qr: !options.no_qr,
        uri: options.show_uri,
        canvas: terminal.stream().canvas(),
    }
}

/// What is left to tell when the enrollment is active.
struct Done {
    uid: u32,
    device: String,
    shape: Shape,
    verified: bool,
    secret: Line,
    uri: Line,
}

impl Done {
    fn new(pending: &Pending, names: &Names) -> Done {
        let device = pending.device();
        Done {
            uid: pending.uid(),
            device: device.label.clone(),
            shape: device.shape,
            verified: device.verified,
            secret: uri::base32(device),
            uri: uri::otpauth(device, &names.issuer, &names.account),
        }
    }

    fn tell(&self, terminal: &mut Terminal, options: &Enroll, codes: &Codes) -> Result<()> {
        let handing_over = &options.handing_over;
        let seen = codes.show(terminal, handing_over)?;
        terminal.leave()?;
        ensure!(seen, "it was broken off while they were shown");
        if handing_over.json {
            return json::print(&self.json(codes));
        }
        terminal.say(&self.summary(codes.user))?;
        Ok(codes::say_where(terminal, handing_over)?)
    }

    fn summary(&self, user: &str) -> String {
        let (user, device) = (shown(user), &self.device);
        match self.verified {
            true => format!(
                "{user} is enrolled. Wherever a code is asked for, take it from the device {device}; the \
                 one that was typed here is used, so wait for the next."
            ),
            false => format!(
                "{user} is enrolled; the device {device} is unverified. Try a login before you log \
                 out; if it fails: mfa-admin enroll --replace {user}"
            ),
        }
    }

    fn json<'d>(&'d self, codes: &Codes<'d>) -> Enrolled<'d> {
        Enrolled {
            user: codes.user,
            uid: self.uid,
            device: &self.device,
            algorithm: self.shape.algorithm,
            digits: self.shape.digits,
            period: self.shape.period,
            verified: self.verified,
            secret: &self.secret,
            uri: &self.uri,
            backup_codes: codes.codes,
        }
    }
}
