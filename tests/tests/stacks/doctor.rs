//! What `mfa-admin doctor` says of the stacks of the document.

use mfa_tests::{machine::Machine, need, need_root};

use crate::document::{Block, blocks, install, install_wrong, sections};
use crate::{DISPLAY_MANAGERS, KEY_CODE, KEY_OR_BOTH, SSHD};

/// A machine on which nobody but alice logs in, with an sshd that can be asked.
fn machine() -> Machine {
    let (machine, _) = Machine::with_alice();
    machine.sh("ssh-keygen -A >/dev/null; usermod --lock root
         sed -i 's/^LOGIN_TIMEOUT.*/LOGIN_TIMEOUT 180/' /etc/login.defs");
    machine
}

/// The services of the PAM files of a section.
fn services(section: &str, wrong: bool) -> Vec<String> {
    let of_section = |block: &&Block| block.section == section && block.wrong == wrong;
    let files = blocks()
        .iter()
        .filter(of_section)
        .flat_map(|block| &block.files);
    let names = files.filter_map(|file| file.strip_prefix("/etc/pam.d/"));
    names.map(str::to_owned).collect()
}

/// Exit code and text for each of the services.
fn doctor(machine: &Machine, services: &[String]) -> Vec<(i32, String)> {
    let look = |service: &String| {
        let done = machine.run(&["mfa-admin", "doctor", service]);
        assert_eq!(done.stderr, "", "{done:?}");
        (done.code(), done.stdout)
    };
    services.iter().map(look).collect()
}

#[test]
fn doctor_has_nothing_to_tell_of_what_is_right() {
    need_root!();
    need!(SSHD);
    for section in sections() {
        let machine = machine();
        if section == DISPLAY_MANAGERS {
            // They are not installed: their files are made of the line that is replaced.
            for service in services(section, false) {
                let file = format!("/etc/pam.d/{service}");
                machine.write(&file, "@include common-auth\n", "0644");
            }
        }
        if section == crate::LOCKERS {
            machine.write("/etc/pam.d/swaylock", "@include common-auth\n", "0644");
        }
        install(&machine, section);
        let services = services(section, false);
        assert!(!services.is_empty(), "{section}");
        for (code, told) in doctor(&machine, &services) {
            match section {
                // A key alone is what it is for; it is told all the same.
                KEY_OR_BOTH => {
                    let mut found = told.lines().filter(|line| line.starts_with("warning: "));
                    assert_eq!(code, 1, "{section}: {told}");
                    assert!(
                        found.all(|line| line.contains("publickey alone lets in")),
                        "{told}"
                    );
                }
                _ => assert_eq!(code, 0, "{section}: {told}"),
            }
        }
    }
}

#[test]
fn doctor_finds_what_is_wrong() {
    need_root!();
    need!(SSHD);
    let found = [
        ("`sufficient` before us", "su", "a way around pam_mfa.so"),
        ("`required` before us", "su", "after a wrong password"),
        (
            "Nothing behind us that says yes",
            "sshd",
            "whoever is not asked for a code",
        ),
        (
            "A stack without a password",
            "sshd",
            "comes without a key: alice",
        ),
        ("Screen lockers", "swaylock", "the screen stays locked"),
    ];
    for (section, service, word) in found {
        let machine = machine();
        match service {
            "swaylock" => {
                machine.write("/etc/pam.d/swaylock", "@include common-auth\n", "0644");
                install(&machine, crate::LOGIN);
            }
            // It is about sshd, together with this stack.
            "sshd" if services(section, true).is_empty() => install(&machine, KEY_CODE),
            _ => {}
        }
        install_wrong(&machine, section);
        for (code, told) in doctor(&machine, &[service.to_owned()]) {
            assert!(code > 0 && told.contains(word), "{section}: {code} {told}");
        }
    }
    let wrong: std::collections::BTreeSet<&str> = blocks()
        .iter()
        .filter(|block| block.wrong)
        .map(|block| &*block.section)
        .collect();
    assert_eq!(wrong, found.map(|(section, ..)| section).into());
}
