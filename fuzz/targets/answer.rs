//! What somebody typed: read by rules of our own, and by the parser; both must agree.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use mfa_core::answer::{Answer, LONGEST};
use mfa_fuzz::require;

#[derive(Arbitrary, Debug)]
struct Input {
    parts: Vec<Part>,
    /// What the user's devices show: six digits, eight, or both.
    digits: u8,
}

#[derive(Arbitrary, Debug)]
enum Part {
    Digits(u32, u8),
    Symbols([u8; 4]),
    Filler(u8),
    Text(String),
    Many(u8),
}

const SYMBOLS: &[u8] = b"23456789abcdefghijkmnpqrstuvwxyzABCDEFGHIJKMNPQRSTUVWXYZ01loLO";
const FILLER: [&str; 14] = [
    " ", "-", "\t", "\n", "\r", "\u{a0}", "\u{2010}", "\u{2011}", "\u{2012}", "\u{2013}",
    "\u{2014}", "\u{2015}", "\u{2212}", "\u{3000}",
];

fuzz_target!(|input: Input| {
    let digits: &[u8] = [[6].as_slice(), &[8], &[6, 8], &[8, 6, 6]][usize::from(input.digits % 4)];
    let typed: String = input.parts.iter().map(Part::text).collect();
    let read = Answer::parse(&typed, digits);
    let bare: String = typed
        .chars()
        .filter(|c| !c.is_whitespace() && !FILLER.contains(&c.to_string().as_str()))
        .collect();
    check(&typed, &bare, digits, &read);
    // Blanks and dashes change nothing.
    if typed.len() <= LONGEST {
        let again = Answer::parse(&bare, digits);
        require!(
            text_of(&again) == text_of(&read),
            "{typed:?} and {bare:?} differ"
        );
    }
});

fn check(typed: &str, bare: &str, digits: &[u8], read: &Option<Answer>) {
    let run = digits
        .iter()
        .map(|d| usize::from(*d))
        .find(|d| (1..=3).any(|n| bare.len() == n * d));
    let is_number = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
    let lower = bare.to_ascii_lowercase();
    let is_backup = lower.len() == 12
        && lower.bytes().all(|b| SYMBOLS[..32].contains(&b))
        && lower.bytes().any(|b| b.is_ascii_lowercase());
    match read {
        _ if typed.len() > LONGEST => require!(read.is_none(), "too long: {typed:?}"),
        Some(Answer::Codes(codes)) => {
            require!(is_number && run.is_some(), "codes in {typed:?}");
            let same = codes.iter().map(|code| code.as_str()).collect::<String>() == bare;
            require!(same, "other digits than in {typed:?}");
            let each = codes.iter().all(|code| Some(code.len()) == run);
            require!(
                each && codes.len() <= 3,
                "codes of other lengths in {typed:?}"
            );
        }
        Some(Answer::Backup(code)) => {
            require!(is_backup, "a backup code in {typed:?}");
            let shown = code.shown();
            require!(
                shown.replace('-', "") == lower,
                "another backup code than {typed:?}"
            );
            let again = Answer::parse(&shown, digits);
            let same = matches!(&again, Some(Answer::Backup(again)) if again == code);
            require!(same, "what is shown of {typed:?} is not taken");
        }
        None => {
            require!(!(is_number && run.is_some()), "no code in {typed:?}");
            require!(!is_backup, "no backup code in {typed:?}");
        }
    }
}

fn text_of(answer: &Option<Answer>) -> Vec<String> {
    match answer {
        Some(Answer::Codes(codes)) => codes.iter().map(|code| code.to_string()).collect(),
        Some(Answer::Backup(code)) => vec![code.shown().to_string()],
        None => Vec::new(),
    }
}

impl Part {
    fn text(&self) -> String {
        match self {
            Part::Digits(number, width) => {
                format!("{number:0width$}", width = usize::from(width % 10))
            }
            Part::Symbols(symbols) => {
                let symbol = |byte: &u8| char::from(SYMBOLS[usize::from(*byte) % SYMBOLS.len()]);
                symbols.iter().map(symbol).collect()
            }
            Part::Filler(number) => FILLER[usize::from(*number) % FILLER.len()].to_owned(),
            Part::Text(text) => text.clone(),
            Part::Many(number) => " ".repeat(usize::from(*number)),
        }
    }
}
