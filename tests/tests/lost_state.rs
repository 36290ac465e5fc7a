//! What was used before is not known any more, or not quite: the state is lost, damaged or torn.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::PathBuf,
};

use mfa_tests::{enrolled::Enrolled, outcome::Outcome, pam, sandbox::Sandbox};

const FIRST: &str = "3 codes in a row are needed: type one now and the next ones when they change, \
                     or type three consecutive codes in one answer, noted beforehand; or a backup code: ";
const NEXT: &str = "Codes in a row are needed. Type the next code as soon as it changes: ";
const UNUSABLE: &str =
    "Backup codes cannot be used now. Type a verification code, or ask the administrator.";
const USED: &str = "This code was already used. Wait for the next one.";

/// Where the two slots of a block begin, and how long they are.
const SLOTS: [u64; 2] = [0, 4096];
const SLOT: usize = 512;

#[track_caller]
fn assert_granted(outcome: &Outcome) {
    assert!(outcome.granted(), "{outcome:#?}");
}

fn blocks(sandbox: &Sandbox) -> Vec<PathBuf> {
    let entries = fs::read_dir(sandbox.path("var/lib/pam_mfa/state/2001"));
    let entries = entries.expect("alice's state");
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

fn block(sandbox: &Sandbox) -> PathBuf {
    let blocks = blocks(sandbox);
    assert_eq!(blocks.len(), 1, "{blocks:?}");
    blocks.into_iter().next().expect("a block")
}

/// Flips bits in the middle of a slot.
fn tear(sandbox: &Sandbox, slot: u64) {
    let file = OpenOptions::new().write(true).open(block(sandbox));
    let file = file.expect("open the block");
    file.write_all_at(b"torn", slot + SLOT as u64 / 2)
        .expect("write to the block");
}

fn remove_state(sandbox: &Sandbox) {
    fs::remove_dir_all(sandbox.path("var/lib/pam_mfa/state/2001")).expect("remove the state");
}

fn remove_block(sandbox: &Sandbox) {
    fs::remove_file(block(sandbox)).expect("remove the block");
}

fn fill_with_junk(sandbox: &Sandbox) {
    SLOTS.into_iter().for_each(|slot| tear(sandbox, slot));
}

fn fill_with_zeros(sandbox: &Sandbox) {
    fs::write(block(sandbox), [0; 4608]).expect("write the block");
}

fn cut_to_nothing(sandbox: &Sandbox) {
    fs::write(block(sandbox), "").expect("write the block");
}

/// As a power cut leaves it in the moment in which a lost block is made anew.
fn leave_half_a_block(sandbox: &Sandbox) {
    let block = block(sandbox);
    let name = block.file_name().and_then(|name| name.to_str());
    let id = name.and_then(|name| name.strip_prefix("block-"));
    let new = format!("new-{}", id.expect("block-<record id>"));
    fs::rename(&block, block.with_file_name(&new)).expect("rename the block");
    fs::write(block.with_file_name(new), [0; 100]).expect("write half a block");
}

const LOSSES: [fn(&Sandbox); 5] = [
    remove_state,
    remove_block,
    fill_with_junk,
    fill_with_zeros,
    cut_to_nothing,
];

/// For each way to lose the state: alice, who has used a verification code and a backup code.
fn each_loss(test: impl Fn(&Sandbox, &Enrolled)) {
    for (number, lose) in LOSSES.into_iter().enumerate() {
        println!("loss {number}");
        let (sandbox, alice) = Sandbox::with_alice();
        assert_granted(&sandbox.login("alice", &[&alice.code(-1)]));
        assert_granted(&sandbox.login("alice", &[&alice.backup_codes[0]]));
        lose(&sandbox);
        test(&sandbox, &alice);
    }
}

#[test]
fn without_state_no_backup_code_is_taken() {
    each_loss(|sandbox, alice| {
        for code in &alice.backup_codes[..2] {
            let outcome = sandbox.login("alice", &[code.as_str(); 3]);
            assert_eq!(
                (outcome.code, &*outcome.errors),
                (pam::AUTH_ERR, &[UNUSABLE; 3].map(str::to_owned)[..])
            );
            let line = sandbox.decisions().pop().expect("a line");
            assert!(line.contains("reason=backup-codes-unusable"), "{line}");
        }
    });
}

#[test]
fn without_state_three_codes_in_a_row_are_asked_for_and_then_one_again() {
    each_loss(|sandbox, alice| {
        let row = [-1, 0, 1].map(|step| alice.code(step));
        let outcome = sandbox.login("alice", &row.each_ref().map(|code| &**code));
        assert_granted(&outcome);
        assert_eq!(outcome.prompts, [FIRST, NEXT, NEXT]);
        // From here on it is known again what was used: none of the three is good once more.
        for code in &row {
            assert_eq!(sandbox.login("alice", &[code]).errors, [USED]);
        }
        // Which backup codes were used is known to `regenerate` alone.
        assert_eq!(
            sandbox.login("alice", &[&alice.backup_codes[1]]).errors,
            [UNUSABLE]
        );
        let later = mfa_tests::enrolled::NOW + 60;
        let outcome = sandbox.at(later).login("alice", &[&alice.code(2)]);
        assert_granted(&outcome);
        assert_eq!((outcome.prompts.len(), blocks(sandbox).len()), (1, 1));
    });
}

#[test]
fn a_block_that_was_half_made_anew_is_made_anew() {
    let (sandbox, alice) = Sandbox::with_alice();
    leave_half_a_block(&sandbox);
    let row = [-1, 0, 1].map(|step| alice.code(step));
    assert_granted(&sandbox.login("alice", &row.each_ref().map(|code| &**code)));
    assert_eq!(sandbox.login("alice", &[&row[2]]).errors, [USED]);
}

#[test]
fn three_codes_in_one_answer_do_as_well() {
    let (sandbox, alice) = Sandbox::with_alice();
    remove_state(&sandbox);
    let row = [-2, -1, 0].map(|step| alice.code(step)).join(" ");
    let outcome = sandbox.login("alice", &[&row]);
    assert_granted(&outcome);
    assert_eq!(outcome.prompts.len(), 1);
}

#[test]
fn without_state_no_other_three_codes_are_let_in() {
    let (sandbox, alice) = Sandbox::with_alice();
    remove_state(&sandbox);
    for steps in [[1, 0, -1], [-1, 1, 0], [-2, -1, 1], [-5, -4, -3], [0, 1, 3]] {
        let row = steps.map(|step| alice.code(step));
        let outcome = sandbox.login("alice", &row.each_ref().map(|code| &**code));
        assert!(!outcome.granted(), "{steps:?} {outcome:#?}");
        // The next prompt came whatever was typed, and the verdict only after the third code.
        assert_eq!(outcome.prompts, [FIRST, NEXT, NEXT, FIRST], "{steps:?}");
        assert_eq!(outcome.errors, ["Wrong code."], "{steps:?}");
    }
    assert!(!sandbox.path("var/lib/pam_mfa/state/2001").exists());
}

#[test]
fn without_state_the_next_prompt_tells_nothing_about_the_last_answer() {
    let (sandbox, alice) = Sandbox::with_alice();
    remove_state(&sandbox);
    let right = [-1, 0, 1].map(|step| alice.code(step));
    for wrong in 0..3 {
        let mut row = right.clone();
        row[wrong] = alice.wrong_code();
        let outcome = sandbox.login("alice", &row.each_ref().map(|code| &**code));
        assert_eq!(
            outcome.shown(),
            format!("{FIRST}\n{NEXT}\n{NEXT}\nWrong code.\n{FIRST}\n")
        );
    }
}

#[test]
fn regenerate_brings_lost_state_back_and_no_code_back_to_life() {
    let (sandbox, alice) = Sandbox::with_alice();
    assert_granted(&sandbox.login("alice", &[&alice.code(1)]));
    assert_granted(&sandbox.login("alice", &[&alice.backup_codes[0]]));
    remove_state(&sandbox);
    sandbox
        .admin(&["regenerate", "alice", "--yes", "--json"])
        .ok();
    for step in [-1, 0, 1] {
        assert_eq!(sandbox.login("alice", &[&alice.code(step)]).errors, [USED]);
    }
    assert!(!sandbox.login("alice", &[&alice.backup_codes[0]]).granted());
    let later = mfa_tests::enrolled::NOW + 30;
    assert_granted(&sandbox.at(later).login("alice", &[&alice.code(2)]));
}

#[test]
fn one_torn_slot_costs_nothing() {
    let (sandbox, alice) = Sandbox::with_alice();
    // The first login writes the second slot.
    assert_granted(&sandbox.login("alice", &[&alice.code(-1)]));
    tear(&sandbox, SLOTS[0]);
    assert_eq!(sandbox.login("alice", &[&alice.code(-1)]).errors, [USED]);
    assert_granted(&sandbox.login("alice", &[&alice.code(0)]));
    assert_granted(&sandbox.login("alice", &[&alice.backup_codes[0]]));
}

#[test]
fn a_login_that_was_torn_while_it_wrote_is_tried_again() {
    let (sandbox, alice) = Sandbox::with_alice();
    assert_granted(&sandbox.login("alice", &[&alice.code(-1)]));
    assert_granted(&sandbox.login("alice", &[&alice.code(0)]));
    // The second login wrote the first slot; what counts now is what the first one wrote.
    tear(&sandbox, SLOTS[0]);
    assert_eq!(sandbox.login("alice", &[&alice.code(-1)]).errors, [USED]);
    let outcome = sandbox.login("alice", &[&alice.code(0)]);
    assert_granted(&outcome);
    assert_eq!(outcome.prompts.len(), 1);
}
