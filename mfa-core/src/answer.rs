//! What a person typed, as far as it can be a code. One parser for the login and for `enroll`.

use zeroize::Zeroizing;

use crate::backup::BackupCode;

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
