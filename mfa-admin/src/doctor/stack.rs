//! The PAM stack of a service: whether the second factor is really asked for, and lets in.

use mfa_core::paths::Root;
use pam_stack::{Action, Code, Entry, Stack, Step, What};

use super::{Finding, Service};

/// Our module.
const OURS: &str = "pam_mfa.so";

/// Modules that look at a password.
const PASSWORD: [&str; 8] = [
    "pam_unix.so",
    "pam_sss.so",
    "pam_ldap.so",
    "pam_krb5.so",
    "pam_winbind.so",
    "pam_systemd_home.so",
    "pam_pwdfile.so",
    "pam_userdb.so",
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

/// Screen lockers, which run as their user: the store is closed to them.
const LOCKERS: [&str; 9] = [
    "i3lock",
    "i3lock-color",
    "kscreensaver",
    "light-locker",
    "physlock",
    "swaylock",
    "vlock",
    "xlock",
    "xscreensaver",
];

/// Whether it is our line.
pub fn is_ours(entry: &Entry) -> bool {
    entry.is(OURS)
}

/// `named`: somebody wants to know about this one, so that it is a fault if it does not ask.
pub fn examine(root: &Root, name: &str, named: bool, findings: &mut Vec<Finding>) -> Service {
    let mut service = Service {
        name: name.to_owned(),
        asks: false,
        line: None,
        combined: false,
    };
    let stack = match Stack::read(&root.below(""), name) {
        Ok(stack) => stack,
        Err(error) => {
            let what = format!("its PAM stack cannot be read ({error}), so nobody gets in by it");
            findings.push(Finding::fault(
                name,
                what,
                "Mend the file, or take what it names out of it",
            ));
            return service;
        }
    };
    findings.extend(unreadable(name, &stack));
    findings.extend(misplaced(name, &stack));
    let Some(ours) = stack.entries.iter().position(is_ours) else {
        if named {
            let mend = format!(
                "Add it below the password: see pam_mfa(8). Until then a login by {name} needs no code"
            );
            findings.push(Finding::fault(
                name,
                "pam_mfa.so does not stand in its stack",
                mend,
            ));
        }
        return service;
    };
    service.line = stack.entries.get(ours).map(place);
    service.combined = stack.entries.get(ours).is_some_and(takes_both);
    let around = way_around(name, &stack);
    service.asks = around.is_none();
    match around {
        Some(way) => findings.push(told_around(name, &stack, &way)),
        None => findings.extend(without_password(name, &stack)),
    }
    findings.extend(nobody_gets_in(name, &stack));
    findings.extend(twice(name, &stack));
    findings.extend(others(name, &stack));
    findings.extend(locker(name));
    service
}

fn takes_both(entry: &Entry) -> bool {
    matches!(&entry.what, What::Module(_, arguments) if arguments.iter().any(|word| word == "forward_pass"))
}

fn place(entry: &Entry) -> String {
    format!("{}:{}", entry.file.display(), entry.line)
}

/// What libpam does not understand, it refuses.
fn unreadable(name: &str, stack: &Stack) -> Vec<Finding> {
    let lines = stack
        .entries
        .iter()
        .filter(|entry| entry.what == What::Unreadable);
    let told = lines.map(|entry| {
        let what = format!(
            "libpam does not understand {}, and says no there",
            place(entry)
        );
        Finding::fault(
            name,
            what,
            "Mend the line, or the name of the file that it takes in",
        )
    });
    told.collect()
}

/// It decides in `auth` alone, and has nothing to say in the other types.
fn misplaced(name: &str, stack: &Stack) -> Vec<Finding> {
    let lines = stack.elsewhere.iter().filter(|entry| is_ours(entry));
    let told = lines.map(|entry| {
        let what = format!(
            "{} names pam_mfa.so, and is no auth line: nothing is asked there",
            place(entry)
        );
        Finding::fault(name, what, "Write auth in front of it, below the password")
    });
    told.collect()
}

/// What modules are taken to say.
#[derive(Clone, Copy)]
struct Says<'s> {
    service: &'s str,
    /// Ours.
    ours: fn(Code) -> bool,
    /// Those that look at a password.
    password: fn(Code) -> bool,
}

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

fn anything(_: Code) -> bool {
    true
}

fn right(code: Code) -> bool {
    code == Code::SUCCESS
}

/// A wrong code, or a fault of the store, the module's file, the program that calls.
fn no(code: Code) -> bool {
    ![Code::SUCCESS, Code::NEW_AUTHTOK_REQD, Code::IGNORE].contains(&code)
}

fn not_asked(code: Code) -> bool {
    code == Code::IGNORE
}

impl Says<'_> {
    /// Those that can say one thing only say that, all others anything.
    fn of(&self, entry: &Entry) -> Vec<Code> {
        let is_one_of = |names: &[&str]| names.iter().any(|name| entry.is(name));
        let may = |is: fn(Code) -> bool| Code::all().filter(|code| is(*code)).collect();
        if is_ours(entry) {
            return may(self.ours);
        }
        if entry.is("pam_deny.so") || (entry.is("pam_rootok.so") && SETUID.contains(&self.service))
        {
            return vec![Code::AUTH_ERR];
        }
        match () {
            () if entry.is("pam_permit.so") => may(right),
            () if is_one_of(&PASSWORD) => may(self.password),
            () => may(anything),
        }
    }

    fn way_in(&self, stack: &Stack) -> Option<Vec<Step>> {
        stack.way_in(|entry| self.of(entry))
    }
}

/// A way in for somebody whose code is wrong, or who is not asked for one.
fn way_around(service: &str, stack: &Stack) -> Option<Vec<Step>> {
    let (ours, password) = (no as fn(Code) -> bool, anything as fn(Code) -> bool);
    Says {
        service,
        ours,
        password,
    }
    .way_in(stack)
}

