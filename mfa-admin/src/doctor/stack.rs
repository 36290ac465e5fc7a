//! The PAM stack of a service: whether the second factor is really asked for, and lets in.

use std::path::PathBuf;

use mfa_core::paths::Root;
use pam_stack::{Action, Entry, Stack, Step, What};

use super::our_line::{self, Ours};
use super::says::{Says, anything, is_other, no, not_asked, proves, right};
use super::{Finding, Service, is_here, line_ends, lockers};

/// Our module.
pub const OURS: &str = "pam_mfa.so";

/// Whether it is our line.
pub fn is_ours(entry: &Entry) -> bool {
    entry.is(OURS)
}

/// Whether it names our module, even with the carriage return of a line end of Windows.
pub fn names_ours(entry: &Entry) -> bool {
    is_ours(entry) || entry.is("pam_mfa.so\r")
}

/// `named`: somebody wants to know about this one, so that it is a fault if it does not ask.
pub fn examine(root: &Root, name: &str, named: bool, findings: &mut Vec<Finding>) -> Service {
    let mut service = Service {
        name: name.to_owned(),
        asks: false,
        line: None,
        ours: Ours::default(),
        files: Vec::new(),
        unproved: None,
    };
    let stack = match Stack::read(&root.below(""), name) {
        Ok(stack) => stack,
        Err(error) => {
            let what = format!("its PAM stack cannot be read ({error}), so nobody gets in by it");
            let mend = "Mend the file, or take what it names out of it";
            findings.push(Finding::fault(name, what, mend));
            let own = ["etc/pam.d", "usr/lib/pam.d"].map(|folder| PathBuf::from(folder).join(name));
            findings.extend(line_ends::examine(root, &own));
            return service;
        }
    };
    findings.extend(line_ends::examine(root, &stack.files));
    findings.extend(unreadable(name, &stack));
    findings.extend(misplaced(name, &stack));
    let Some(ours) = stack.entries.iter().position(is_ours) else {
        if named && !lockers::is_locker(name) {
            let mend = format!("Run: mfa-admin stack enable {name}");
            let what = "pam_mfa.so does not stand in its stack, so a login needs no code";
            findings.push(Finding::fault(name, what, mend));
        }
        return service;
    };
    service.line = stack.entries.get(ours).map(place);
    service.ours = our_line::examine(root, name, &stack, findings);
    let around = way_around(name, &stack);
    service.asks = around.is_none();
    match around {
        Some(way) => findings.push(told_around(name, &stack, &way)),
        None => {
            service.unproved = unproved(name, &stack);
            match service.unproved {
                // There a key may stand in for it, of which sshd knows.
                Some(_) if name == "sshd" && is_here(root) => {}
                Some(what) => findings.push(told_unproved(name, what)),
                None => findings.extend(wrong_password(name, &stack)),
            }
        }
    }
    findings.extend(nobody_gets_in(name, &stack));
    findings.extend(twice(name, &stack));
    findings.extend(others(name, &stack));
    findings.extend(lockers::examine(name));
    service.files = stack.files;
    service
}

/// Where it stands.
pub fn place(entry: &Entry) -> String {
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

/// A way in for somebody whose code is wrong, or who is not asked for one.
fn way_around(service: &str, stack: &Stack) -> Option<Vec<Step>> {
    Says {
        service,
        ours: no,
        proof: anything,
        stays_out: false,
        key: true,
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
            proof: anything,
            stays_out: false,
            key: true,
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
fn unproved(service: &str, stack: &Stack) -> Option<&'static str> {
    let gets_in = |ours| {
        let says = Says {
            stays_out: true,
            ..says_no(service, ours)
        };
        says.way_in(stack).is_some()
    };
    match (gets_in(not_asked), gets_in(right)) {
        (true, _) => Some("whoever is not asked for a code gets in with nothing"),
        (false, true) => Some("a code alone lets in"),
        (false, false) => None,
    }
}

fn says_no(service: &str, ours: fn(pam_stack::Code) -> bool) -> Says<'_> {
    Says {
        service,
        ours,
        proof: no,
        stays_out: false,
        key: false,
    }
}

fn told_unproved(service: &str, what: &str) -> Finding {
    let what = format!("{what}: its stack asks for no password, or not in every case");
    let mend = match service {
        "sshd" => {
            "That is right only if AuthenticationMethods asks for a key first, for everybody: sshd -T"
        }
        _ => "Put pam_mfa.so below the password",
    };
    Finding::warning(service, what, mend)
}

/// Whether a wrong password leads to our prompt, where it uses up tries.
pub fn wrong_password(service: &str, stack: &Stack) -> Option<Finding> {
    let of_ours = stack.entries.iter().enumerate();
    let mut of_ours = of_ours.filter(|(_, entry)| is_ours(entry));
    let says = says_no(service, anything);
    let passed = of_ours.find_map(|(place, _)| {
        let way = says.way_to(stack, place)?;
        let mut entries = way.iter().filter_map(|step| stack.entries.get(step.at));
        entries.find(|entry| proves(entry))
    })?;
    let what = format!(
        "after a wrong password ({}) it still asks for a code: strangers use up the free tries",
        place(passed)
    );
    // A substack ends by itself alone.
    let mend = match passed.level {
        0 => "Write requisite in that line, in place of required, so that it ends the stack",
        _ => "Take that file in by include, not by substack, so that its requisite ends the stack",
    };
    Some(Finding::warning(service, what, mend))
}

fn others(name: &str, stack: &Stack) -> Vec<Finding> {
    let found = stack.entries.iter().filter(|entry| is_other(entry));
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

/// How many of its modules want to see a password or the like.
pub fn passwords(stack: &Stack) -> usize {
    let looks = |entry: &&Entry| proves(entry) && !is_other(entry);
    stack.entries.iter().filter(looks).count()
}

/// What is wrong, if somebody gets in without a code or without a password, or nobody with both.
pub fn wrong_with(service: &str, stack: &Stack) -> Option<String> {
    let around = way_around(service, stack).map(|way| told_around(service, stack, &way));
    let found = around.or_else(|| nobody_gets_in(service, stack));
    let unproved = || unproved(service, stack).map(str::to_owned);
    found.map(|finding| finding.what).or_else(unproved)
}
