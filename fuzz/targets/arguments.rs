//! The arguments of the PAM line, through the whole module: what is unknown or malformed refuses
//! without a question, and nothing is looked for anywhere but below the last `root=`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mfa_fuzz::scenario::Word;
use mfa_fuzz::{login, require};

fuzz_target!(
    init: login::warm_up(),
    |input: (Vec<Word>, bool)| {
        let (words, silent) = input;
        let shown = format!("{words:?}");
        let (code, prompts, expected) = login::with_words(words, silent);
        let right = expected.outcome() == (code, prompts);
        require!(right, "{shown}: {code} after {prompts} prompts, and not {expected:?}");
    }
);
