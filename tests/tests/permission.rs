//! Who may not read the store: `config check --user` makes no ruling without root, and what stops root
//! himself is not called a lack of root.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use mfa_tests::{
    command::{Finished, run},
    locate, need_root,
    sandbox::Sandbox,
};

const CHECK: [&str; 4] = ["config", "check", "--user", "alice"];
const NOBODY: [&str; 4] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
];
const ROOT_WITHOUT_RIGHTS: [&str; 2] = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];

/// A copy of `mfa-admin` that everybody can run, in a sandbox that everybody can look into.
fn let_others_look(sandbox: &Sandbox) -> PathBuf {
    let root = sandbox.root();
    let base = root.parent().expect("the sandbox's folder");
    let chmod = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o755));
    chmod(base).expect("open the sandbox's folder");
    let admin = base.join("mfa-admin");
    fs::copy(locate::admin(), &admin).expect("copy mfa-admin");
    chmod(&admin).expect("open mfa-admin");
    admin
}

fn check_as(who: &[&str], sandbox: &Sandbox) -> Finished {
    let admin = let_others_look(sandbox);
    let mut command = Command::new(who[0]);
    command.args(&who[1..]).arg(admin);
    command.arg("--root").arg(sandbox.root()).args(CHECK);
    run(command.envs(sandbox.environment(None)), "")
}

#[test]
fn without_root_there_is_a_policy_and_no_ruling() {
    need_root!();
    let (sandbox, _) = Sandbox::with_alice();
    let failed = check_as(&NOBODY, &sandbox).failed();
    assert_eq!(failed.code(), 1);
    assert!(failed.stdout.contains("Not enrolled:"), "{failed:?}");
    assert!(!failed.stdout.contains("alice"), "{failed:?}");
    let said = "mfa-admin: whether alice at login is asked cannot be told: cannot open ";
    assert!(failed.stderr.contains(said), "{failed:?}");
    assert!(
        failed.stderr.contains("This must run as root"),
        "{failed:?}"
    );
    // Where the policy alone decides, no store is needed.
    sandbox.write("etc/pam_mfa/config.toml", "exempt.users = ['alice']\n");
    let ruled = check_as(&NOBODY, &sandbox).ok().stdout;
    assert!(
        ruled.ends_with("\nalice at login: not asked (exempt.users: alice)\n"),
        "{ruled}"
    );
}

#[test]
fn what_stops_root_is_not_called_a_lack_of_root() {
    need_root!();
    let (sandbox, _) = Sandbox::with_alice();
    let closed = Permissions::from_mode(0o000);
    fs::set_permissions(sandbox.path("etc/pam_mfa/key"), closed).expect("close the key");
    let ruled = check_as(&ROOT_WITHOUT_RIGHTS, &sandbox).ok().stdout;
    assert!(
        ruled.contains("\nWarning: alice at login: refused (cannot open "),
        "{ruled}"
    );
    assert!(
        ruled.contains("permission denied, even to root. Look for "),
        "{ruled}"
    );
    assert!(!ruled.contains("must run as root"), "{ruled}");
}

#[test]
fn a_login_that_a_fault_refuses_is_a_ruling_and_a_warning() {
    let (sandbox, _) = Sandbox::with_alice();
    let record = sandbox.path("var/lib/pam_mfa/users/2001.toml");
    fs::write(record, "junk").expect("damage the record");
    let ruled = sandbox.admin(&CHECK).ok().stdout;
    let last = ruled.lines().last().expect("a ruling");
    assert!(
        last.starts_with("Warning: alice at login: refused ("),
        "{last}"
    );
    assert!(last.contains("2001.toml is "), "{last}");
}
