//! What a person typed, as far as it can be a code. One parser for the login and for `enroll`.

use zeroize::Zeroizing;

use crate::backup::{self, BackupCode};

/// The longest answer in bytes that is looked at.
pub const LONGEST: usize = 512;
/// The most verification codes in one answer.
pub const RUN: usize = 3;

/// The digits of one verification code.
pub type Code = Zeroizing<String>;

/// An answer that has the form of a code.
pub enum Answer {
    /// One to three verification codes, in the order in which they were typed.
    Codes(Vec<Code>),
    /// A backup code.
    Backup(BackupCode),
}

impl Answer {
    /// Blanks and dashes are ignored. Exactly the digits of one, two or three codes of a device
    /// (`digits`: what the user's devices show) are verification codes; twelve symbols of the
    /// backup alphabet with a letter among them are a backup code; everything else is no answer.
    pub fn parse(typed: &str, digits: &[u8]) -> Option<Answer> {
        if typed.len() > LONGEST {
            return None;
        }
        let mut symbols = Zeroizing::new(String::with_capacity(LONGEST));
        symbols.extend(typed.chars().filter(|c| !is_filler(*c)));
        match BackupCode::parse(&symbols) {
            Some(code) => Some(Answer::Backup(code)),
            None => split(&symbols, digits).map(Answer::Codes),
        }
    }
}

/// A backup code at the end of an answer that begins with a password: where it begins.
pub fn backup_behind_password(typed: &[u8]) -> Option<(usize, BackupCode)> {
    let (start, symbols) = tail(typed, backup::LENGTH)?;
    Some((start, BackupCode::parse(&symbols)?))
}

/// Verification codes in a row at the end of an answer that begins with a password: where they
/// begin. As many as are needed, or else fewer: a password may end in digits, too.
pub fn codes_behind_password(
    typed: &[u8],
    digits: &[u8],
    needed: usize,
) -> Option<(usize, Vec<Code>)> {
    let mut lengths: Vec<usize> = digits.iter().map(|digits| usize::from(*digits)).collect();
    lengths.sort_unstable_by(|one, other| other.cmp(one));
    let codes = (1..=needed.min(RUN)).rev();
    let mut shapes = codes.flat_map(|codes| lengths.iter().map(move |length| codes * length));
    shapes.find_map(|symbols| {
        let (start, symbols) = tail(typed, symbols)?;
        Some((start, split(&symbols, digits)?))
    })
}

/// The last symbols of an answer, and where they begin. Bytes, for nothing is known of the password.
fn tail(typed: &[u8], symbols: usize) -> Option<(usize, Zeroizing<String>)> {
    let is_symbol = |byte: &u8| !matches!(byte, b' ' | b'-');
    let mut places = typed
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, byte)| is_symbol(byte));
    let (start, _) = places.nth(symbols.checked_sub(1)?)?;
    let mut tail = Zeroizing::new(String::with_capacity(symbols));
    for byte in typed.get(start..)?.iter().filter(|byte| is_symbol(byte)) {
        match byte.is_ascii_alphanumeric() {
            true => tail.push(char::from(*byte)),
            false => return None,
        }
    }
    Some((start, tail))
}

