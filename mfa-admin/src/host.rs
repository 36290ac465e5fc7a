//! The machine's name.

/// What the machine calls itself.
pub fn name() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
