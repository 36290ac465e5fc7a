//! What modules are taken to say.

use pam_stack::{Code, Entry, Stack, Step, What};

use super::stack::is_ours;

/// Modules that want to see something: a password, a finger, a key, a card.
const PROVES: [&str; 19] = [
    "pam_unix.so",
    "pam_sss.so",
    "pam_ldap.so",
    "pam_krb5.so",
    "pam_winbind.so",
    "pam_systemd_home.so",
    "pam_pwdfile.so",
    "pam_userdb.so",
    "pam_mysql.so",
    "pam_pgsql.so",
    "pam_tacplus.so",
    "pam_fprintd.so",
    "pam_fprint.so",
    "pam_howdy.so",
    "pam_p11.so",
    "pam_pkcs11.so",
    "pam_ssh_agent_auth.so",
    "pam_himmelblau.so",
    "pam_aad.so",
];

/// Other modules for a second factor.
const OTHERS: [&str; 7] = [
    "pam_google_authenticator.so",
    "pam_oath.so",
    "pam_u2f.so",
    "pam_duo.so",
    "pam_yubico.so",
    "pam_ussh.so",
    "pam_radius_auth.so",
];

/// Programs that the caller starts himself and that run as root: there pam_rootok.so asks who he is.
/// In all others it says yes to everybody.
const SETUID: [&str; 8] = [
    "chfn",
    "chsh",
    "passwd",
    "runuser",
    "runuser-l",
    "su",
    "su-l",
    "newgrp",
];

/// The line of pam.md that says yes after a key, and only then.
const KEY_WAS_PASSED: [&str; 4] = [
    "quiet",
    "/bin/sh",
    "-c",
    r#"case "$SSH_AUTH_INFO_0" in publickey*) exit 0;; esac; exit 1"#,
];

/// Those that say "ignore" of a user who is not theirs, or while their server is away, where their own
/// configuration (`minimum_uid`, `ignore_root`) has it so.
const MAY_STAY_OUT: [&str; 2] = ["pam_krb5.so", "pam_ldap.so"];

/// Words with which any of them does: pam_sss(8), pam_krb5(5), pam_winbind(8).
const STAY_OUT: [&str; 3] = ["ignore_", "minimum_uid=", "unknown_ok"];

/// Words with which another second factor does.
const OTHERS_STAY_OUT: [&str; 3] = ["localifdown", "nouserok", "nullok"];

fn may_stay_out(entry: &Entry) -> bool {
    let words = match is_other(entry) {
        true => OTHERS_STAY_OUT,
        false => STAY_OUT,
    };
    let asked_to = |argument: &String| words.iter().any(|word| argument.starts_with(word));
    MAY_STAY_OUT.iter().any(|name| entry.is(name))
        || matches!(&entry.what, What::Module(_, arguments) if arguments.iter().any(asked_to))
}

/// Whether it is another second factor.
pub fn is_other(entry: &Entry) -> bool {
    OTHERS.iter().any(|other| entry.is(other))
}

/// Whether it wants to see something.
pub fn proves(entry: &Entry) -> bool {
    is_other(entry) || PROVES.iter().any(|name| entry.is(name))
}

fn is_key_passed(entry: &Entry) -> bool {
    entry.is("pam_exec.so")
        && matches!(&entry.what, What::Module(_, arguments) if *arguments == KEY_WAS_PASSED)
}

/// Anything at all.
pub fn anything(_: Code) -> bool {
    true
}

/// A right code.
pub fn right(code: Code) -> bool {
    code == Code::SUCCESS
}

/// A wrong code, or a fault of the store, the module's file, the program that calls.
pub fn no(code: Code) -> bool {
    ![Code::SUCCESS, Code::NEW_AUTHTOK_REQD, Code::IGNORE].contains(&code)
}

/// The policy does not want a code.
pub fn not_asked(code: Code) -> bool {
    code == Code::IGNORE
}

/// Who comes, and what he has.
#[derive(Clone, Copy)]
pub struct Says<'s> {
    /// The service.
    pub service: &'s str,
    /// What our module says.
    pub ours: fn(Code) -> bool,
    /// What those say that want to see something.
    pub proof: fn(Code) -> bool,
    /// Whether those of them that can leave him to others do.
    pub stays_out: bool,
    /// Whether sshd may have seen a key before it asked PAM.
    pub key: bool,
}

impl Says<'_> {
    /// Those that can say one thing only say that, all others anything.
    fn of(&self, entry: &Entry) -> Vec<Code> {
        let may = |is: fn(Code) -> bool| Code::all().filter(|code| is(*code)).collect();
        let refuses = entry.is("pam_deny.so")
            || (entry.is("pam_rootok.so") && SETUID.contains(&self.service));
        match () {
            () if is_ours(entry) => may(self.ours),
            () if refuses => vec![Code::AUTH_ERR],
            () if entry.is("pam_permit.so") => may(right),
            () if self.stays_out && proves(entry) && may_stay_out(entry) => {
                may(|code| no(code) || not_asked(code))
            }
            () if proves(entry) => may(self.proof),
            () if !self.key && is_key_passed(entry) => may(no),
            () => may(anything),
        }
    }

    /// The shortest way in.
    pub fn way_in(&self, stack: &Stack) -> Option<Vec<Step>> {
        stack.way_in(|entry| self.of(entry))
    }

    /// The shortest way to a module.
    pub fn way_to(&self, stack: &Stack, place: usize) -> Option<Vec<Step>> {
        stack.way_to(place, |entry| self.of(entry))
    }
}
