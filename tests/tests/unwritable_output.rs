//! Where standard output takes nothing, codes that nobody could see do not replace those that there are.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use mfa_tests::{
    command::run,
    enrolled::{Enrolled, REPLACE},
    need,
    sandbox::Sandbox,
    trace::under,
};

/// Ways to run `"$@"` that give it no output that takes anything: a full device, a descriptor that is
/// open for reading, one that is closed, a pipe from which nobody reads.
const UNWRITABLE: [&str; 4] = [
    "exec \"$@\" >/dev/full",
    "exec \"$@\" >&-",
    "exec \"$@\" 1</dev/null",
    "mkfifo \"$0\" && exec 3<>\"$0\" 4>\"$0\" 3<&- && exec \"$@\" >&4",
];

fn shell(sandbox: &Sandbox, script: &str, arguments: &[&str]) -> Command {
    let file = sandbox.path("output");
    let words = ["sh", "-c", script, file.to_str().expect("UTF-8")];
    under(&words, &sandbox.admin_command(arguments))
}

fn records(sandbox: &Sandbox) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(sandbox.path("var/lib/pam_mfa/users")).expect("list the records");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .map(|path| (path.clone(), fs::read(path).expect("read a record")))
        .collect()
}

fn two_users() -> (Sandbox, [Enrolled; 2]) {
    let (sandbox, alice) = Sandbox::with_alice();
    let bob = sandbox.enroll("bob");
    (sandbox, [alice, bob])
}

#[test]
fn nobodys_codes_are_replaced() {
    let stop = "stopped at uid 2001; the users after that keep their backup codes: ";
    for (words, before) in [
        (&["regenerate", "alice"][..], ""),
        (&["regenerate", "alice", "--json"], ""),
        (&["regenerate", "--all"], stop),
        (&["regenerate", "--all", "--json"], stop),
        (REPLACE, ""),
    ] {
        for script in UNWRITABLE {
            let (sandbox, [alice, bob]) = two_users();
            let old = records(&sandbox);
            let ended = run(&mut shell(&sandbox, script, words), "").failed();
            assert_eq!(ended.code(), 1, "{script} {words:?}");
            let said =
                format!("mfa-admin: {before}nothing was changed for alice: cannot write to ");
            assert!(
                ended.stderr.starts_with(&said),
                "{script} {words:?} {ended:?}"
            );
            assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
            assert_eq!(records(&sandbox), old, "{script} {words:?}");
            for (user, owner) in [("alice", &alice), ("bob", &bob)] {
                assert!(sandbox.login(user, &[&owner.backup_codes[0]]).granted());
            }
        }
    }
}

#[test]
fn nobody_is_enrolled_where_nothing_is_seen_of_it() {
    let sandbox = Sandbox::new();
    let old = records(&sandbox);
    let file = sandbox.path("codes");
    let file = file.to_str().expect("UTF-8");
    let enroll = ["enroll", "alice", "--no-verify", "--yes"];
    for more in [&[][..], &["--json"], &["--backup-codes-file", file]] {
        let words = [&enroll[..], more].concat();
        let ended = run(&mut shell(&sandbox, "exec \"$@\" >&-", &words), "").failed();
        let said = "mfa-admin: nothing was changed for alice: cannot write to standard output: ";
        assert!(ended.stderr.contains(said), "{words:?} {ended:?}");
        assert_eq!(records(&sandbox), old, "{words:?}");
    }
}

#[test]
fn codes_in_a_file_need_no_output_and_a_shell_may_throw_it_away() {
    let (sandbox, alice) = Sandbox::with_alice();
    let file = sandbox.path("codes");
    let file = file.to_str().expect("UTF-8");
    let words = ["regenerate", "alice", "--backup-codes-file", file];
    run(&mut shell(&sandbox, "exec \"$@\" >&-", &words), "").ok();
    let codes = fs::read_to_string(file).expect("read the codes");
    let code = codes.lines().find_map(|line| line.split_once("1.  [ ]  "));
    assert!(sandbox.login("alice", &[code.expect("a code").1]).granted());
    let words = ["regenerate", "alice"];
    run(&mut shell(&sandbox, "exec \"$@\" >/dev/null", &words), "").ok();
    assert!(!sandbox.login("alice", &[&alice.backup_codes[0]]).granted());
}

#[test]
fn what_fails_too_late_is_told_with_the_way_out() {
    need!("/usr/bin/strace");
    for (words, done) in [
        (
            &["regenerate", "alice", "--json"][..],
            "alice has new backup codes",
        ),
        (&["regenerate", "alice"], "alice has new backup codes"),
        (
            &["enroll", "carol", "--no-verify", "--yes", "--json"],
            "carol is enrolled",
        ),
    ] {
        let (sandbox, _) = two_users();
        let file = sandbox.path("output");
        // The first call only asks whether the file takes something.
        let script = "exec strace -qq -o /dev/null -P \"$0\" -e inject=write:error=ENOSPC:when=2+ \
                      \"$@\" >\"$0\"";
        let ended = run(&mut shell(&sandbox, script, words), "").failed();
        let user = words[1];
        let said = format!(
            "mfa-admin: {done}, but the backup codes may not have been seen. New ones: mfa-admin \
             regenerate {user}. Why: "
        );
        assert!(ended.stderr.starts_with(&said), "{ended:?}");
        assert!(
            ended.stderr.contains("No space left on device"),
            "{ended:?}"
        );
        assert_eq!(fs::read_to_string(file).expect("read the output"), "");
        sandbox.admin(&["regenerate", user]).ok();
    }
}
