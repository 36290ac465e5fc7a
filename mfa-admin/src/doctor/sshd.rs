//! sshd: whether it asks PAM, in a way in which a code can be given.

use std::collections::{HashMap, HashSet};
use std::process::Command;

use mfa_core::overview;
use mfa_core::paths::Root;
use mfa_core::store::Store;

use super::{Finding, accounts, blocks};
use crate::time;

const ABOUT: &str = "sshd";
/// The program.
pub const SSHD: &str = "/usr/sbin/sshd";

/// Three codes in a row of a minute each, and some time to type (seconds).
const GRACE: u64 = 120;

/// What `sshd -T` says, for root and for everybody who logs in here: `Match` blocks may differ.
/// `combined`: our line takes password and code in one answer.
pub fn examine(root: &Root, combined: bool) -> Vec<Finding> {
    let mut findings = blocks::not_looked_at(root);
    for user in users(root) {
        let found = match settings(&user) {
            Ok(settings) => judge(&settings, &user, combined),
            Err(what) => vec![Finding::fault(ABOUT, what, "Run: sshd -t")],
        };
        // What is so for everybody is told once.
        for finding in found {
            if !findings.iter().any(|known| known.what == finding.what) {
                findings.push(finding);
            }
        }
    }
    findings
}

/// So many are asked about.
const USERS: usize = 50;

fn users(root: &Root) -> Vec<String> {
    let entries = Store::open(root).and_then(|store| overview::all(&store, 0, time::now()));
    let enrolled = entries
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(_, seen)| Some(seen.ok()?.user));
    let others = accounts::with_shell(root).into_iter().map(|(name, _)| name);
    let mut users: Vec<String> = vec!["root".to_owned()];
    users.extend(enrolled.chain(others));
    let mut seen = HashSet::new();
    users.retain(|user| seen.insert(user.clone()));
    users.truncate(USERS);
    users
}

/// Keyword and value, the keywords in small letters.
pub type Settings = HashMap<String, String>;

/// What holds for a user.
///
/// # Errors
/// There is no sshd, or it does not understand its configuration: what is so.
pub fn settings(user: &str) -> Result<Settings, String> {
    let connection = format!("user={user},host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22");
    let asked = Command::new(SSHD).args(["-T", "-C", &connection]).output();
    let asked = asked.map_err(|error| format!("{SSHD} cannot be asked ({error})"))?;
    if !asked.status.success() {
        let said = String::from_utf8_lossy(&asked.stderr);
        return Err(format!(
            "its configuration is not understood: {}",
            said.lines().next().unwrap_or_default()
        ));
    }
    Ok(parse(&String::from_utf8_lossy(&asked.stdout)))
}

fn parse(text: &str) -> Settings {
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs
        .map(|(keyword, value)| (keyword.to_lowercase(), value.trim().to_owned()))
        .collect()
}

fn judge(settings: &Settings, user: &str, combined: bool) -> Vec<Finding> {
    let is = |keyword: &str, value: &str| settings.get(keyword).is_some_and(|found| found == value);
    let mut findings = Vec::new();
    let mut fault = |what: &str, mend: &str| findings.push(Finding::fault(ABOUT, what, mend));
    if is("usepam", "no") {
        fault("UsePAM is no: nobody is asked for a code", "Set UsePAM yes");
    }
    if settings
        .get("pamservicename")
        .is_some_and(|name| name != ABOUT)
    {
        fault(
            "PAMServiceName names another service than sshd",
            "Look at that one: mfa-admin doctor NAME",
        );
    }
    let methods = settings
        .get("authenticationmethods")
        .map_or("any", String::as_str);
    let (interactive, password) = (
        is("kbdinteractiveauthentication", "yes"),
        is("passwordauthentication", "yes"),
    );
    match (interactive, password) {
        (false, false) => fault(
            "PAM is never asked: KbdInteractiveAuthentication and PasswordAuthentication are no",
            "Set KbdInteractiveAuthentication yes",
        ),
        (false, true) if !combined => fault(
            "KbdInteractiveAuthentication is no: the method password gives the password at every prompt, so that no code can be typed",
            "Set KbdInteractiveAuthentication yes and PasswordAuthentication no; for password and code in one answer see pam.md",
        ),
        (true, _) if !combined && methods.split([' ', ',']).any(|method| method == "password") => fault(
            "AuthenticationMethods names password, which gives the password at the prompt for a code",
            "Write keyboard-interactive:pam in its place, and set PasswordAuthentication no",
        ),
        (true, true) if !combined && methods == "any" => findings.push(Finding::warning(
            ABOUT,
            "PasswordAuthentication is yes: clients that try it first give the password at the prompt for a code",
            "Set PasswordAuthentication no",
        )),
        _ => {}
    }
    if may_log_in(settings, user) {
        findings.extend(ways_without_pam(settings, methods, user));
    }
    let grace = settings
        .get("logingracetime")
        .and_then(|text| text.parse().ok());
    if grace.is_some_and(|seconds: u64| seconds > 0 && seconds < GRACE) {
        findings.push(Finding::warning(
            ABOUT,
            "LoginGraceTime is too short to wait for three codes in a row",
            format!("Set LoginGraceTime {GRACE}"),
        ));
    }
    findings
}

