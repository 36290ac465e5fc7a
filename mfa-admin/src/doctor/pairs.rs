//! Services that are two names of one door.

use mfa_core::paths::Root;

use super::{Finding, Service, service, services};

/// The name, and that of its login shell (su(1), sudo(8)).
pub const PAIRS: [(&str, &str); 2] = [("su", "su-l"), ("sudo", "sudo-i")];

/// The other name of the door, if it is a service here.
pub fn other(root: &Root, name: &str) -> Option<&'static str> {
    let mut pairs = PAIRS
        .iter()
        .flat_map(|&(one, other)| [(one, other), (other, one)]);
    let (_, other) = pairs.find(|(one, _)| *one == name)?;
    services::all(root).contains(other).then_some(other)
}

/// Those of which one asks and the other does not.
pub fn examine(root: &Root, examined: &[Service]) -> Vec<Finding> {
    let all = services::all(root);
    let asks = |name: &str| match examined.iter().find(|service| service.name == name) {
        Some(known) => known.asks,
        None => service(root, name).asks,
    };
    let concerned = PAIRS.iter().filter(|(one, other)| {
        let named = |name: &str| examined.iter().any(|service| service.name == name);
        (named(one) || named(other)) && all.contains(*one) && all.contains(*other)
    });
    let told = concerned.filter_map(|(one, other)| match (asks(one), asks(other)) {
        (true, false) => Some(told(one, other)),
        (false, true) => Some(told(other, one)),
        _ => None,
    });
    told.collect()
}

fn told(asks: &str, not: &str) -> Finding {
    let what = format!("{asks} asks for a code and {not} does not, which is the same door");
    let mend =
        format!("Put the line of /etc/pam.d/{asks} into /etc/pam.d/{not}, at the same place");
    Finding::warning(not, what, mend)
}
