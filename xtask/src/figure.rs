// SPDX-License-Identifier: MIT OR Apache-2.0
//! The picture that the literature draws of the spectrum: a row for each environment, a cell for each group
//! of services, coloured by how it is provided, with what there is to say of it.

use std::fmt::Write;
use std::iter;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::env::Env;
use crate::grid::Level;
use crate::image::build;
use crate::project::Project;

/// The environments, from what leaves the guest most often to what leaves it least, after the order in which
/// they are told of in Xen's documents; and what those call them.
const ORDER: [(Env, &str); 11] = [
    (Env::Fv, "full virtualization"),
    (Env::Hvm, "HVM"),
    (Env::HvmPvDrivers, "HVM with PV drivers"),
    (Env::Kvm, "KVM with virtio"),
    (Env::QemuXen, "PVHVM without Xen"),
    (Env::Pvhvm, "PVHVM"),
    (Env::Pvh, "PVH"),
    (Env::PvShim, "PV in a PVH container"),
    (Env::Pv, "PV"),
    (Env::Dom0Pvh, "PVH dom0"),
    (Env::Dom0Pv, "PV dom0"),
];

/// What the cells tell of, in two lines, and how wide they are.
const GROUPS: [([&str; 2], u32); 4] = [
    (["Disk", "and network"], 190),
    (["Interrupts", "and timers"], 226),
    (["Emulated platform,", "boot"], 130),
    (["Privileged instructions,", "page tables"], 170),
];

/// How wide the names at the left are, and the whole.
const NAMES: u32 = 150;
const WIDTH: u32 = NAMES + 190 + 226 + 130 + 170;
/// Where the first row begins, how high each is, and how far its lines are apart.
const HEAD: u32 = 76;
const ROW: u32 = 69;
const LINE: u32 = 15;
/// How many lines a row has room for.
const LINES: usize = 4;
/// How wide a letter is, about, and space between cells.
const LETTER: u32 = 6;
const GAP: u32 = 3;

/// What the three kinds are called in the legend.
const LEGEND: [(Level, &str); 3] = [
    (Level::Software, "S: emulated in software"),
    (Level::Hardware, "H: virtualized by the hardware"),
    (Level::Paravirtualized, "P: paravirtualized"),
];

/// What is said of an environment.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which one.
    pub env: Env,
    /// What is said below its name.
    pub note: String,
    /// What is said of each group of services.
    pub cells: [Cell; 4],
}

/// What is said of a group of services.
#[derive(Clone, Debug)]
pub struct Cell {
    /// How it is provided.
    pub level: Level,
    /// Up to four lines. What does not fit in one goes on in the next.
    pub lines: Vec<String>,
}

/// The picture.
pub fn svg(title: &str, note: &str, mut rows: Vec<Row>) -> String {
    rows.sort_by_key(|row| ORDER.iter().position(|(env, _)| *env == row.env));
    let height = HEAD + ROW * rows.len() as u32 + 34;
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n{STYLE}"
    );
    text(&mut picture, [8, 20], "around title", title);
    let mut x = 2;
    for (lines, width) in iter::once((["Environment,", note], NAMES - 2)).chain(GROUPS) {
        text(&mut picture, [x + 6, 48], "around head", lines[0]);
        text(&mut picture, [x + 6, 48 + LINE], "around head", lines[1]);
        x += width;
    }
    for (row, y) in rows.iter().zip((HEAD..).step_by(ROW as usize)) {
        draw(&mut picture, row, y);
    }
    let y = height - 26;
    for ((level, words), x) in LEGEND.into_iter().zip([8, 190, 410]) {
        rect(&mut picture, [x, y, 16, 16], level);
        text(&mut picture, [x + 22, y + 12], "around", words);
    }
    picture + "</svg>\n"
}

/// The page and the text beside the cells are as light or as dark as the reader's; the text in them is always
/// dark.
const STYLE: &str = "<style>\n\
    .page { fill: #ffffff } .around { fill: #1f2328 }\n\
    .title { font-size: 15px; font-weight: bold } .head, .name { font-weight: bold }\n\
    @media (prefers-color-scheme: dark) { .page { fill: #0d1117 } .around { fill: #e6edf3 } }\n\
    </style>\n\
    <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n";

/// Draws a file with a picture as a PNG one, with the program of `xtask/png`.
///
/// # Errors
/// If the program cannot be built, there is no font to write with, or the file cannot be written.
pub fn draw_png(project: &Project, picture: &Path, bitmap: &Path) -> Result<()> {
    let program = build::build_png(project)?;
    let status = Command::new(program).args([picture, bitmap]).status().context("cannot run prism-png")?;
    ensure!(status.success(), "the picture could not be drawn as a PNG one");
    Ok(())
}

fn draw(picture: &mut String, row: &Row, y: u32) {
    let called = ORDER.iter().find(|(env, _)| *env == row.env).map_or("", |(_, called)| called);
    let names = [("around name", row.env.name()), ("around", called), ("around", row.note.as_str())];
    for ((class, words), y) in names.into_iter().zip((y + LINE..).step_by(LINE as usize)) {
        text(picture, [8, y], class, words);
    }
    let mut x = NAMES;
    for (cell, (_, width)) in row.cells.iter().zip(GROUPS) {
        rect(picture, [x, y, width - GAP, ROW - GAP], cell.level);
        let most = ((width - 30) / LETTER) as usize;
        let lines = cell.lines.iter().flat_map(|line| wrapped(line, most)).take(LINES);
        for (words, y) in lines.zip((y + LINE..).step_by(LINE as usize)) {
            text(picture, [x + 6, y], "", &words);
        }
        text(picture, [x + width - 18, y + LINE], "", &cell.level.letter().to_string());
        x += width;
    }
}

/// A text in lines of so many characters at most, unless one word has more.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= most => *line = format!("{line} {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A cell, with its colour: from what is worst to what is best.
fn rect(picture: &mut String, [x, y, width, height]: [u32; 4], level: Level) {
    let color = match level {
        Level::Software => "#f0a79b",
        Level::Hardware => "#f3dc8f",
        Level::Paravirtualized => "#a3d4a0",
        Level::Absent => "#cccccc",
    };
    let _ = writeln!(
        picture,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{color}\"/>"
    );
}

fn text(picture: &mut String, [x, y]: [u32; 2], class: &str, words: &str) {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(picture, "<text x=\"{x}\" y=\"{y}\"{class}>{words}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_spectrum_whatever_order_they_come_in() {
        let row = |env: Env| Row {
            env,
            note: String::new(),
            cells: env.grid().0.map(|level| Cell { level, lines: vec!["a < b".to_owned()] }),
        };
        let picture = svg("title", "note", vec![row(Env::Pv), row(Env::Fv)]);
        assert!(picture.find("full virtualization").unwrap() < picture.find(">PV<").unwrap());
        assert_eq!(picture.matches(">a &lt; b<").count(), 8);
        // All cells of one of them, and the legend's.
        assert_eq!(picture.matches("#f0a79b").count(), 5);
        assert_eq!(picture.matches("#a3d4a0").count(), 5);
    }

    #[test]
    fn what_does_not_fit_goes_on_in_the_next_line() {
        assert_eq!(
            wrapped("event channels by callback vector", 16),
            ["event channels", "by callback", "vector"]
        );
        assert_eq!(wrapped("", 16), [""; 0]);
    }
}
