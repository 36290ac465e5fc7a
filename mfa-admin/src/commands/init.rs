//! `mfa-admin init`: key and store.

use anyhow::Result;
use mfa_core::init::{Made, init};
use mfa_core::paths::Root;

use crate::cli::Init;

/// Makes what is missing, and says what it made.
pub fn run(root: &Root, options: &Init) -> Result<()> {
    let made = init(root, options.new_store)?;
    super::tell(&report(root, &made))
}

/// What was made, for people.
pub fn report(root: &Root, made: &Made) -> String {
    let (etc, data) = (root.etc(), root.data());
    let (key, store) = (etc.join("key"), data.display());
    let key = key.display();
    match made {
        Made::Nothing => "Key and store are there already. Nothing was changed.".to_owned(),
        Made::KeyAndStore => format!(
            "Made the key {key} and an empty store in {store}. Keep a copy of the key in a safe \
             place: without it the records are worthless."
        ),
        Made::Store => format!("Made an empty store in {store} under the key {key}."),
    }
}
