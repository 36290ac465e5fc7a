//! What it takes to load a module.

use std::{fs, path::Path};

use mfa_tests::locate;

use crate::{
    child,
    logins::RUNS,
    place::Place,
    scenario::{FLOOR, GOOGLE, OATH, OURS, Subject},
    stats::Samples,
};

/// A module's file.
#[derive(Clone, Debug)]
pub struct Module {
    /// Whose it is.
    pub subject: Subject,
    /// In bytes.
    pub size: u64,
    /// What the loader has to fill in.
    pub relocations: usize,
    /// `dlopen(3)` in a fresh process that has libpam.
    pub load: Samples,
}

/// Every module, loaded in turn.
pub fn measure(place: &Place, rounds: usize) -> Vec<Module> {
    eprintln!("loading");
    let debian = |name: &str| locate::pam_modules().join(name);
    let paths = [
        (FLOOR, debian("pam_permit.so")),
        (OURS, place.module()),
        (GOOGLE, debian("pam_google_authenticator.so")),
        (OATH, debian("pam_oath.so")),
    ];
    let mut modules = paths.clone().map(|(subject, path)| Module {
        subject,
        size: fs::metadata(&path).expect("the module").len(),
        relocations: relocations(&path),
        load: Samples::default(),
    });
    for _ in 0..RUNS {
        modules
            .iter_mut()
            .for_each(|module| module.load.begin_run());
        for _ in 0..rounds {
            for (module, (_, path)) in modules.iter_mut().zip(&paths) {
                module.load.push(child::load(path));
            }
        }
    }
    modules.into()
}

fn relocations(path: &Path) -> usize {
    let words = ["readelf", "--relocs", "--wide", &path.to_string_lossy()].map(str::to_owned);
    let text = child::run(&[], &words);
    text.lines().filter(|line| line.contains(" R_")).count()
}
