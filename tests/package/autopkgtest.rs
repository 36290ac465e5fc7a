//! What Debian runs against the installed packages.

use mfa_tests::locate;

use crate::debian;

#[test]
fn the_logins_of_debian_tests() {
    let machine = debian::installed();
    let script = locate::workspace().join("debian/tests/login");
    machine.copy_in(&script, "/root/login", "0755");
    let run = "mkdir /tmp/autopkgtest; AUTOPKGTEST_TMP=/tmp/autopkgtest /root/login";
    // Its refused logins take their time.
    let logins = machine.command(&["sh", "-c", run]).output();
    let logins = logins.expect("run the logins");
    let shown = String::from_utf8_lossy(&logins.stdout);
    assert!(
        logins.status.success() && shown.ends_with("the profile is off: in\n"),
        "{shown}{}",
        String::from_utf8_lossy(&logins.stderr)
    );
}