/// Typed and pasted dashes of every width, and blanks.
fn is_filler(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

fn split(symbols: &str, digits: &[u8]) -> Option<Vec<Code>> {
    if !symbols.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let lengths = digits.iter().map(|digits| usize::from(*digits));
    let length = lengths
        .into_iter()
        .find(|length| is_run_of(symbols.len(), *length))?;
    let codes = symbols.as_bytes().chunks(length);
    Some(
        codes
            .map(|code| Zeroizing::new(String::from_utf8_lossy(code).into_owned()))
            .collect(),
    )
}

fn is_run_of(typed: usize, length: usize) -> bool {
    (1..=RUN).any(|codes| typed == codes * length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(typed: &str, digits: &[u8]) -> Option<Vec<String>> {
        match Answer::parse(typed, digits)? {
            Answer::Codes(codes) => Some(codes.iter().map(|code| code.to_string()).collect()),
            Answer::Backup(code) => Some(vec![code.shown().to_string()]),
        }
    }

    #[test]
    fn a_code_in_any_dress() {
        for typed in [
            "123456",
            "123 456",
            "123-456",
            " 123456 ",
            "123\u{a0}456",
            "123\u{2013}456\t",
        ] {
            assert_eq!(codes(typed, &[6]).unwrap(), ["123456"], "{typed:?}");
        }
        assert_eq!(codes("1234 5678", &[6, 8]).unwrap(), ["12345678"]);
    }

    #[test]
    fn codes_in_a_row() {
        assert_eq!(codes("123456 654321", &[6]).unwrap(), ["123456", "654321"]);
        assert_eq!(
            codes("111111222222333333", &[6]).unwrap(),
            ["111111", "222222", "333333"]
        );
        assert_eq!(
            codes("1111111122222222", &[6, 8]).unwrap(),
            ["11111111", "22222222"]
        );
    }

    #[test]
    fn a_backup_code_in_any_dress() {
        for typed in ["abcd-efgh-2345", "ABCDEFGH2345", " abcd efgh 2345 "] {
            assert_eq!(codes(typed, &[6]).unwrap(), ["abcd-efgh-2345"], "{typed:?}");
        }
    }

    fn behind(typed: &str, digits: &[u8], needed: usize) -> Option<(String, Vec<String>)> {
        let (start, codes) = codes_behind_password(typed.as_bytes(), digits, needed)?;
        let codes = codes.iter().map(|code| code.to_string()).collect();
        Some((typed[..start].to_owned(), codes))
    }

    #[test]
    fn codes_behind_a_password() {
        let some = |password: &str, codes: &[&str]| {
            let codes = codes.iter().map(|code| (*code).to_owned()).collect();
            Some((password.to_owned(), codes))
        };
        assert_eq!(
            behind("hunter2123456", &[6], 1),
            some("hunter2", &["123456"])
        );
        assert_eq!(behind("pw-123 456 ", &[6], 1), some("pw-", &["123456"]));
        assert_eq!(behind("123456", &[6], 1), some("", &["123456"]));
        assert_eq!(
            behind("pw111111222222", &[6], 1),
            some("pw111111", &["222222"])
        );
        assert_eq!(
            behind("pw111111222222", &[6], 2),
            some("pw", &["111111", "222222"])
        );
        assert_eq!(
            behind("pw111111222222", &[6], 3),
            some("pw", &["111111", "222222"])
        );
        assert_eq!(behind("pw222222", &[6], 2), some("pw", &["222222"]));
        assert_eq!(behind("pw12345678", &[6, 8], 1), some("pw", &["12345678"]));
        assert_eq!(behind("pw123456", &[6, 8], 1), some("pw", &["123456"]));
        for typed in ["", "pw", "pw12345", "pw123456x", "pw12345６", "12345"] {
            assert_eq!(behind(typed, &[6], 3), None, "{typed:?}");
        }
        let (start, codes) = codes_behind_password(b"p\xe4ss123456", &[6], 1).unwrap();
        assert_eq!((start, codes.len()), (4, 1));
    }

    #[test]
    fn a_backup_code_behind_a_password() {
        for typed in ["pass-abcd-efgh-2345", "pass-ABCDEFGH2345 "] {
            let (start, code) = backup_behind_password(typed.as_bytes()).unwrap();
            assert_eq!((start, &**code.shown()), (5, "abcd-efgh-2345"));
        }
        assert!(backup_behind_password(b"pw123456").is_none());
        assert!(backup_behind_password(b"pw123456789012").is_none());
    }

    #[test]
    fn everything_else_is_no_answer() {
        let long = "1".repeat(600);
        let blank = " ".repeat(600);
        for typed in [
            "",
            " - ",
            "12345",
            "1234567",
            "123456789012345678901234",
            "12345x",
            "１２３４５６",
            "abcd-efgh-234",
            "abcd-efgh-2340",
            "password",
            &long,
            &blank,
        ] {
            assert!(Answer::parse(typed, &[6]).is_none(), "{typed:?}");
        }
        assert!(Answer::parse("12345678", &[6]).is_none());
        assert!(Answer::parse("123456", &[8]).is_none());
    }
}
