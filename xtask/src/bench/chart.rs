// SPDX-License-Identifier: MIT OR Apache-2.0
//! The results as a picture: a bar for each, and a line where Linux is.

use std::fmt::Write;

use super::Comparison;

const WIDTH: u32 = 900;
/// Height of a row, and of what is above the first.
const ROW: u32 = 26;
const HEAD: u32 = 64;
/// Where the two columns of bars begin, and how wide they are.
const COLUMNS: [u32; 2] = [300, 630];
const COLUMN: f64 = 230.0;

/// The picture.
pub(super) fn svg(title: &str, comparisons: &[Comparison]) -> String {
    let rows: Vec<(String, [f64; 2])> = comparisons
        .iter()
        .flat_map(|comparison| {
            comparison.results().map(|(name, result)| {
                let label = format!("{}: {name}", comparison.env.name());
                (label, [result.speed, result.cpu])
            })
        })
        .collect();
    let height = HEAD + ROW * rows.len() as u32 + 16;
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"16\" y=\"24\" font-size=\"16\">{title}: Prism, with Linux as 1</text>\n"
    );
    let titles = ["speed (more is better)", "guest CPU for each (less is better)"];
    for (column, (x, title)) in COLUMNS.into_iter().zip(titles).enumerate() {
        let most = rows.iter().map(|(_, values)| values[column]).fold(1.0, f64::max);
        let length = |value: f64| value / most * COLUMN;
        text(&mut picture, x, HEAD - 14, title);
        for (row, (_, values)) in rows.iter().enumerate() {
            let (y, end) = (HEAD + ROW * row as u32, length(values[column]));
            let better = (values[column] >= 1.0) == (column == 0);
            let color = if better { "#2a7f62" } else { "#c0603a" };
            let _ = writeln!(
                picture,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{end:.1}\" height=\"16\" fill=\"{color}\"/>"
            );
            text(&mut picture, x + end as u32 + 4, y + 13, &format!("{:.2}", values[column]));
        }
        let (line, bottom) = (f64::from(x) + length(1.0), height - 12);
        let _ = writeln!(
            picture,
            "<line x1=\"{line:.1}\" y1=\"{}\" x2=\"{line:.1}\" y2=\"{bottom}\" stroke=\"black\" \
             stroke-dasharray=\"4 3\"/>",
            HEAD - 8
        );
    }
    for (row, (label, _)) in rows.iter().enumerate() {
        text(&mut picture, 16, HEAD + ROW * row as u32 + 13, label);
    }
    picture + "</svg>\n"
}

pub(super) fn text(picture: &mut String, x: u32, y: u32, text: &str) {
    let _ = writeln!(picture, "<text x=\"{x}\" y=\"{y}\">{text}</text>");
}
