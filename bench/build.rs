//! How the program is linked.

fn main() {
    // So that the modules find these in place of the C library's.
    for name in ["clock_gettime", "time"] {
        println!("cargo::rustc-link-arg-bins=-Wl,--export-dynamic-symbol={name}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