fn may_log_in(settings: &Settings, user: &str) -> bool {
    user != "root"
        || settings
            .get("permitrootlogin")
            .is_none_or(|value| value != "no")
}

/// Methods that let in without PAM, each with the keyword that allows it.
const WITHOUT_PAM: [(&str, &str); 4] = [
    ("publickey", "pubkeyauthentication"),
    ("gssapi-with-mic", "gssapiauthentication"),
    ("gssapi-keyex", "gssapikeyexchange"),
    ("hostbased", "hostbasedauthentication"),
];

/// Alternatives none of whose methods asks PAM for a code.
fn ways_without_pam(settings: &Settings, methods: &str, user: &str) -> Vec<Finding> {
    let is = |keyword: &str| settings.get(keyword).is_some_and(|value| value == "yes");
    let mend =
        "Set AuthenticationMethods keyboard-interactive:pam, or publickey,keyboard-interactive:pam";
    let what = |way: &str| format!("{user} is let in by {way} alone, and not asked for a code");
    if methods == "any" {
        let allowed = WITHOUT_PAM.iter().filter(|(_, keyword)| is(keyword));
        // Debian lets root in by a key, and an administrator may want just that.
        let finding = |way: &str| match user {
            "root" => Finding::warning(ABOUT, what(way), mend),
            _ => Finding::fault(ABOUT, what(way), mend),
        };
        return allowed.map(|(way, _)| finding(way)).collect();
    }
    let asks = |method: &str| {
        let password = method == "password" && !is("kerberosauthentication");
        ["keyboard-interactive", "keyboard-interactive:pam"].contains(&method) || password
    };
    let ways = methods
        .split_whitespace()
        .filter(|way| !way.split(',').any(asks));
    // It was written out, so it is meant.
    ways.map(|way| Finding::warning(ABOUT, what(way), mend))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "usepam yes\nkbdinteractiveauthentication yes\npasswordauthentication no\n\
        authenticationmethods keyboard-interactive:pam\nlogingracetime 120\npermitrootlogin no\n\
        pubkeyauthentication yes\n";

    fn found(change: (&str, &str), user: &str) -> Vec<String> {
        let text = GOOD.replace(change.0, change.1);
        judge(&parse(&text), user, false)
            .into_iter()
            .map(|finding| finding.what)
            .collect()
    }

    #[test]
    fn what_the_documents_set_is_good() {
        assert_eq!(found(("", ""), "alice"), Vec::<String>::new());
        assert_eq!(found(("", ""), "root"), Vec::<String>::new());
        let both = (
            "keyboard-interactive:pam",
            "publickey,keyboard-interactive:pam",
        );
        assert_eq!(found(both, "alice"), Vec::<String>::new());
    }

    #[test]
    fn each_fault_is_found() {
        for (change, user, told) in [
            (("usepam yes", "usepam no"), "alice", "UsePAM is no"),
            (
                (
                    "kbdinteractiveauthentication yes",
                    "kbdinteractiveauthentication no",
                ),
                "alice",
                "PAM is never asked",
            ),
            (
                (
                    "kbdinteractiveauthentication yes\npasswordauthentication no",
                    "kbdinteractiveauthentication no\npasswordauthentication yes",
                ),
                "alice",
                "no code can be typed",
            ),
            (
                (
                    "passwordauthentication no",
                    "passwordauthentication yes\nx y",
                ),
                "alice",
                "",
            ),
            (
                ("keyboard-interactive:pam", "any"),
                "alice",
                "alice is let in by publickey alone",
            ),
            (
                (
                    "authenticationmethods keyboard-interactive:pam",
                    "authenticationmethods any\ngssapiauthentication yes",
                ),
                "alice",
                "alice is let in by gssapi-with-mic alone",
            ),
            (
                ("usepam yes", "usepam yes\npamservicename mine"),
                "alice",
                "PAMServiceName",
            ),
            (
                (
                    "authenticationmethods keyboard-interactive:pam",
                    "authenticationmethods password,keyboard-interactive",
                ),
                "alice",
                "AuthenticationMethods names password",
            ),
            (
                (
                    "authenticationmethods keyboard-interactive:pam",
                    "authenticationmethods keyboard-interactive:bsdauth",
                ),
                "alice",
                "let in by keyboard-interactive:bsdauth",
            ),
            (
                (
                    "keyboard-interactive:pam",
                    "publickey keyboard-interactive:pam",
                ),
                "alice",
                "alice is let in by publickey alone",
            ),
            (
                (
                    "keyboard-interactive:pam\nlogingracetime 120\npermitrootlogin no",
                    "any\npermitrootlogin without-password",
                ),
                "root",
                "root is let in by publickey alone",
            ),
            (
                ("logingracetime 120", "logingracetime 60"),
                "alice",
                "LoginGraceTime is too short",
            ),
        ] {
            let found = found(change, user);
            match told {
                "" => assert_eq!(found, Vec::<String>::new(), "{change:?}"),
                told => assert!(
                    found.iter().any(|what| what.contains(told)),
                    "{change:?} {found:?}"
                ),
            }
        }
    }
}
