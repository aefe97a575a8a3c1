// SPDX-License-Identifier: MIT OR Apache-2.0
//! The costs as a picture: a bar for each, ten times as much being a step further.

use std::fmt::Write;

use super::{COLUMNS, Row, counter};
use crate::bench::chart::text;

/// The columns that are shown: a boot's scale is another.
const SHOWN: [usize; 4] = [1, 2, 3, 4];
/// Height of a row, and of what is above the first.
const ROW: u32 = 26;
const HEAD: u32 = 64;
/// Where the first column of bars begins, how far apart they are, and how long a bar can be.
const LEFT: u32 = 250;
const COLUMN: u32 = 200;
const LONGEST: f64 = 130.0;
/// What is too small to be seen.
const LEAST: f64 = 0.1;

/// The picture.
pub(super) fn svg(rows: &[Row]) -> String {
    let (width, height) = (LEFT + COLUMN * SHOWN.len() as u32, HEAD + ROW * rows.len() as u32 + 16);
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"16\" y=\"24\" font-size=\"16\">What each costs, on a logarithmic scale</text>\n"
    );
    let costs = || rows.iter().flat_map(|row| SHOWN.map(|column| row.cost(column))).flatten();
    let most = costs().fold(1.0, f64::max);
    for (index, column) in SHOWN.into_iter().enumerate() {
        let x = LEFT + COLUMN * index as u32;
        text(&mut picture, x, HEAD - 14, COLUMNS[column]);
        for (row, y) in rows.iter().zip((HEAD..).step_by(ROW as usize)) {
            let Some(cost) = row.cost(column) else {
                text(&mut picture, x, y + 13, "-");
                continue;
            };
            let end = (cost.max(LEAST) / LEAST).log10() / (most / LEAST).log10() * LONGEST;
            let _ = writeln!(
                picture,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{end:.1}\" height=\"16\" fill=\"#2a7f62\"/>"
            );
            text(&mut picture, x + end as u32 + 4, y + 13, &format!("{cost:.1}"));
        }
    }
    for (row, y) in rows.iter().zip((HEAD..).step_by(ROW as usize)) {
        text(&mut picture, 16, y + 13, &format!("{}: {}", row.env.name(), counter::unit(row.env)));
    }
    picture + "</svg>\n"
}
