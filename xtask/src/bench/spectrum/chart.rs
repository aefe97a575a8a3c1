// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table as the picture that the literature draws of the spectrum: a row for each environment, a cell for
//! each group of services, coloured by how it is provided, with what it is provided by and what that costs.

use std::fmt::Write;
use std::iter;

use anyhow::{Context, Result};

use super::COLUMNS;
use crate::env::Env;
use crate::grid::Level;

/// The environments, from what leaves the guest most often to what leaves it least, after the order in which
/// they are told of in Xen's documents; and what those call them.
const ROWS: [(Env, &str); 9] = [
    (Env::Fv, "full virtualization"),
    (Env::Hvm, "HVM"),
    (Env::HvmPvDrivers, "HVM with PV drivers"),
    (Env::Kvm, "KVM with virtio"),
    (Env::QemuXen, "PVHVM without Xen"),
    (Env::Pvhvm, "PVHVM"),
    (Env::Pvh, "PVH"),
    (Env::PvShim, "PV in a PVH container"),
    (Env::Pv, "PV"),
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
const ROW: u32 = 54;
const LINE: u32 = 15;
/// Space between cells.
const GAP: u32 = 3;

/// What the three kinds are called in the legend.
const LEGEND: [(Level, &str); 3] = [
    (Level::Software, "S: emulated in software"),
    (Level::Hardware, "H: virtualized by the hardware"),
    (Level::Paravirtualized, "P: paravirtualized"),
];

/// A row of the table, as far as it is shown.
struct Row<'a> {
    env: Env,
    unit: &'a str,
    /// What each column has: the cost and the mechanism, or nothing.
    cells: [Option<(&'a str, &'a str)>; COLUMNS.len()],
}

/// The picture of a table.
///
/// # Errors
/// If it has not the form of those that [`table`](super::table) makes.
pub(super) fn svg(table: &str) -> Result<String> {
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|')).map(row);
    let mut rows = rows.collect::<Result<Vec<Row<'_>>>>()?;
    rows.sort_by_key(|row| ROWS.iter().position(|(env, _)| *env == row.env));
    let height = HEAD + ROW * rows.len() as u32 + 34;
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n{STYLE}"
    );
    text(&mut picture, [8, 20], "around title", "The paravirtualization spectrum, and what each cell costs");
    let mut x = 2;
    for (lines, width) in iter::once((["Environment,", "and what is counted"], NAMES - 2)).chain(GROUPS) {
        text(&mut picture, [x + 6, 48], "around head", lines[0]);
        text(&mut picture, [x + 6, 48 + LINE], "around head", lines[1]);
        x += width;
    }
    for (row, y) in rows.iter().zip((HEAD..).step_by(ROW as usize)) {
        draw(&mut picture, row, y);
    }
    let y = height - 26;
    for ((level, words), x) in LEGEND.into_iter().zip([8, 190, 410]) {
        cell(&mut picture, [x, y, 16, 16], level);
        text(&mut picture, [x + 22, y + 12], "around", words);
    }
    Ok(picture + "</svg>\n")
}

/// The page and the text beside the cells are as light or as dark as the reader's; the text in them is always
/// dark.
const STYLE: &str = "<style>\n\
    .page { fill: #ffffff } .around { fill: #1f2328 }\n\
    .title { font-size: 15px; font-weight: bold } .head, .name { font-weight: bold }\n\
    @media (prefers-color-scheme: dark) { .page { fill: #0d1117 } .around { fill: #e6edf3 } }\n\
    </style>\n\
    <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n";

