//! What sshd needs so that a code can be asked for: a drop-in, and a look at what came of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail, ensure};
use mfa_core::paths::Root;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::edit::{Edit, Planned};
use super::keeper::{systemctl, systemd_runs};
use crate::doctor::sshd::{SSHD, Settings, files, settings};

/// Its name comes before all others: sshd takes the first value that it reads (sshd_config(5)).
pub const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-pam_mfa.conf";

/// Somebody for whom no `Match` block is meant.
const ANYBODY: &str = "nobody";

/// How sshd lets in now.
pub struct Now {
    settings: Settings,
}

impl Now {
    /// Asks sshd.
    ///
    /// # Errors
    /// There is no sshd, or it does not understand its configuration.
    pub fn ask() -> Result<Now> {
        ensure!(
            Path::new(SSHD).exists(),
            "there is no {SSHD}: install openssh-server first"
        );
        let settings = settings(ANYBODY);
        let settings = settings.map_err(|why| anyhow!("sshd: {why}"))?;
        Ok(Now { settings })
    }

    fn is(&self, keyword: &str, value: &str) -> bool {
        self.settings
            .get(keyword)
            .is_some_and(|found| found == value)
    }

    fn methods(&self) -> &str {
        self.settings
            .get("authenticationmethods")
            .map_or("any", String::as_str)
    }

    /// Whether somebody may come with a key.
    pub fn takes_keys(&self) -> bool {
        self.is("pubkeyauthentication", "yes")
    }

    fn takes_passwords(&self) -> bool {
        self.is("passwordauthentication", "yes") || self.is("kbdinteractiveauthentication", "yes")
    }

    /// Who comes with a key gives a code then; who may come with a password gives both.
    fn methods_with_code(&self) -> &'static str {
        match (self.takes_keys(), self.takes_passwords()) {
            (true, true) => "publickey,keyboard-interactive:pam keyboard-interactive:pam",
            (true, false) => "publickey,keyboard-interactive:pam",
            (false, _) => "keyboard-interactive:pam",
        }
    }

    /// The drop-in.
    ///
    /// # Errors
    /// It is there already; or the configuration decides about methods in a way that is its admin's.
    pub fn drop_in(&self, root: &Root) -> Result<Planned> {
        ensure!(
            !Path::new(DROP_IN).exists(),
            "{DROP_IN} is there already: look at it, and remove it"
        );
        ensure!(
            self.methods() == "any",
            "sshd_config sets AuthenticationMethods {}, which is not for a program to change. See \
             \"sshd\" in pam.md for what it has to say; then run: mfa-admin doctor sshd",
            self.methods()
        );
        ensure!(
            !self.is("usepam", "no"),
            "UsePAM is no: with it other people may get in, and by other passwords. Set UsePAM yes first, and \
             look who does"
        );
        // For whom which method counts is more than can be told from one question.
        let read = files::read(root);
        if let Some(unread) = read.unread.first() {
            bail!(
                "{}, so how some people get in is not known. {}",
                unread.what,
                unread.mend
            );
        }
        if let Some(place) = files::methods_in_blocks(&read.lines) {
            bail!(
                "{place} is in a Match block, and says how some people get in. Put the lines there by hand: \
                 see \"sshd\" in pam.md; then run: mfa-admin doctor sshd"
            );
        }
        let text = format!(
            "# To undo: mfa-admin stack disable sshd\n\
             UsePAM yes\n\
             KbdInteractiveAuthentication yes\n\
             PasswordAuthentication no\n\
             AuthenticationMethods {}\n",
            self.methods_with_code()
        );
        Ok(Planned::file(Path::new(DROP_IN), text))
    }

    /// What somebody would not expect.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.takes_keys() {
            notes.push(
                "logins by key are asked for a code, too. Accounts that log in by key\n\
                 unattended (backups) need a Match block first: see \"sshd\" in pam.md."
                    .to_owned(),
            );
        }
        let root = self
            .settings
            .get("permitrootlogin")
            .map_or("", String::as_str);
        if !["yes", "no"].contains(&root) {
            notes.push(format!(
                "root cannot log in by SSH then: PermitRootLogin is {root},\n\
                 which allows no code. Log in as a user, and use sudo."
            ));
        }
        for (method, keyword) in [
            ("hostbased", "hostbasedauthentication"),
            ("gssapi-with-mic", "gssapiauthentication"),
        ] {
            if self.is(keyword, "yes") {
                notes.push(format!("nobody gets in by {method} any more."));
            }
        }
        notes
    }
}

/// The drop-in, if it is among them.
pub fn drop_in_of<'e>(edits: impl IntoIterator<Item = &'e Edit>) -> Option<&'e Edit> {
    edits
        .into_iter()
        .find(|edit| edit.path == Path::new(DROP_IN))
}

/// Whether what the drop-in says is what sshd does.
///
/// # Errors
/// It names what counts more.
pub fn check(drop_in: &Edit) -> Result<()> {
    let now = Now::ask()?;
    let lines = drop_in.put_in.iter().flat_map(|part| part.lines());
    let lines = lines.filter(|line| !line.starts_with('#'));
    for (keyword, value) in lines.filter_map(|line| line.split_once(' ')) {
        let keyword = keyword.to_ascii_lowercase();
        ensure!(
            now.is(&keyword, value),
            "another line of sshd's configuration counts more than {DROP_IN}: {keyword} is {}. Is \
             there an Include of sshd_config.d at the top of /etc/ssh/sshd_config, and is no file read \
             before {DROP_IN}?",
            now.settings.get(&keyword).map_or("not set", String::as_str)
        );
    }
    Ok(())
}

/// Has a running sshd read its configuration; sessions go on.
///
/// # Errors
/// It is not understood, or sshd cannot be told.
pub fn reload() -> Result<()> {
    if !Path::new(SSHD).exists() {
        return Ok(());
    }
    let checked = Command::new(SSHD)
        .arg("-t")
        .output()
        .context("cannot run sshd -t")?;
    if !checked.status.success() {
        let said = String::from_utf8_lossy(&checked.stderr);
        bail!("sshd -t: {}", said.lines().next().unwrap_or_default());
    }
    match systemd_runs() {
        true => reload_unit(),
        false => reload_process(),
    }
}

/// Debian calls it ssh, others sshd. One that starts anew for each connection needs nothing.
fn reload_unit() -> Result<()> {
    let units = ["ssh.service", "sshd.service"];
    match units.iter().find(|unit| systemctl(&["is-active", unit])) {
        Some(unit) => {
            ensure!(
                systemctl(&["reload", unit]),
                "cannot reload sshd. Run: systemctl reload {unit}"
            );
            Ok(())
        }
        None => reload_process(),
    }
}

fn reload_process() -> Result<()> {
    let pid = fs::read_to_string("/run/sshd.pid").ok();
    let Some(pid) = pid.and_then(|text| text.trim().parse::<i32>().ok()) else {
        return Ok(());
    };
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    match name.trim() == "sshd" {
        true => kill(Pid::from_raw(pid), Signal::SIGHUP).context("cannot reload sshd"),
        false => Ok(()),
    }
}
