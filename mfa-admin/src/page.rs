//! The page that hands a secret over: a QR code, and beside it what to type instead.

use mfa_core::device::Device;
use mfa_core::uri;
use zeroize::Zeroizing;

use crate::names::Names;
use crate::qr::{self, Drawing};
use crate::terminal::Line;

/// Columns of the text beside the code.
const BESIDE: usize = 32;
/// Columns between the two.
const GAP: &str = "  ";
/// Lines that are kept free below the text for a message.
const MESSAGE: usize = 6;

/// How the secret is to be shown.
pub struct Wish {
    /// A QR code is wanted.
    pub qr: bool,
    /// The URI is wanted.
    pub uri: bool,
    /// Columns and lines of the terminal, if it is one.
    pub canvas: Option<(usize, usize)>,
}

/// The page.
pub struct Page {
    drawing: Option<Drawing>,
    text: Vec<Line>,
    below: Vec<Line>,
}

impl Page {
    /// Of a device whose secret nobody has yet.
    pub fn new(device: &Device, names: &Names, wish: &Wish) -> Page {
        let uri = uri::otpauth(device, &names.issuer, &names.account);
        let mut page = Page {
            drawing: None,
            text: by_hand(device, names),
            below: Vec::new(),
        };
        if wish.uri {
            page.below.push(uri.clone());
        }
        let shortest = uri::otpauth(device, "x", &names.account);
        let heading = match wish
            .qr
            .then(|| page.drawing_for(&uri, &shortest, wish.canvas))
        {
            None => "Type this into the authenticator app:".to_owned(),
            Some(Err(why)) => format!("{why} Type this into the authenticator app:"),
            Some(Ok(drawing)) => {
                page.drawing = Some(drawing);
                "Scan this with the authenticator app, or type it in:".to_owned()
            }
        };
        page.text.insert(0, Zeroizing::new(heading));
        page
    }

    /// What is drawn, or why nothing is. `shortest`: the URI with as short an issuer as can be.
    fn drawing_for(
        &self,
        uri: &str,
        shortest: &str,
        canvas: Option<(usize, usize)>,
    ) -> Result<Drawing, String> {
        const NO_TERMINAL: &str =
            "No QR code is drawn, for this is not a terminal that can show one.";
        let (columns, lines) = canvas.ok_or(NO_TERMINAL)?;
        let drawing = qr::draw(uri).ok_or("The names are too long for a QR code.")?;
        let fits = |(width, height)| width <= columns && height <= lines;
        let (width, height) = self.room(&drawing, columns);
        if fits((width, height)) {
            return Ok(drawing);
        }
        let shorter = qr::draw(shortest).is_some_and(|code| fits(self.room(&code, columns)));
        let remedy = match shorter {
            true => "Enlarge it, or give a shorter --issuer.",
            false => "Enlarge it.",
        };
        Err(format!(
            "The QR code needs a terminal of {width} columns and {height} lines; this one has \
             {columns} and {lines}. {remedy}"
        ))
    }

    /// Columns and lines of the page with this code.
    fn room(&self, drawing: &Drawing, columns: usize) -> (usize, usize) {
        let beside = wrapped(&self.text, BESIDE).len() + 2 + MESSAGE;
        let lines = drawing.lines.len().max(beside) + wrapped(&self.below, columns).len();
        // One line more, for the question.
        (drawing.width + GAP.len() + BESIDE, lines + 1)
    }

    /// Its lines, with a message in sight of the question that follows.
    pub fn lines(&self, message: Option<&str>) -> Vec<Line> {
        let mut text = self.text.clone();
        if let Some(message) = message {
            text.extend(["", message].map(|line| Zeroizing::new(line.to_owned())));
        }
        let mut lines = match &self.drawing {
            Some(drawing) => side_by_side(drawing, wrapped(&text, BESIDE)),
            None => text,
        };
        lines.extend(self.below.iter().cloned());
        lines
    }
}

fn by_hand(device: &Device, names: &Names) -> Vec<Line> {
    let mut lines = vec![
        Zeroizing::new(String::new()),
        Zeroizing::new(format!("Account: {}", names.account)),
        Zeroizing::new(format!("Issuer: {}", names.issuer)),
        Zeroizing::new("Secret:".to_owned()),
    ];
    lines.extend(secret_in_groups(device));
    let shape = device.shape;
    let algorithm = shape.algorithm.to_string().to_uppercase();
    lines.push(Zeroizing::new(format!(
        "Type: time-based (TOTP), {algorithm}"
    )));
    lines.push(Zeroizing::new(format!(
        "Digits: {}, period: {} seconds",
        shape.digits, shape.period
    )));
    lines
}

/// Groups of four, four groups a line.
fn secret_in_groups(device: &Device) -> Vec<Line> {
    let secret = uri::base32(device);
    let lines = secret.as_bytes().chunks(16);
    lines.map(line_of_groups).collect()
}

fn line_of_groups(symbols: &[u8]) -> Line {
    let mut line = Zeroizing::new(String::with_capacity(BESIDE));
    line.push(' ');
    for group in symbols.chunks(4) {
        line.push(' ');
        line.extend(group.iter().map(|symbol| char::from(*symbol)));
    }
    line
}

