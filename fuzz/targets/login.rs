//! The whole module: some logins of one user, with faults and with others in between.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mfa_fuzz::login;
use mfa_fuzz::scenario::Scenario;

fuzz_target!(
    init: login::warm_up(),
    |scenario: Scenario| login::play(&scenario)
);
