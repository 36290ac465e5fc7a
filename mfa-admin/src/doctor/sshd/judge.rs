//! What the settings of sshd come to, for one user.

use std::collections::HashMap;

use super::files::{self, Line};
use crate::doctor::accounts::listed;
use crate::doctor::{Finding, Grave, Service};

/// Three codes in a row of 30 seconds each, and some time to type (seconds).
const GRACE: u64 = 120;

/// Keyword and value, the keywords in small letters.
pub type Settings = HashMap<String, String>;

/// What was found for one user.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    grave: Grave,
    what: String,
    mend: &'static str,
    /// Whether it depends on who it is.
    of_user: bool,
    /// Whether somebody gets in without PAM, and nobody wrote that he may.
    pub around: bool,
}

impl Found {
    /// A fault, whoever it is.
    pub fn of_all(what: impl Into<String>, mend: &'static str) -> Found {
        Found {
            grave: Grave::Fault,
            what: what.into(),
            mend,
            of_user: false,
            around: false,
        }
    }

    /// Nothing is known, whoever it is.
    pub fn unknown(what: impl Into<String>, mend: &'static str) -> Found {
        Found {
            grave: Grave::Warning,
            ..Found::of_all(what, mend)
        }
    }

    fn of_user(grave: Grave, what: String, mend: &'static str) -> Found {
        Found {
            grave,
            of_user: true,
            ..Found::of_all(what, mend)
        }
    }

    /// For those for whom it was found.
    pub fn told(self, about: &str, users: &[&str]) -> Finding {
        let what = match self.of_user {
            true => format!("{}: {}", self.what, listed(users)),
            false => self.what,
        };
        Finding {
            grave: self.grave,
            ..Finding::fault(about, what, self.mend)
        }
    }
}

/// What `sshd -T` printed.
pub fn parse(text: &str) -> Settings {
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs
        .map(|(keyword, value)| (keyword.to_lowercase(), value.trim().to_owned()))
        .collect()
}

/// `lines`: where it may stand.
pub fn judge(settings: &Settings, user: &str, service: &Service, lines: &[Line]) -> Vec<Found> {
    let is = |keyword: &str, value: &str| settings.get(keyword).is_some_and(|found| found == value);
    let place = |keyword| {
        let value = settings.get(keyword).map_or("", String::as_str);
        files::place(lines, keyword, value)
    };
    let combined = service.ours.combined;
    let mut findings = Vec::new();
    if is("usepam", "no") {
        let what = format!(
            "UsePAM is no{}: nobody is asked for a code",
            place("usepam")
        );
        findings.push(Found {
            around: true,
            ..Found::of_all(what, "Set UsePAM yes there")
        });
    }
    let mut fault = |what: String, mend| findings.push(Found::of_all(what, mend));
    if settings
        .get("pamservicename")
        .is_some_and(|name| name != super::ABOUT)
    {
        let what = format!(
            "PAMServiceName names another service than sshd{}",
            place("pamservicename")
        );
        fault(what, "Look at that one: mfa-admin doctor NAME");
    }
    let methods = settings
        .get("authenticationmethods")
        .map_or("any", String::as_str);
    let (interactive, password) = (
        is("kbdinteractiveauthentication", "yes"),
        is("passwordauthentication", "yes"),
    );
    let no_codes = format!(
        "KbdInteractiveAuthentication is no{}",
        place("kbdinteractiveauthentication")
    );
    let passwords = format!(
        "PasswordAuthentication is yes{}",
        place("passwordauthentication")
    );
    match (interactive, password) {
        (false, false) => fault(
            format!("PAM is never asked: {no_codes}, and so is PasswordAuthentication"),
            "Set KbdInteractiveAuthentication yes there, or in a file that is read before",
        ),
        (false, true) if !combined => fault(
            format!("{no_codes}: the method password gives the password at every prompt, so that no code can be typed"),
            "Set KbdInteractiveAuthentication yes and PasswordAuthentication no; for password and code in one answer see pam.md",
        ),
        (true, _) if !combined && methods.split([' ', ',']).any(|method| method == "password") => fault(
            format!(
                "AuthenticationMethods names password{}, which gives the password at the prompt for a code",
                place("authenticationmethods")
            ),
            "Write keyboard-interactive:pam in its place, and set PasswordAuthentication no",
        ),
        (true, true) if !combined && methods == "any" => findings.push(Found {
            grave: Grave::Warning,
            ..Found::of_all(
                format!("{passwords}: clients that try it first give the password at the prompt for a code"),
                "Set PasswordAuthentication no there, or in a file that is read before",
            )
        }),
        _ => {}
    }
    if is("permitemptypasswords", "yes") {
        let what = format!(
            "PermitEmptyPasswords is yes{}: whoever has no password is asked for a code alone",
            place("permitemptypasswords")
        );
        findings.push(Found {
            grave: Grave::Warning,
            ..Found::of_all(what, "Set PermitEmptyPasswords no there")
        });
    }
    findings.extend(ways(settings, methods, user, service));
    let grace = settings
        .get("logingracetime")
        .and_then(|text| text.parse().ok());
    if grace.is_some_and(|seconds: u64| seconds > 0 && seconds < GRACE) {
        let what = format!(
            "LoginGraceTime{} is too short to wait for three codes in a row",
            place("logingracetime")
        );
        findings.push(Found {
            grave: Grave::Warning,
            ..Found::of_all(what, "Set LoginGraceTime 120 there")
        });
    }
    findings
}

