// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table as a picture of the spectrum, with mechanisms and what they cost in its cells.

use anyhow::{Context, Result};

use super::COLUMNS;
use crate::env::Env;
use crate::figure::{self, Cell};
use crate::grid::Level;

/// A row of the table.
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
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let rows = lines.map(|line| row(line).map(|row| shown(&row))).collect::<Result<Vec<figure::Row>>>()?;
    Ok(figure::svg("The paravirtualization spectrum, and what each cell costs", "and what is counted", rows))
}

/// What each column of an environment's row costs, by a table.
///
/// # Errors
/// If it has no such row.
pub(super) fn costs(table: &str, env: Env) -> Result<[Option<f64>; COLUMNS.len()]> {
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let found = lines.filter_map(|line| row(line).ok()).find(|row| row.env == env);
    let found = found.with_context(|| format!("the table has no row of {}", env.name()))?;
    Ok(found.cells.map(|cell| cell.and_then(|(cost, _)| cost.parse().ok())))
}

/// A row as it is shown.
fn shown(row: &Row<'_>) -> figure::Row {
    let [boot, interrupt, timer, read, packet] = row.cells;
    let by = |cell: Option<(&str, &str)>| cell.map(|(_, by)| by.to_owned());
    let each = |cell: Option<(&str, &str)>, what: &str| cell.map(|(cost, _)| format!("{cost} {what}"));
    let both = |costs: [Option<String>; 2]| Some(costs.into_iter().flatten().collect::<Vec<_>>().join(", "));
    let interrupts = match interrupt.or(timer) {
        Some(_) => by(interrupt),
        None => Some("local APIC, not counted".to_owned()),
    };
    let groups = [
        [by(read), by(packet), both([each(read, "a read"), each(packet, "a packet")])],
        [interrupts, by(timer), both([each(interrupt, "an interrupt"), each(timer, "a sleep")])],
        [by(boot).map(|by| format!("{by} entry")), each(boot, "a boot"), None],
        [Some(privileged(row.env).to_owned()), None, None],
    ];
    let mut levels = row.env.grid().0.into_iter();
    let cells = groups.map(|lines| Cell {
        level: levels.next().unwrap_or(Level::Absent),
        lines: lines.into_iter().flatten().collect(),
    });
    figure::Row { env: row.env, note: row.unit.to_owned(), cells }
}

/// By what instructions are run and addresses translated that a guest is not to have for itself.
const fn privileged(env: Env) -> &'static str {
    match env.grid().0[3] {
        Level::Software => "translated by QEMU",
        Level::Paravirtualized => "hypercalls",
        Level::Hardware | Level::Absent => "nested paging",
    }
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
    fn a_cell_tells_its_mechanism_and_its_cost() {
        let picture = svg(TABLE).unwrap();
        for words in [
            ">2.04 a read, 2.00 a packet<",
            ">5896 a boot<",
            ">1.64 an interrupt, 2.01 a sleep<",
            ">netfront<",
        ] {
            assert!(picture.contains(words), "{words}: {picture}");
        }
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
