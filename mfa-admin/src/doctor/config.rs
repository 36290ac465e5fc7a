//! The policy.

use mfa_core::config::{Config, Unenrolled};
use mfa_core::paths::Root;
use mfa_core::policy;
use mfa_core::user::NameService;

use super::{Finding, Service, shown_path};
use crate::time;

const FILE: &str = "/etc/pam_mfa/config.toml";

/// What is wrong with it, and what in it looks like an accident.
pub fn examine(root: &Root) -> Vec<Finding> {
    let about = shown_path(root, FILE).display().to_string();
    let mend = "See: mfa-admin config check";
    let config = match Config::load(root) {
        Ok(config) => config,
        Err(refusal) => {
            let what = format!("every login is refused: {refusal}");
            return vec![Finding::fault(&about, what, mend)];
        }
    };
    let mut findings = Vec::new();
    match policy::accidents(&config, &NameService, time::now()) {
        Ok(accidents) => {
            findings.extend(
                accidents
                    .into_iter()
                    .map(|what| Finding::warning(&about, what, mend)),
            );
        }
        Err(fault) => {
            let what = format!("the names in it could not be looked up: {fault}");
            findings.push(Finding::warning(
                &about,
                what,
                "Is the directory (LDAP, SSSD) there?",
            ));
        }
    }
    let rules = config.groups.values().chain([&config.unenrolled]);
    if rules
        .into_iter()
        .any(|rule| *rule == Unenrolled::Skip { until: None })
    {
        let what =
            "unenrolled = \"skip\" never ends: whoever is not enrolled gets in without a code";
        let mend = "Set skip_until, or unenrolled = \"deny\" once everybody is enrolled";
        findings.push(Finding::warning(&about, what, mend));
    }
    findings
}

/// Whether the policy leaves the whole service out.
pub fn leaves_out(root: &Root, service: &Service) -> Option<Finding> {
    let config = Config::load(root).ok()?;
    let named = |services: &[String]| services.iter().any(|named| named == service.policy());
    let required = config.require.services.is_empty() || named(&config.require.services);
    (named(&config.exempt.services) || !required).then(|| {
        let what = "the policy asks nobody at it (require.services, exempt.services)";
        Finding::warning(&service.name, what, "See: mfa-admin config check")
    })
}
