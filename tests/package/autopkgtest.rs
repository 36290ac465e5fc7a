//! What Debian runs against the installed packages.

use mfa_tests::locate;

use crate::debian;

#[test]
fn the_logins_of_debian_tests() {
    let machine = debian::installed();
    let script = locate::workspace().join("debian/tests/login");
    machine.copy_in(&script, "/root/login", "0755");
    let run = "mkdir /tmp/autopkgtest; AUTOPKGTEST_TMP=/tmp/autopkgtest /root/login";
    let logins = machine.run(&["sh", "-c", run]).ok();
    assert!(
        logins.stdout.ends_with("the profile is off: in\n"),
        "{logins:?}"
    );
}