fn told_around(name: &str, stack: &Stack, way: &[Step]) -> Finding {
    let entry = |step: &Step| stack.entries.get(step.at);
    let passed = way.iter().find(|step| entry(step).is_some_and(is_ours));
    if let Some((line, step)) = passed.and_then(|step| Some((entry(step)?, step))) {
        let what = format!(
            "pam_mfa.so is passed over: if it says {} ({}), the stack goes on and lets in",
            step.code.name(),
            place(line)
        );
        return Finding::fault(
            name,
            what,
            "Write [success=ok ignore=ignore default=die] in that line, in place of what stands there",
        );
    }
    // The last line above ours: it ended the stack, or jumped.
    let ours = stack.entries.iter().position(is_ours).unwrap_or_default();
    let led = way
        .iter()
        .rev()
        .filter(|step| step.at < ours)
        .find_map(|step| {
            let entry = entry(step)?;
            matches!(
                entry.control.after(step.code),
                Action::Done | Action::Jump(_)
            )
            .then_some((entry, step.code))
        });
    match led {
        Some((entry, code)) => {
            let module = match &entry.what {
                What::Module(path, _) => path.as_str(),
                What::Substack | What::Unreadable => "the line",
            };
            let how = match entry.control.after(code) {
                Action::Jump(_) => "jumps over it",
                _ => "ends the stack before it",
            };
            let what = format!(
                "there is a way around pam_mfa.so: if {module} ({}) says {}, that {how}",
                place(entry),
                code.name()
            );
            Finding::fault(
                name,
                what,
                "Put pam_mfa.so above that line, or let that line go on to it (success=ok)",
            )
        }
        None => Finding::fault(
            name,
            "there is a way around pam_mfa.so",
            "Put it below the password, outside of any substack that may end before it",
        ),
    }
}

fn nobody_gets_in(service: &str, stack: &Stack) -> Option<Finding> {
    let gets_in = |ours| {
        Says {
            service,
            ours,
            password: anything,
        }
        .way_in(stack)
        .is_some()
    };
    if !gets_in(right) {
        let mend = "Look for a line that always says no, such as pam_deny.so, and where it should be jumped over";
        return Some(Finding::fault(
            service,
            "nobody gets in, whatever he types",
            mend,
        ));
    }
    if !gets_in(not_asked) {
        let what = "whoever is not asked for a code (exempt, trusted_networks, unenrolled) is refused: nothing says yes";
        let mend = "Add below pam_mfa.so: auth required pam_permit.so";
        return Some(Finding::warning(service, what, mend));
    }
    None
}

fn twice(name: &str, stack: &Stack) -> Option<Finding> {
    let lines: Vec<String> = stack
        .entries
        .iter()
        .filter(|entry| is_ours(entry))
        .map(place)
        .collect();
    let known_jump = stack
        .entries
        .iter()
        .any(|entry| entry.is("pam_exec.so") || entry.is("pam_succeed_if.so"));
    (lines.len() > 1 && !known_jump).then(|| {
        let what = format!(
            "pam_mfa.so stands in its stack more than once: {}",
            lines.join(", ")
        );
        Finding::warning(
            name,
            what,
            "One of them is enough: a code is good once, so the second asks for another",
        )
    })
}

/// Whether a code alone lets in, or for whoever is not asked for one nothing at all.
fn without_password(service: &str, stack: &Stack) -> Option<Finding> {
    let gets_in = |ours| {
        Says {
            service,
            ours,
            password: no,
        }
        .way_in(stack)
        .is_some()
    };
    let what = match (gets_in(not_asked), gets_in(right)) {
        (true, _) => {
            "its stack asks for no password, or not in every case: whoever is not asked for a code gets in with nothing"
        }
        (false, true) => {
            "a code alone lets in: its stack asks for no password, or not in every case"
        }
        (false, false) => return None,
    };
    let mend = match service {
        "sshd" => {
            "That is right only if AuthenticationMethods asks for a key first, for everybody: sshd -T"
        }
        _ => "Put pam_mfa.so below the password",
    };
    Some(Finding::warning(service, what, mend))
}

fn others(name: &str, stack: &Stack) -> Vec<Finding> {
    let found = stack
        .entries
        .iter()
        .filter(|entry| OTHERS.iter().any(|other| entry.is(other)));
    let told = found.map(|entry| {
        let what = format!("another second factor is asked for at {}", place(entry));
        Finding::warning(
            name,
            what,
            "If pam_mfa.so takes its place, take that line out once everybody is enrolled",
        )
    });
    told.collect()
}

fn locker(name: &str) -> Option<Finding> {
    LOCKERS.contains(&name).then(|| {
        let what = "a screen locker asks for a code, but runs without root and cannot check it: the screen stays locked";
        Finding::fault(name, what, "Take pam_mfa.so out of its stack: see \"Screen lockers\" in pam.md")
    })
}

/// Whether it is a screen locker that runs as its user.
pub fn is_locker(name: &str) -> bool {
    LOCKERS.contains(&name)
}

/// How many of its modules look at a password.
pub fn passwords(stack: &Stack) -> usize {
    let looks = |entry: &&Entry| PASSWORD.iter().any(|name| entry.is(name));
    stack.entries.iter().filter(looks).count()
}

/// Whether nobody gets in without a code, and somebody with one; and, unless sshd saw a key before,
/// nobody without a password.
pub fn asks_below_the_password(service: &str, stack: &Stack, key: bool) -> bool {
    way_around(service, stack).is_none()
        && nobody_gets_in(service, stack).is_none()
        && (key || without_password(service, stack).is_none())
}
