//! How the module is linked.

use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    // Once loaded it stays: unloading Rust's standard library is not supported, and crashes a
    // caller whose thread outlives `pam_end`.
    link("-Wl,-z,nodelete");
    link("-Wl,-soname,pam_mfa.so");
    link("-Wl,-z,relro,-z,now");
    link("-Wl,-z,defs");
    if has_unwinder_to_link_in() {
        link_unwinder_in()?;
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    Ok(())
}

fn link(argument: &str) {
    println!("cargo::rustc-cdylib-link-arg={argument}");
}

/// gcc's way to find its files; what it does not have it answers with the bare name.
fn has_unwinder_to_link_in() -> bool {
    let is = |name, value| env::var(name).is_ok_and(|found| found == value);
    let linker = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let mut ask = Command::new(linker);
    let answer = ask.arg("-print-file-name=libgcc_eh.a").output();
    let found = answer.is_ok_and(|answer| answer.stdout.starts_with(b"/"));
    is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") && found
}

/// `libgcc_s.so.1` would be loaded for the unwinder alone, which takes longer than all the rest of
/// us. rustc asks for it by name, and the linker finds ours first: a script (`ld`, "Implicit Linker
/// Scripts") that names what `gcc -static-libgcc` takes instead. Nothing of it is exported.
fn link_unwinder_in() -> io::Result<()> {
    let folder = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(
        Path::new(&folder).join("libgcc_s.so"),
        "INPUT(-lgcc_eh -lgcc)\n",
    )?;
    link(&format!("-L{folder}"));
    Ok(())
}
