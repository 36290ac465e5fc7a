//! From a file to lines, and from a line to words, as libpam does it.

/// A line with its number, from 1; where several were put together, that of the last.
pub(crate) struct Line {
    pub number: usize,
    pub text: String,
}

/// What libpam 1.5 has room for, in lines that are put together as well; the rest it takes for another line.
const LONGEST: usize = 1022;

/// Without comments and empty lines, those that end in a backslash put together. A comment ends a
/// line for good, whatever it ends in.
///
/// # Errors
/// What versions of libpam read in different ways, or not at all.
pub(crate) fn lines(text: &str) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    let mut whole = String::new();
    // Of the room, by the lines before that go on; libpam keeps the blanks in front of each.
    let mut taken = 0;
    for (number, line) in (1..).zip(text.split('\n')) {
        if taken + line.len() > LONGEST {
            return Err(format!(
                "line {number} is longer than {LONGEST} bytes, with those before it that go on"
            ));
        }
        let comment = line.find('#');
        let said = line
            .get(..comment.unwrap_or(line.len()))
            .unwrap_or_default();
        let said = said.trim_start_matches([' ', '\t']);
        if said.is_empty() && !whole.is_empty() {
            return Err(format!(
                "line {number} is empty, and the one before it ends in a backslash"
            ));
        }
        let goes_on = line.trim_end_matches([' ', '\t']).strip_suffix('\\');
        if let (Some(part), None) = (goes_on, comment) {
            whole.push_str(part.trim_start_matches([' ', '\t']));
            whole.push(' ');
            taken += part.len() + 1;
            continue;
        }
        whole.push_str(said);
        taken = 0;
        if !whole.is_empty() {
            let text = std::mem::take(&mut whole);
            lines.push(Line { number, text });
        }
    }
    Ok(lines)
}

/// Words between blanks; what stands in `[` and `]` is one.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start_matches(BLANKS);
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('[') {
            Some(inside) => bracketed(inside),
            None => {
                let (word, after) = rest.split_at(rest.find(BLANKS).unwrap_or(rest.len()));
                (word.to_owned(), after)
            }
        };
        words.push(word);
        rest = after.trim_start_matches(BLANKS);
    }
    words
}

const BLANKS: [char; 3] = [' ', '\n', '\t'];

/// Up to the next `]`; `\]` is a `]` that does not end it.
fn bracketed(text: &str) -> (String, &str) {
    let mut word = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            ']' => return (word, text.get(at + 1..).unwrap_or_default()),
            '\\' if chars.as_str().starts_with(']') => {
                word.push(']');
                chars.next();
            }
            c => word.push(c),
        }
    }
    (word, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_and_comments_left_out() {
        let text = "# c\n\n  auth a \\\n  b # c \\\nauth c\nx";
        let lines: Vec<_> = lines(text)
            .unwrap()
            .into_iter()
            .map(|l| (l.number, l.text))
            .collect();
        let expected = [(4, "auth a  b "), (5, "auth c"), (6, "x")];
        assert_eq!(
            lines,
            expected.map(|(number, text)| (number, text.to_owned()))
        );
    }

    #[test]
    fn what_is_read_in_different_ways_is_not_read() {
        for text in [
            "auth \\\n",
            "auth \\\n# x\nb",
            "auth \\\n\nb",
            &"x".repeat(1023),
            &format!("{}\\\n{}", "x".repeat(900), "y".repeat(122)),
            &format!("{}x\\\ny\\\n{}", " ".repeat(899), "z".repeat(120)),
        ] {
            assert!(lines(text).is_err(), "{text}");
        }
        let fits = format!("{}\\\n{}", "x".repeat(900), "y".repeat(121));
        assert!(lines(&format!("{fits}\n{fits}")).is_ok());
    }

    #[test]
    fn brackets_hold_a_word_together() {
        let line = "auth [success=ok  default=1] pam_exec.so [a \\] b] c";
        let expected = ["auth", "success=ok  default=1", "pam_exec.so", "a ] b", "c"];
        assert_eq!(words(line), expected);
    }
}
