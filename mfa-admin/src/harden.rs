//! Keeping secrets in this process.

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};

/// No core dump, and no debugger of the same user. A kernel that refuses gives less protection,
/// which is no reason to do without a second factor.
pub fn keep_secrets_out_of_core_dumps() {
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = prctl::set_dumpable(false);
}
