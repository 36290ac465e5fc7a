//! Skipping a test in the open: the test runner counts a skipped test as passed, so we tell it.

use std::{env, fs::OpenOptions, io::Write, path::Path};

/// Whether we are root; if not, the test counts as skipped.
pub fn is_root(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        note(test, "root");
    }
    root
}

/// Whether `path` exists; if not, the test counts as skipped.
pub fn exists(test: &str, path: impl AsRef<Path>) -> bool {
    let path = path.as_ref();
    if !path.exists() {
        note(test, &path.display().to_string());
    }
    path.exists()
}

fn note(test: &str, what: &str) {
    let line = format!("{test}: needs {what}\n");
    print!("{line}");
    let Some(file) = env::var_os("MFA_SKIPPED") else {
        return;
    };
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .expect("open the file that MFA_SKIPPED names");
    // One write, so that tests running side by side do not mix their lines.
    file.write_all(line.as_bytes())
        .expect("note a skipped test");
}

/// The path of the function it stands in, such as `harness::su_asks`.
///
/// The thread's name will not do: with one test thread the tests run on the main thread.
#[macro_export]
macro_rules! test_name {
    () => {{
        fn here() {}
        ::std::any::type_name_of_val(&here).trim_end_matches("::here")
    }};
}

/// Ends the test as skipped unless it runs as root.
#[macro_export]
macro_rules! need_root {
    () => {
        if !$crate::skip::is_root($crate::test_name!()) {
            return;
        }
    };
}

/// Ends the test as skipped unless the path exists.
#[macro_export]
macro_rules! need {
    ($path:expr) => {
        if !$crate::skip::exists($crate::test_name!(), $path) {
            return;
        }
    };
}
