//! Plots: lines over two logarithmic axes, and bars.

use std::fmt::Write;

const COLOURS: [&str; 6] = [
    "#0b6e4f", "#c8553d", "#3d5a80", "#8c8c8c", "#b08900", "#7b2d8b",
];
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 230.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// A name and its points; all above zero.
pub type Line = (String, Vec<(f64, f64)>);

/// Lines over two logarithmic axes.
pub fn lines(title: &str, x_label: &str, y_label: &str, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let x = Axis::new(points().map(|point| point.0), LEFT, WIDTH - RIGHT);
    let y = Axis::new(points().map(|point| point.1), HEIGHT - BOTTOM, TOP);
    let mut svg = begin(title, HEIGHT);
    for value in x.ticks() {
        let at = x.at(value);
        line(&mut svg, at, TOP, at, HEIGHT - BOTTOM);
        text(
            &mut svg,
            at,
            HEIGHT - BOTTOM + 18.0,
            "middle",
            &short(value),
        );
    }
    for value in y.ticks() {
        let at = y.at(value);
        line(&mut svg, LEFT, at, WIDTH - RIGHT, at);
        text(&mut svg, LEFT - 8.0, at + 4.0, "end", &short(value));
    }
    text(
        &mut svg,
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 10.0,
        "middle",
        x_label,
    );
    text(&mut svg, 10.0, TOP - 8.0, "start", y_label);
    for (number, (name, points)) in lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let path: Vec<String> = points
            .iter()
            .map(|(a, b)| format!("{:.1},{:.1}", x.at(*a), y.at(*b)))
            .collect();
        put(
            &mut svg,
            &format!(
                "<polyline points='{}' fill='none' stroke='{colour}' stroke-width='2.5'/>",
                path.join(" ")
            ),
        );
        key(
            &mut svg,
            WIDTH - RIGHT + 15.0,
            TOP + 10.0 + 22.0 * number as f64,
            colour,
            name,
        );
    }
    svg + "</svg>\n"
}

/// Bars from zero, each group with a name and one bar for each of `names`.
pub fn bars(title: &str, names: &[&str], groups: &[(String, Vec<f64>)]) -> String {
    let most = groups
        .iter()
        .flat_map(|(_, values)| values)
        .copied()
        .fold(0.0, f64::max);
    let of_group = 20.0 * names.len() as f64 + 14.0;
    let height = TOP + of_group * groups.len() as f64 + 30.0;
    let mut svg = begin(title, height);
    for (number, name) in names.iter().enumerate() {
        let x = 20.0 + 180.0 * number as f64;
        key(
            &mut svg,
            x,
            height - 16.0,
            COLOURS[number % COLOURS.len()],
            name,
        );
    }
    for (group, (name, values)) in groups.iter().enumerate() {
        let top = TOP + of_group * group as f64;
        text(&mut svg, 180.0, top + of_group / 2.0, "end", name);
        for (number, value) in values.iter().enumerate() {
            let (y, width) = (top + 20.0 * number as f64, (WIDTH - 270.0) * value / most);
            let colour = COLOURS[number % COLOURS.len()];
            put(
                &mut svg,
                &format!(
                    "<rect x='190' y='{y:.1}' width='{width:.1}' height='16' fill='{colour}'/>"
                ),
            );
            text(
                &mut svg,
                196.0 + width,
                y + 13.0,
                "start",
                &format!("{value:.0}"),
            );
        }
    }
    svg + "</svg>\n"
}

fn begin(title: &str, height: f64) -> String {
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' font-family='sans-serif' \
         font-size='13'>\n<rect width='100%' height='100%' fill='white'/>\n"
    );
    text(&mut svg, WIDTH / 2.0, 18.0, "middle", title);
    svg
}

fn put(svg: &mut String, element: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(svg, "{element}");
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    put(
        svg,
        &format!("<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}'>{text}</text>"),
    );
}

fn line(svg: &mut String, x1: f64, y1: f64, x2: f64, y2: f64) {
    put(
        svg,
        &format!("<line x1='{x1:.1}' y1='{y1:.1}' x2='{x2:.1}' y2='{y2:.1}' stroke='#ddd'/>"),
    );
}

fn key(svg: &mut String, x: f64, y: f64, colour: &str, name: &str) {
    put(
        svg,
        &format!(
            "<rect x='{x:.1}' y='{:.1}' width='14' height='10' fill='{colour}'/>",
            y - 9.0
        ),
    );
    text(svg, x + 20.0, y, "start", name);
}

/// 1000 → 1k.
fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{}M", value / 1e6),
        1e3.. => format!("{}k", value / 1e3),
        _ => format!("{value}"),
    }
}

/// From the power of ten below all values to the one above, over a stretch of the picture.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn new(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let low = values.clone().fold(f64::MAX, f64::min).log10().floor();
        let high = values.fold(f64::MIN_POSITIVE, f64::max).log10().ceil();
        Self {
            low,
            high: high.max(low + 1.0),
            from,
            to,
        }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (self.to - self.from) * (value.log10() - self.low) / (self.high - self.low)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.low as i32..=self.high as i32).map(|power| 10f64.powi(power))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_reaches_from_power_to_power() {
        let axis = Axis::new([20.0, 500.0].into_iter(), 0.0, 200.0);
        assert_eq!(axis.ticks().collect::<Vec<_>>(), [10.0, 100.0, 1000.0]);
        assert_eq!(
            (axis.at(10.0), axis.at(100.0), axis.at(1000.0)),
            (0.0, 100.0, 200.0)
        );
    }

    #[test]
    fn every_value_and_name_is_shown() {
        let svg = bars("a < b", &["x"], &[("group".to_owned(), vec![7.0])]);
        for part in ["a &lt; b", ">x<", ">group<", ">7<"] {
            assert!(svg.contains(part), "{svg}");
        }
    }
}