fn side_by_side(drawing: &Drawing, text: Vec<Line>) -> Vec<Line> {
    let blank = Zeroizing::new(" ".repeat(drawing.width));
    (0..drawing.lines.len().max(text.len()))
        .map(|row| {
            let left = drawing.lines.get(row).unwrap_or(&blank);
            let right = text.get(row).map_or("", |line| line.as_str());
            Zeroizing::new(format!("{}{GAP}{right}", left.as_str()))
        })
        .collect()
}

/// Breaks lines that are too long, between words where there are any.
fn wrapped(lines: &[Line], width: usize) -> Vec<Line> {
    lines.iter().flat_map(|line| wrap(line, width)).collect()
}

fn wrap(line: &Line, width: usize) -> Vec<Line> {
    let symbols: Zeroizing<Vec<char>> = Zeroizing::new(line.chars().collect());
    let mut rest = symbols.as_slice();
    let mut lines = Vec::new();
    while rest.len() > width {
        let (head, _) = rest.split_at(width + 1);
        let space = head.iter().rposition(|symbol| *symbol == ' ');
        let end = space.filter(|end| *end > 0).unwrap_or(width);
        let (head, tail) = rest.split_at(end);
        lines.push(Zeroizing::new(head.iter().collect()));
        rest = tail.strip_prefix(&[' ']).unwrap_or(tail);
    }
    lines.push(Zeroizing::new(rest.iter().collect()));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::issuer_of;
    use mfa_core::device::{Algorithm, Shape};

    pub(crate) fn device(algorithm: Algorithm, digits: u8, period: u64) -> Device {
        Device {
            id: [1; 8],
            label: "phone".to_owned(),
            shape: Shape {
                algorithm,
                digits,
                period,
            },
            verified: false,
            enrolled: 0,
            secret: Zeroizing::new(b"12345678901234567890".to_vec()),
        }
    }

    fn page(names: [&str; 2], canvas: Option<(usize, usize)>, uri: bool) -> Page {
        let [issuer, account] = names.map(str::to_owned);
        let wish = Wish {
            qr: true,
            uri,
            canvas,
        };
        let device = device(Algorithm::Sha1, 6, 30);
        Page::new(&device, &Names { issuer, account }, &wish)
    }

    fn text(lines: &[Line]) -> String {
        lines.iter().map(|line| format!("{}\n", **line)).collect()
    }

    #[test]
    fn code_secret_message_and_question_fit_a_terminal_of_24_lines() {
        let page = page(["buildserver-01", "alice"], Some((80, 24)), false);
        let message = "Wrong code: the device's clock is about 59 minutes ahead of this machine's, \
                       which says 2026-11-22 14:03. Set the one that is wrong.";
        let lines = page.lines(Some(message));
        assert!(page.drawing.is_some());
        assert!(lines.len() <= 23, "{}", lines.len());
        let shown = text(&lines);
        for part in ["GEZD GNBV GY3T QOJQ", "Account: alice", "is wrong."] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        for line in &lines {
            let bare = line
                .replace("\x1b[38;5;16;48;5;231m", "")
                .replace("\x1b[0m", "");
            assert!(bare.chars().count() <= 80, "{bare}");
        }
    }

    #[test]
    fn where_no_code_fits_the_secret_is_shown_with_the_reason() {
        let small = page(["host", "alice"], Some((80, 12)), false);
        let shown = text(&small.lines(None));
        assert!(small.drawing.is_none());
        assert!(
            shown.contains("this one has 80 and 12. Enlarge it."),
            "{shown}"
        );
        assert!(shown.contains("GEZD GNBV GY3T QOJQ"), "{shown}");
        let none = page(["host", "alice"], None, false);
        assert!(text(&none.lines(None)).contains("No QR code is drawn"));
    }

    #[test]
    fn a_shorter_issuer_is_advised_where_it_helps_and_by_default_none_is_too_long() {
        let host = "ip-10-0-12-34.eu-central-1.compute.internal";
        let long = page([host, "christopher"], Some((80, 24)), false);
        let shown = text(&long.lines(None));
        assert!(shown.contains("or give a shorter --issuer."), "{shown}");
        for host in [host, "web1.department.exam.org"] {
            let issuer = issuer_of(host);
            let usual = page([issuer, "christopher"], Some((80, 24)), false);
            assert!(usual.drawing.is_some(), "{issuer}");
        }
    }

    #[test]
    fn the_uri_is_shown_whole_and_only_on_request() {
        let uri = "otpauth://totp/host:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=host";
        let with = page(["host", "alice"], Some((80, 24)), true);
        assert!(with.drawing.is_some());
        assert!(with.lines(None).iter().any(|line| **line == uri));
        let without = page(["host", "alice"], Some((80, 24)), false);
        assert!(!text(&without.lines(None)).contains("otpauth"));
    }

    #[test]
    fn long_words_and_long_lines_are_broken() {
        let wrap = |text: &str| {
            let lines = wrap(&Zeroizing::new(text.to_owned()), 8);
            lines
                .iter()
                .map(|line| line.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(wrap(""), [""]);
        assert_eq!(wrap("12345678"), ["12345678"]);
        assert_eq!(wrap("one two three"), ["one two", "three"]);
        assert_eq!(wrap("1234567890123"), ["12345678", "90123"]);
        assert_eq!(wrap("äöüäöüäöü ß"), ["äöüäöüäö", "ü ß"]);
    }
}
