//! How the module is linked.

fn main() {
    // Once loaded it stays: unloading Rust's standard library is not supported, and crashes a
    // caller whose thread outlives `pam_end`.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,pam_mfa.so");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,relro,-z,now");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,defs");
    println!("cargo::rerun-if-changed=build.rs");
}
