//! A panic never leaves the module: its own unwinder and that of the application do not meet.
//!
//! The standard library panics if there is no time to be had. Nothing else makes the module panic.

use mfa_tests::{pam, sandbox::Sandbox};

#[test]
fn a_panic_is_one_call_that_failed() {
    let (sandbox, alice) = Sandbox::with_alice();
    let client = sandbox.client("alice").without_clock().calls(3);
    let code = alice.code(0);
    let outcome = client.login(&[&code, &code, &code]);
    assert_eq!(outcome.codes, [pam::ABORT; 3], "{outcome:#?}");
    assert_eq!(outcome.stderr, "");
    assert!(sandbox.login("alice", &[&code]).granted());
}

#[test]
fn an_application_that_panics_catches_its_own() {
    let (sandbox, alice) = Sandbox::with_alice();
    let code = alice.code(0);
    let client = sandbox.client("alice").panicking();
    let outcome = client.clone().without_clock().login(&[&code]);
    assert_eq!(outcome.codes, [pam::ABORT], "{outcome:#?}");
    assert!(client.login(&[&code]).granted());
}
