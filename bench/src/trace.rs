//! Which system calls a login makes, and who makes them.

use std::{fs, path::Path};

use crate::{
    child,
    place::Place,
    scenario::{Scenario, Subject},
};

/// Who made a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    /// libpam, which loads and unloads the modules.
    Pam,
    /// The name service, whoever asked.
    Nss,
    /// Whoever writes to the system's log.
    Log,
    /// The module itself.
    Module,
}

/// The system calls of a login, from `pam_start` to `pam_end`.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// All of them.
    pub total: usize,
    /// Without those of libpam, the name service and the log.
    pub own: usize,
    /// `fsync(2)` and its kin.
    pub syncs: usize,
    /// Written to files.
    pub written: u64,
    /// What the module calls itself.
    pub lines: Vec<String>,
}

/// A login of a kind under strace, which writes into a folder.
pub fn trace(place: &Place, scenario: Scenario, subject: Subject, now: u64, dir: &Path) -> Trace {
    let file = dir.join("strace.out");
    let name = file.to_string_lossy();
    child::login(
        place,
        scenario,
        subject,
        now,
        &["strace", "-k", "-o", &name],
    );
    Trace::parse(&fs::read_to_string(&file).expect("the log of strace"))
}

impl Trace {
    fn parse(text: &str) -> Self {
        let mut trace = Self::default();
        let mut sockets = Vec::new();
        let mut lines = text
            .lines()
            .skip_while(|line| !line.starts_with("getppid("))
            .skip(1)
            .skip_while(|line| line.starts_with(" > "))
            .peekable();
        while let Some(line) = lines.next() {
            let mut frames = Vec::new();
            while let Some(frame) = lines.next_if(|line| line.starts_with(" > ")) {
                frames.push(frame);
            }
            if line.starts_with("getppid(") {
                break;
            }
            let Some((name, arguments)) = line.split_once('(') else {
                continue;
            };
            trace.add(line, name, arguments, &frames, &mut sockets);
        }
        trace
    }

    fn add<'t>(
        &mut self,
        line: &'t str,
        name: &str,
        arguments: &'t str,
        frames: &[&str],
        sockets: &mut Vec<&'t str>,
    ) {
        let result = line.rsplit_once("= ").map_or("", |(_, result)| result);
        let first = arguments.split([',', ')']).next().unwrap_or_default();
        let on_socket = sockets.contains(&first);
        match name {
            "socket" => sockets.push(result),
            "close" => sockets.retain(|socket| *socket != first),
            _ => {}
        }
        self.total += 1;
        let maker = match maker(frames) {
            // Who asks for the process id writes it into a log.
            Maker::Module if name == "socket" || name == "getpid" || on_socket => Maker::Log,
            maker => maker,
        };
        if matches!(
            name,
            "fsync" | "fdatasync" | "sync" | "syncfs" | "msync" | "sync_file_range"
        ) {
            self.syncs += 1;
        }
        if maker == Maker::Module {
            self.own += 1;
            self.lines.push(line.to_owned());
            if name.contains("write") {
                self.written += result.parse().unwrap_or(0);
            }
        }
    }
}

/// By the innermost frame that is not the C library's. What libpam calls by itself has no module's frame
/// below its own.
fn maker(frames: &[&str]) -> Maker {
    let of_c_library = |frame: &&&str| {
        ["/libc.so", "/ld-linux"]
            .iter()
            .any(|name| frame.contains(name))
    };
    let library: Vec<_> = frames.iter().take_while(of_c_library).collect();
    let calls = |names: &[&str]| {
        library
            .iter()
            .any(|frame| names.iter().any(|name| frame.contains(name)))
    };
    let caller = frames.get(library.len()).copied().unwrap_or_default();
    if caller.contains("/libnss_") || calls(&["(getpw", "(getgr", "(setfsuid_nss"]) {
        Maker::Nss
    } else if calls(&["syslog"]) {
        Maker::Log
    } else if ["/libpam.so", "/libaudit.so", "/mfa-bench("]
        .iter()
        .any(|name| caller.contains(name))
    {
        Maker::Pam
    } else {
        Maker::Module
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_for_those_who_make_them() {
        let text = "\
write(1, \"before\", 6) = 6
getppid()                               = 1
 > /usr/lib/x86_64-linux-gnu/libc.so.6(getppid+0x7) [0x1]
openat(AT_FDCWD, \"/etc/pam.d/x\", O_RDONLY) = 3
 > /usr/lib/x86_64-linux-gnu/libc.so.6(__open64+0x44) [0x1]
 > /usr/lib/x86_64-linux-gnu/libpam.so.0.85.1(pam_start+0x44) [0x1]
openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY) = 3
 > /usr/lib/x86_64-linux-gnu/libc.so.6(__open64+0x44) [0x1]
 > /usr/lib/x86_64-linux-gnu/libc.so.6(getpwnam_r+0x44) [0x1]
 > /x/pam_mfa.so(pam_sm_authenticate+0x44) [0x1]
pwrite64(3, \"x\", 512, 0)             = 512
 > /x/pam_mfa.so(pam_sm_authenticate+0x44) [0x1]
fdatasync(3)                            = 0
 > /x/pam_mfa.so(pam_sm_authenticate+0x44) [0x1]
socket(AF_UNIX, SOCK_DGRAM, 0)          = 4
 > /x/pam_mfa.so(pam_sm_authenticate+0x44) [0x1]
close(4)                                = 0
 > /x/pam_mfa.so(pam_sm_authenticate+0x44) [0x1]
close(4)                                = 0
 > /x/pam_mfa.so(pam_sm_authenticate+0x44) [0x1]
getppid()                               = 1
write(1, \"after\", 5) = 5
";
        let trace = Trace::parse(text);
        assert_eq!((trace.total, trace.own), (7, 3));
        assert_eq!((trace.syncs, trace.written), (1, 512));
        assert_eq!(trace.lines.len(), 3);
    }
}