/// Methods that let in without PAM, each with the keyword that allows it.
const WITHOUT_PAM: [(&str, &str); 4] = [
    ("publickey", "pubkeyauthentication"),
    ("gssapi-with-mic", "gssapiauthentication"),
    ("gssapi-keyex", "gssapikeyexchange"),
    ("hostbased", "hostbasedauthentication"),
];

/// Methods that ask PAM, each with the keyword that allows it.
const WITH_PAM: [(&str, &str); 2] = [
    ("keyboard-interactive", "kbdinteractiveauthentication"),
    ("password", "passwordauthentication"),
];

/// Alternatives that lead around PAM, and where PAM alone asks for too little, those of PAM alone.
fn ways(settings: &Settings, methods: &str, user: &str, service: &Service) -> Vec<Found> {
    let is = |keyword: &str| settings.get(keyword).is_some_and(|value| value == "yes");
    let root_is = |values: &[&str]| {
        let value = settings
            .get("permitrootlogin")
            .map_or("yes", String::as_str);
        user == "root" && values.contains(&value)
    };
    if root_is(&["no"]) {
        return Vec::new();
    }
    let asks = |method: &str| {
        let password = method == "password" && !is("kerberosauthentication");
        ["keyboard-interactive", "keyboard-interactive:pam"].contains(&method) || password
    };
    let ways: Vec<&str> = match methods {
        "any" => {
            let all = WITHOUT_PAM.iter().chain(&WITH_PAM);
            all.filter(|(_, keyword)| is(keyword))
                .map(|(way, _)| *way)
                .collect()
        }
        written => written.split_whitespace().collect(),
    };
    // Debian lets root in by a key, and what was written out is meant.
    let grave = match methods == "any" && user != "root" {
        true => Grave::Fault,
        false => Grave::Warning,
    };
    let around = ways.iter().filter(|way| !way.split(',').any(asks));
    let around = around.map(|way| {
        let what = format!("{way} alone lets in, and no code is asked for");
        let mend =
            "Set AuthenticationMethods keyboard-interactive:pam, or publickey,keyboard-interactive:pam";
        Found {
            around: grave == Grave::Fault,
            ..Found::of_user(grave, what, mend)
        }
    });
    // With these sshd lets no root in by PAM.
    let by_pam = !root_is(&[
        "prohibit-password",
        "without-password",
        "forced-commands-only",
    ]);
    let unproved = service
        .unproved
        .filter(|_| by_pam)
        .into_iter()
        .flat_map(|harm| {
            let alone = ways.iter().filter(|way| way.split(',').all(asks));
            alone.map(move |way| {
                let what =
                    format!("{harm}: PAM asks for no password, and {way} comes without a key");
                let mend = "Set AuthenticationMethods publickey,keyboard-interactive:pam";
                Found::of_user(Grave::Fault, what, mend)
            })
        });
    around.chain(unproved).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::our_line::Ours;

    const GOOD: &str = "usepam yes\nkbdinteractiveauthentication yes\npasswordauthentication no\n\
        authenticationmethods keyboard-interactive:pam\nlogingracetime 120\npermitrootlogin no\n\
        pubkeyauthentication yes\n";

    fn found(change: (&str, &str), user: &str) -> Vec<String> {
        let text = GOOD.replace(change.0, change.1);
        told(&text, user, None)
    }

    fn told(text: &str, user: &str, unproved: Option<&'static str>) -> Vec<String> {
        let service = Service {
            name: "sshd".to_owned(),
            asks: true,
            line: None,
            ours: Ours::default(),
            files: Vec::new(),
            unproved,
        };
        judge(&parse(text), user, &service, &[])
            .into_iter()
            .map(|found| found.what)
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
                "publickey alone lets in",
            ),
            (
                (
                    "authenticationmethods keyboard-interactive:pam",
                    "authenticationmethods any\ngssapiauthentication yes",
                ),
                "alice",
                "gssapi-with-mic alone lets in",
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
                "keyboard-interactive:bsdauth alone lets in",
            ),
            (
                (
                    "keyboard-interactive:pam",
                    "publickey keyboard-interactive:pam",
                ),
                "alice",
                "publickey alone lets in",
            ),
            (
                (
                    "keyboard-interactive:pam\nlogingracetime 120\npermitrootlogin no",
                    "any\npermitrootlogin without-password",
                ),
                "root",
                "publickey alone lets in",
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

    #[test]
    fn where_pam_asks_for_no_password_a_key_is_wanted_in_every_way() {
        for (methods, root, user, faults) in [
            ("publickey,keyboard-interactive:pam", "yes", "alice", 0),
            ("keyboard-interactive:pam", "no", "alice", 1),
            ("any", "no", "alice", 1),
            (
                "publickey,keyboard-interactive:pam hostbased,keyboard-interactive",
                "yes",
                "alice",
                0,
            ),
            (
                "publickey,keyboard-interactive:pam keyboard-interactive",
                "yes",
                "alice",
                1,
            ),
            ("keyboard-interactive:pam", "no", "root", 0),
            ("keyboard-interactive:pam", "prohibit-password", "root", 0),
            ("keyboard-interactive:pam", "yes", "root", 1),
        ] {
            let text = GOOD
                .replace(
                    "methods keyboard-interactive:pam",
                    &format!("methods {methods}"),
                )
                .replace("permitrootlogin no", &format!("permitrootlogin {root}"));
            let mut told = told(&text, user, Some("gets in with nothing"));
            told.retain(|what| what.contains("comes without a key"));
            assert_eq!(told.len(), faults, "{methods} {root} {user} {told:?}");
        }
    }
}
