//! A machine that was a clean Debian, and what dpkg does on it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use mfa_tests::{command::Finished, locate, machine::Machine, sshd::Sshd};

/// The line of a service's file in `/etc/pam.d`, as the documents have it.
pub const LINE: &str = "auth [success=ok ignore=ignore default=die] pam_mfa.so";

/// A clean Debian on which alice has an account.
#[track_caller]
pub fn clean() -> Machine {
    let (packages, debian) = locate::packages();
    let machine = Machine::from(&debian);
    machine.add_user("alice");
    for package in ["libpam-mfa", "mfa-admin"] {
        let file = find(&packages, package);
        machine.copy_in(&file, &format!("/root/{package}.deb"), "0644");
    }
    machine
}

/// The same with the packages installed.
#[track_caller]
pub fn installed() -> Machine {
    let machine = clean();
    dpkg(&machine, INSTALL).ok();
    machine
}

/// What [`dpkg`] installs the packages with.
pub const INSTALL: &str = "--install /root/mfa-admin.deb /root/libpam-mfa.deb";

/// Runs `dpkg` where nobody can be asked.
#[track_caller]
pub fn dpkg(machine: &Machine, options: &str) -> Finished {
    let script = format!("DEBIAN_FRONTEND=noninteractive dpkg {options}");
    machine.run(&["sh", "-c", &script])
}

/// Makes the next version of both packages, `/root/next-*.deb`, in which a script changed something:
/// `$1` is the folder of the files of libpam-mfa.
#[track_caller]
pub fn next_version(machine: &Machine, change: &str) {
    machine.sh(&format!(
        r#"
for package in libpam-mfa mfa-admin; do
    dpkg-deb -R /root/$package.deb /root/next
    sed -i 's/0\.1\.0-1/0.1.0-2/' /root/next/DEBIAN/control
    if [ $package = libpam-mfa ]; then
        set -- /root/next
        {change}
    fi
    dpkg-deb --root-owner-group -Znone -b /root/next /root/next-$package.deb
    rm -r /root/next
done
"#
    ));
}

/// What [`dpkg`] installs the next version with.
pub const UPGRADE: &str = "--install /root/next-mfa-admin.deb /root/next-libpam-mfa.deb";

/// Puts [`LINE`] behind the password in the file of one service.
#[track_caller]
pub fn ask_at(machine: &Machine, service: &str) {
    machine.sh(&format!(
        "sed -i '/^@include common-auth/a {LINE}' /etc/pam.d/{service}
         grep -q pam_mfa /etc/pam.d/{service}"
    ));
}

/// Starts sshd. That of Debian 13 would keep us away by itself after some refusals.
#[track_caller]
pub fn start_sshd(machine: &Machine) -> Sshd<'_> {
    let knows = machine.run(&["grep", "-qi", "PerSourcePenalties", "/usr/sbin/sshd"]);
    match knows.code() {
        0 => Sshd::start(machine, "PerSourcePenalties no"),
        _ => Sshd::start(machine, ""),
    }
}

/// Starts rsyslogd with Debian's configuration and these lines behind it, without the kernel's log,
/// which is that of the real system.
#[track_caller]
pub fn start_rsyslogd(machine: &Machine, lines: &str) {
    let script = r#"
rm /dev/log
sed '/imklog/d' /etc/rsyslog.conf >/etc/rsyslog-here.conf
echo "$0" >>/etc/rsyslog-here.conf
rsyslogd -f /etc/rsyslog-here.conf
"#;
    machine.run(&["sh", "-ec", script, lines]).ok();
}

/// Whether there is such a file or folder.
pub fn exists(machine: &Machine, path: &str) -> bool {
    machine.run(&["test", "-e", path]).code() == 0
}

fn find(packages: &Path, package: &str) -> PathBuf {
    let mut files = fs::read_dir(packages)
        .expect("list the packages")
        .map(|file| file.expect("a package").path());
    let is_it = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(&format!("{package}_")) && name.ends_with(".deb"))
    };
    files.find(is_it).expect(package)
}
