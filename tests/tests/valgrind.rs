//! The module under valgrind: no invalid access, nothing read before it is written, nothing lost.

use std::{fs, time::Duration};

use mfa_tests::{
    enrolled::NOW,
    need,
    pam::{self, Reply},
    sandbox::Sandbox,
};

const VALGRIND: &str = "/usr/bin/valgrind";

/// Everything that does not come back at the end counts, but for what is still pointed to.
const WORDS: [&str; 6] = [
    VALGRIND,
    // The words that follow begin with env(1).
    "--trace-children=yes",
    "--error-exitcode=99",
    "--leak-check=full",
    "--show-leak-kinds=definite,indirect,possible",
    "--errors-for-leak-kinds=definite,indirect,possible",
];

#[test]
fn valgrind_finds_no_error_and_no_loss() {
    need!(VALGRIND);
    let sandbox = Sandbox::new();
    sandbox.at(NOW);
    let [alice] = sandbox.enroll_cheaply("alice", 2001, NOW);
    let report = sandbox.path("valgrind-%p");
    let report = format!("--log-file={}", report.display());
    let words = [&WORDS[..], &[&report]].concat();
    let client = sandbox.client("alice").under(&words);
    let mut session = client.calls(4).limit(Duration::from_secs(120)).start();
    let (code, wrong, backup) = (alice.code(0), alice.wrong_code(), &alice.backup_codes[0]);
    for answer in [&*code, &wrong, backup, &code, "no code"] {
        session.prompt();
        session.answer(answer);
    }
    session.prompt();
    session.reply(Reply::Null);
    session.prompt();
    session.reply(Reply::Error(pam::CONV_ERR));
    // An error of valgrind's would be its exit code.
    let outcome = session.finish();
    assert_eq!(
        outcome.codes,
        [pam::SUCCESS, pam::SUCCESS, pam::AUTH_ERR, pam::CONV_ERR]
    );
    let files = fs::read_dir(sandbox.root()).expect("list the sandbox");
    let paths = files.map(|file| file.expect("an entry").path());
    let reports: Vec<_> = paths
        .filter(|path| path.display().to_string().contains("valgrind-"))
        .map(|path| fs::read_to_string(path).expect("read a report"))
        .collect();
    let clean = reports
        .iter()
        .filter(|text| text.contains("ERROR SUMMARY: 0 errors"));
    assert!(
        !reports.is_empty() && clean.count() == reports.len(),
        "{reports:#?}"
    );
}
