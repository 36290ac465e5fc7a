//! A QR code (ISO/IEC 18004) in half blocks: two modules a character.

use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

use crate::terminal::Line;

/// Modules of light around the code. The standard asks for four, every reader is content with
/// two, and two let the usual code fit 24 lines.
const QUIET: usize = 2;

/// Black on white whatever the terminal's colours are: these two of the 256 are in no theme.
const COLOURS: &str = "\x1b[38;5;16;48;5;231m";
const RESET: &str = "\x1b[0m";

/// A drawn code.
pub struct Drawing {
    /// Its lines.
    pub lines: Vec<Line>,
    /// Columns of each.
    pub width: usize,
}

/// Draws a text; `None` if it is too long for any QR code.
pub fn draw(text: &str) -> Option<Drawing> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let modules = Modules {
        width: code.width(),
        colors: code.to_colors(),
    };
    let width = modules.width + 2 * QUIET;
    let rows = (0..width).step_by(2);
    Some(Drawing {
        lines: rows.map(|y| modules.line(y, width)).collect(),
        width,
    })
}

struct Modules {
    width: usize,
    colors: Vec<Color>,
}

impl Modules {
    /// The rows `y` and `y + 1`, counted with the quiet zone.
    fn line(&self, y: usize, width: usize) -> Line {
        let mut line = Zeroizing::new(String::with_capacity(3 * width + 32));
        line.push_str(COLOURS);
        line.extend((0..width).map(|x| block(self.is_dark(x, y), self.is_dark(x, y + 1))));
        line.push_str(RESET);
        line
    }

    fn is_dark(&self, x: usize, y: usize) -> bool {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|at| *at < self.width);
        let (Some(x), Some(y)) = (inside(x), inside(y)) else {
            return false;
        };
        self.colors.get(y * self.width + x) == Some(&Color::Dark)
    }
}

fn block(upper: bool, lower: bool) -> char {
    match (upper, lower) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mfa_core::device::{Algorithm, Device, Shape};
    use mfa_core::uri::otpauth;

    /// The bitmap that a terminal shows: `true` is light. Colours and blocks are read as a
    /// terminal reads them; around the code it is as light or dark as the terminal is.
    fn screen(lines: &[Line], around: bool) -> Vec<Vec<bool>> {
        const MARGIN: usize = 6;
        let mut rows = vec![];
        for line in lines {
            let (upper, lower) = cells(line).into_iter().unzip();
            rows.extend([upper, lower]);
        }
        let width = rows.iter().map(Vec::len).max().unwrap() + 2 * MARGIN;
        let blank = || std::iter::repeat_n(vec![around; width], MARGIN);
        let margin = [around; MARGIN];
        let rows = rows.into_iter().map(|row: Vec<bool>| {
            [
                &margin[..],
                &row,
                &vec![around; width - 2 * MARGIN - row.len()],
                &margin,
            ]
            .concat()
        });
        blank().chain(rows).chain(blank()).collect()
    }

    /// The upper and the lower half of each character.
    fn cells(line: &str) -> Vec<(bool, bool)> {
        let text = line.strip_prefix("\x1b[38;5;16;48;5;231m").unwrap();
        let text = text.strip_suffix("\x1b[0m").unwrap();
        let (foreground, background) = (false, true);
        let half = |symbol| match symbol {
            '█' => (foreground, foreground),
            '▀' => (foreground, background),
            '▄' => (background, foreground),
            ' ' => (background, background),
            other => panic!("{other:?}"),
        };
        text.chars().map(half).collect()
    }

    fn read(lines: &[Line], around: bool) -> String {
        const SCALE: usize = 4;
        let screen = screen(lines, around);
        let (width, height) = (screen[0].len() * SCALE, screen.len() * SCALE);
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
            if screen[y / SCALE][x / SCALE] { 255 } else { 0 }
        });
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        grids[0].decode().unwrap().1
    }

    fn uri(algorithm: Algorithm, digits: u8, period: u64, names: [&str; 2]) -> Line {
        let device = Device {
            id: [1; 8],
            label: "phone".to_owned(),
            shape: Shape {
                algorithm,
                digits,
                period,
            },
            verified: false,
            enrolled: 0,
            secret: Zeroizing::new((100..120).collect()),
        };
        otpauth(&device, names[0], names[1])
    }

    #[test]
    fn an_independent_reader_reads_every_code_on_light_and_dark() {
        let usual = ["buildserver-01", "alice"];
        let long = [
            "a-rather-long-host-name.department.example.org",
            "Jürgen Müller",
        ];
        let uris = [
            uri(Algorithm::Sha1, 6, 30, usual),
            uri(Algorithm::Sha256, 6, 30, usual),
            uri(Algorithm::Sha512, 8, 60, usual),
            uri(Algorithm::Sha1, 8, 60, long),
            uri(Algorithm::Sha512, 8, 60, long),
        ];
        for uri in uris {
            let drawing = draw(&uri).unwrap();
            for around in [true, false] {
                assert_eq!(read(&drawing.lines, around), *uri);
            }
        }
    }

    #[test]
    fn usual_codes_leave_room_on_a_terminal_of_80_by_24() {
        for (algorithm, lines) in [(Algorithm::Sha1, 22), (Algorithm::Sha512, 23)] {
            for host in ["vm", "localhost", "debian", "buildserver-01"] {
                let drawing = draw(&uri(algorithm, 6, 30, [host, "christopher"])).unwrap();
                assert!(drawing.width <= 80 && drawing.lines.len() <= lines);
                let wide = |line: &Line| cells(line).len() == drawing.width;
                assert!(drawing.lines.iter().all(wide));
            }
        }
    }

    #[test]
    fn there_is_light_on_every_side() {
        let drawing = draw("otpauth://totp/a:b?secret=GEZDGNBV").unwrap();
        let rows: Vec<_> = drawing.lines.iter().map(|line| cells(line)).collect();
        let light = |cell: &(bool, bool)| cell.0 && cell.1;
        assert!(rows[0].iter().all(light));
        assert!(rows.last().unwrap().iter().all(|cell| cell.1));
        for row in rows {
            let sides = [&row[..2], &row[row.len() - 2..]].concat();
            assert!(sides.iter().all(light), "{row:?}");
        }
    }
}
