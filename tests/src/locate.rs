//! Where things are: what we built, and what Debian installed.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The module under test; the environment variable `MFA_MODULE` overrides it.
pub fn module() -> PathBuf {
    built("MFA_MODULE", "libpam_mfa.so")
}

/// The command line under test; the environment variable `MFA_ADMIN` overrides it.
pub fn admin() -> PathBuf {
    built("MFA_ADMIN", "mfa-admin")
}

/// What runs a watched login; the environment variable `MFA_WITNESS` overrides it.
pub fn witness() -> PathBuf {
    built("MFA_WITNESS", "pam-witness")
}

fn built(variable: &str, name: &str) -> PathBuf {
    let built = || workspace().join("target/release").join(name);
    env::var_os(variable).map_or_else(built, PathBuf::from)
}

/// The top of the source tree.
pub fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("tests/ lies in the workspace")
}

/// Our PAM client, which cargo builds beside the tests.
pub fn pam_client() -> PathBuf {
    let test = env::current_exe().expect("the path of the running test");
    let profile = test.ancestors().nth(2).expect("target/<profile>/deps/test");
    profile.join("pam-client")
}

/// The library that sets a process's clock, which cargo builds for the tests.
pub fn virtual_clock() -> PathBuf {
    let test = env::current_exe().expect("the path of the running test");
    let mut clocks = test
        .ancestors()
        .map(|folder| folder.join("deps/libvirtual_clock.so"));
    clocks
        .find(|clock| clock.exists())
        .expect("a clock beside the tests")
}

/// The Debian packages under test, and the root folder of a Debian that has none of them: where
/// `make test-package` says.
pub fn packages() -> (PathBuf, PathBuf) {
    let folder = |name| env::var_os(name).map(PathBuf::from).expect(name);
    (folder("MFA_PACKAGES"), folder("MFA_DEBIAN"))
}

/// `/usr/lib/<architecture>/<name>`.
pub fn library(name: &str) -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("list /usr/lib");
    folders
        .map(|folder| folder.expect("an entry of /usr/lib").path().join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("no {name} below /usr/lib"))
}

/// The folder of the PAM modules.
pub fn pam_modules() -> PathBuf {
    let mut path = library("security/pam_unix.so");
    path.pop();
    path
}
