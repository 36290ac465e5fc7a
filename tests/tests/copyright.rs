//! `debian/copyright` names every crate that the source package carries, under its licence.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    process::Command,
};

use mfa_tests::{command::run, locate};
use serde::Deserialize;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// None for our own.
    source: Option<String>,
}

/// What cargo says, as `cargo vendor` names the folders: the newest version has no number.
fn crates() -> BTreeMap<String, String> {
    let cargo = env::var_os("CARGO").expect("cargo runs the tests");
    let mut command = Command::new(cargo);
    command.current_dir(locate::workspace()).args([
        "metadata",
        "--locked",
        "--format-version",
        "1",
    ]);
    let metadata = run(&mut command, "").ok().stdout;
    let metadata: Metadata = serde_json::from_str(&metadata).expect("JSON of cargo");
    let foreign = metadata.packages.into_iter().filter(|p| p.source.is_some());
    let mut versions: BTreeMap<String, Vec<Package>> = BTreeMap::new();
    for package in foreign {
        versions
            .entry(package.name.clone())
            .or_default()
            .push(package);
    }
    let mut crates = BTreeMap::new();
    for (name, mut packages) in versions {
        packages.sort_by_key(|package| numbers(&package.version));
        let newest = packages.len() - 1;
        for (at, package) in packages.into_iter().enumerate() {
            let folder = match at == newest {
                true => name.clone(),
                false => format!("{name}-{}", package.version),
            };
            crates.insert(folder, package.license.expect("a licence"));
        }
    }
    crates
}

fn numbers(version: &str) -> Vec<u64> {
    let numbers = version.split(['.', '-', '+']);
    numbers.map_while(|number| number.parse().ok()).collect()
}

/// The licences in one expression, whatever stands between them and however each is called.
fn licences(expression: &str) -> BTreeSet<String> {
    let expression = expression.replace(" WITH ", "-with-");
    let words = expression.split(|c: char| c.is_whitespace() || "()/,".contains(c));
    let words = words.filter(|word| !["", "or", "OR", "and", "AND"].contains(word));
    let debian = |word| match word {
        "MIT" => "Expat",
        "LGPL-2.1-or-later" => "LGPL-2.1+",
        word => word,
    };
    words.map(|word| debian(word).to_owned()).collect()
}

#[test]
fn every_crate_has_its_licence_and_every_licence_its_text() {
    let text = fs::read_to_string(locate::workspace().join("debian/copyright"));
    let text = text.expect("debian/copyright");
    let (mut stated, mut used, mut texts) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    for paragraph in text.split("\n\n") {
        let field = |name: &str| paragraph.lines().find_map(|line| line.strip_prefix(name));
        let Some(licence) = field("License: ") else {
            continue;
        };
        let Some(files) = field("Files: ") else {
            texts.insert(licence.to_owned());
            continue;
        };
        assert!(
            field("Copyright: ").is_some_and(|who| !who.is_empty()),
            "{files}"
        );
        used.extend(licences(licence));
        if let Some(folder) = files.strip_prefix("vendor/") {
            stated.insert(folder.trim_end_matches("/*").to_owned(), licences(licence));
        }
    }
    let crates: BTreeMap<_, _> = crates()
        .into_iter()
        .map(|(folder, licence)| (folder, licences(&licence)))
        .collect();
    let missing: Vec<_> = crates
        .iter()
        .filter(|(folder, licence)| stated.get(*folder) != Some(*licence))
        .collect();
    assert!(
        missing.is_empty(),
        "debian/copyright lacks or misnames: {missing:#?}"
    );
    let gone: Vec<_> = stated
        .keys()
        .filter(|folder| !crates.contains_key(*folder))
        .collect();
    assert!(
        gone.is_empty(),
        "debian/copyright names crates that are gone: {gone:?}"
    );
    assert_eq!(used, texts);
}
