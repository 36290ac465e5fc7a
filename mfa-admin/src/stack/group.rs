//! Asking the members of a group alone: a rule of the policy, for it knows what to do about a group that
//! cannot be looked up.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use mfa_core::config::{Config, Lists};
use mfa_core::paths::Root;
use mfa_core::user::shown;
use nix::unistd::Group;

use super::edit::{Edit, Planned};
use super::plan::check_not_there;
use super::record::Record;
use crate::doctor::services;

/// What has to be added to the policy; nothing if it stands there by hand.
///
/// # Errors
/// There is no such group; or the policy says something else, on which other services rely.
pub fn plan(root: &Root, group: &str) -> Result<Option<Planned>> {
    let known = Group::from_name(group).context("cannot look the group up")?;
    ensure!(known.is_some(), "there is no group {}", shown(group));
    let path = root.etc().join("config.toml");
    let there = fs::read_to_string(&path);
    let old = there.as_deref().unwrap_or_default();
    let config = Config::load(root).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    if config.require.groups.iter().any(|named| named == group) {
        // It stays until the last change that needs it is undone.
        let records = Record::all(root)?;
        let edit = records
            .into_iter()
            .flat_map(|record| record.edits)
            .find(|edit| edit.path == path);
        return Ok(edit.map(|edit| Planned {
            edit: Edit {
                made: false,
                ..edit
            },
            old: old.to_owned(),
            new: old.to_owned(),
        }));
    }
    ensure!(
        config.require == Lists::default(),
        "{} has [require] already. Add {} to its groups by hand, and leave --for-group out",
        path.display(),
        shown(group)
    );
    let asks = |name: &String| check_not_there(root, name).is_err();
    if let Some(other) = services::that_matter(root).iter().find(|name| asks(name)) {
        bail!(
            "{other} asks already, and [require] holds for every service: whoever is not in {} would no \
             longer be asked there. Write [require] into {} by hand",
            shown(group),
            path.display()
        );
    }
    let name = toml::Value::from(group);
    let end = if old.is_empty() || old.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let ours = format!("{end}\n# Only they are asked.\n[require]\ngroups = [{name}]\n");
    let new = format!("{old}{ours}");
    ensure!(
        Config::parse(new.as_bytes()).is_ok_and(|config| config.require.groups == [group]),
        "cannot add [require] to {}. Do it by hand, and leave --for-group out",
        path.display()
    );
    Ok(Some(match there.is_ok() {
        true => Planned {
            new,
            old: old.to_owned(),
            edit: Edit {
                path,
                put_in: vec![ours],
                made: false,
            },
        },
        false => Planned::file(&path, ours),
    }))
}
