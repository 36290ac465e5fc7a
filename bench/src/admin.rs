//! How long the command line takes with many users.

use std::{fs, process::Command, time::Instant};

use mfa_tests::locate;

use crate::{
    place::{self, Place},
    stats::Samples,
};

/// With how many users.
pub const USERS: usize = 10_000;

/// Each command and how long it takes, in microseconds.
pub fn measure(place: &Place) -> Vec<(String, Samples)> {
    let root = place.root();
    // The accounts too: a list in a file would be searched from its beginning for each of them.
    let passwd = root.with_file_name("passwd");
    fs::write(&passwd, Place::accounts(USERS)).expect("write the accounts");
    let first = place::name(0);
    let commands = [vec!["list"], vec!["list", "--json"], vec!["status", &first]];
    let time = |words: &Vec<&str>| {
        let mut samples = Samples::default();
        for _ in 0..5 {
            let mut command = Command::new(locate::admin());
            command
                .arg("--root")
                .arg(&root)
                .args(words)
                .env("LD_PRELOAD", locate::library("libnss_wrapper.so"))
                .env("NSS_WRAPPER_PASSWD", &passwd)
                .env("NSS_WRAPPER_GROUP", "/etc/group");
            let start = Instant::now();
            let output = command.output().expect("start mfa-admin");
            samples.push(start.elapsed().as_secs_f64() * 1e6);
            assert!(output.status.success(), "{output:?}");
        }
        (format!("mfa-admin {}", words.join(" ")), samples)
    };
    commands.iter().map(time).collect()
}