fn draw(picture: &mut String, row: &Row<'_>, y: u32) {
    let called = ROWS.iter().find(|(env, _)| *env == row.env).map_or("", |(_, called)| called);
    for (line, (class, words)) in
        [("around name", row.env.name()), ("around", called), ("around", row.unit)].into_iter().enumerate()
    {
        text(picture, [8, y + LINE * (line as u32 + 1)], class, words);
    }
    let [boot, interrupt, timer, read, packet] = row.cells;
    let by = |cell: Option<(&str, &str)>| cell.map_or(String::new(), |(_, by)| by.to_owned());
    let interrupts = match interrupt.or(timer) {
        Some(_) => by(interrupt),
        None => "local APIC, not counted".to_owned(),
    };
    let each = |cell: Option<(&str, &str)>, what: &str| cell.map(|(cost, _)| format!("{cost} {what}"));
    let both = |one: Option<String>, other: Option<String>| {
        [one, other].into_iter().flatten().collect::<Vec<_>>().join(", ")
    };
    let levels = row.env.grid().0;
    let lines = [
        [by(read), by(packet), both(each(read, "a read"), each(packet, "a packet"))],
        [interrupts, by(timer), both(each(interrupt, "an interrupt"), each(timer, "a sleep"))],
        [format!("{} entry", by(boot)), String::new(), both(each(boot, "a boot"), None)],
        [privileged(row.env).to_owned(), String::new(), String::new()],
    ];
    let mut x = NAMES;
    for ((lines, level), (_, width)) in lines.into_iter().zip(levels).zip(GROUPS) {
        cell(picture, [x, y, width - GAP, ROW - GAP], level);
        let lines = lines.into_iter().filter(|line| !line.is_empty());
        for (line, words) in lines.enumerate() {
            text(picture, [x + 6, y + LINE * (line as u32 + 1)], "", &words);
        }
        text(picture, [x + width - 18, y + LINE], "", &level.letter().to_string());
        x += width;
    }
}

/// By what instructions are run and addresses translated that a guest is not to have for itself.
const fn privileged(env: Env) -> &'static str {
    match env.grid().0[3] {
        Level::Software => "translated by QEMU",
        Level::Paravirtualized => "hypercalls",
        Level::Hardware | Level::Absent => "nested paging",
    }
}

/// A cell, with its colour: from what is worst to what is best.
fn cell(picture: &mut String, [x, y, width, height]: [u32; 4], level: Level) {
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

/// A line of the table.
fn row(line: &str) -> Result<Row<'_>> {
    let words: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let parsed = || {
        let [name, unit, cells @ ..] = words.as_slice() else { return None };
        let cells: Vec<_> = cells.iter().map(|cell| cell.strip_suffix(')')?.split_once(" (")).collect();
        Some(Row { env: Env::by_name(name)?, unit, cells: cells.try_into().ok()? })
    };
    parsed().with_context(|| format!("this is no row of the table: {line}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::bench::page;
    use crate::project::Project;

    const TABLE: &str = "| environment | counted | boot | interrupt | timer | disk read | packet |\n|---|\n\
        | pv | hypercalls | 234 (PV) | 1.64 (upcall) | 2.01 (VCPUOP timer) | 2.04 (blkfront) | 2.00 (netfront) |\n\
        | fv | device accesses | 5896 (PVH) | - | - | 28.95 (IDE) | 4.98 (e1000) |\n\nRuns: 1.\n";

    #[test]
    fn a_cell_tells_its_level_its_mechanism_and_its_cost() {
        let picture = svg(TABLE).unwrap();
        let place = |words: &str| picture.find(words).unwrap_or_else(|| panic!("{words}: {picture}"));
        assert!(place("full virtualization") < place("hypercalls"));
        place(">2.04 a read, 2.00 a packet<");
        place(">5896 a boot<");
        place(">1.64 an interrupt, 2.01 a sleep<");
        // All cells of a row, and the legend's.
        assert_eq!(picture.matches("#f0a79b").count(), 5);
        assert_eq!(picture.matches("#a3d4a0").count(), 5);
    }

    #[test]
    fn the_documents_picture_is_that_of_their_table() {
        let project = Project::find().unwrap();
        let table = page::table_of(&project, "spectrum").unwrap();
        let drawn = fs::read_to_string(project.root().join("docs/spectrum.svg")).unwrap();
        assert!(drawn == svg(&table).unwrap(), "scripts/bench spectrum --draw draws it anew");
    }

    #[test]
    fn what_is_no_table_is_refused() {
        assert!(svg("a\nb\n| pv | hypercalls | 1 (PV) |\n").is_err());
        assert!(svg("a\nb\n| vmware | exits | - | - | - | - | - |\n").is_err());
    }
}
