// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table: a row for each primitive, a column for each environment.

use std::collections::BTreeMap;

use super::rounds::Round;
use crate::bench::ratio::median;
use crate::env::Env;

/// What came of a primitive in a round.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// It was done: entries for each, and what trapped beside them.
    Counted {
        /// Entries.
        entries: f64,
        /// Traps of a PV domain.
        traps: f64,
        /// Both by name.
        kinds: BTreeMap<String, f64>,
    },
    /// It was not, or cannot be counted: why.
    Not(String),
}

impl Cell {
    /// Of a round in which it was done so often.
    pub(super) fn of_round(round: &Round, times: u64) -> Self {
        let each = |count: u64| count as f64 / times.max(1) as f64;
        Self::Counted {
            entries: each(round.entries),
            traps: each(round.traps),
            kinds: round.kinds.iter().map(|(name, count)| (name.clone(), each(*count))).collect(),
        }
    }
}

/// An environment.
pub(super) struct Column {
    env: Env,
    /// What is counted.
    unit: &'static str,
    /// Each primitive's name, and what came of it in each round.
    cells: Vec<(String, Vec<Cell>)>,
}

impl Column {
    /// One in which nothing was done yet.
    pub(super) fn new(env: Env, unit: &'static str) -> Self {
        Self { env, unit, cells: Vec::new() }
    }

    /// Adds a round.
    pub(super) fn add(&mut self, round: Vec<(String, Cell)>) {
        for (name, cell) in round {
            match self.cells.iter_mut().find(|(other, _)| *other == name) {
                Some((_, cells)) => cells.push(cell),
                None => self.cells.push((name, vec![cell])),
            }
        }
    }

    /// What the entries of its first round were, by name.
    pub(super) fn details(&self) -> String {
        let lines = self.cells.iter().filter_map(|(name, cells)| {
            let Some(Cell::Counted { kinds, .. }) = cells.first() else { return None };
            let kinds: Vec<String> = kinds
                .iter()
                .filter(|(_, each)| **each >= LEAST)
                .map(|(kind, each)| format!("{each:.2} {kind}"))
                .collect();
            Some(format!("{}, {name}: {}", self.env.name(), kinds.join(", ")))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The median of a primitive, and how far the rounds were apart; or why there is none.
    fn cell(&self, primitive: &str) -> Result<String, String> {
        let cells = self.cells.iter().find(|(name, _)| name == primitive).map(|(_, cells)| cells.as_slice());
        let cells = cells.unwrap_or_default();
        let values = |value: fn(&Cell) -> Option<f64>| cells.iter().filter_map(value).collect::<Vec<f64>>();
        let entries = values(|cell| match cell {
            Cell::Counted { entries, .. } => Some(*entries),
            Cell::Not(_) => None,
        });
        let traps = values(|cell| match cell {
            Cell::Counted { traps, .. } => Some(*traps),
            Cell::Not(_) => None,
        });
        if entries.is_empty() {
            let reason = cells.iter().find_map(|cell| match cell {
                Cell::Not(reason) => Some(reason.clone()),
                Cell::Counted { .. } => None,
            });
            return Err(reason.unwrap_or_else(|| "not counted".to_owned()));
        }
        let [least, most] =
            [f64::min, f64::max].map(|of| entries.iter().copied().reduce(of).unwrap_or_default());
        let mut text = format!("{:.2}", median(entries));
        if most - least >= LEAST {
            text.push_str(&format!(" ({least:.2} to {most:.2})"));
        }
        let traps = median(traps);
        if traps >= LEAST {
            text.push_str(&format!(" + {traps:.2} traps"));
        }
        Ok(text)
    }
}

/// What is less is not told: the table's numbers have two digits.
const LEAST: f64 = 0.01;

/// The table, and below it why cells are empty.
pub(super) fn table(columns: &[Column]) -> String {
    let joined = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let with = |first: &str, cell: &mut dyn FnMut(&Column) -> String| {
        joined([first.to_owned()].into_iter().chain(columns.iter().map(cell)).collect())
    };
    let mut lines = vec![
        with("primitive", &mut |column| column.env.name().to_owned()),
        format!("|---|{}", "---:|".repeat(columns.len())),
        with("counted", &mut |column| column.unit.to_owned()),
    ];
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in columns.iter().flat_map(|column| &column.cells) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let mut reasons: Vec<String> = Vec::new();
    for name in names {
        lines.push(with(name, &mut |column| {
            column.cell(name).unwrap_or_else(|reason| {
                let known = reasons.iter().position(|other| *other == reason);
                let place = known.unwrap_or_else(|| {
                    reasons.push(reason);
                    reasons.len() - 1
                });
                letter(place)
            })
        }));
    }
    let mut text = lines.join("\n") + "\n\n";
    for (place, reason) in reasons.iter().enumerate() {
        text.push_str(&format!("- {}: {reason}\n", letter(place)));
    }
    let rounds = columns.iter().flat_map(|column| column.cells.iter().map(|(_, cells)| cells.len())).max();
    let before = if reasons.is_empty() { "" } else { "\n" };
    text.push_str(&format!(
        "{before}Runs of each, of which these are the medians: {}. Where they differ, the least and the most are in \
         brackets.\n",
        rounds.unwrap_or_default()
    ));
    text
}

fn letter(place: usize) -> String {
    char::from(b'a' + (place % 26) as u8).to_string()
}

/// The primitives of a guest's own table: names, and how often each was done, or why it was not.
pub(super) fn of_console(console: &str) -> Vec<(String, Result<u64, String>)> {
    let rows = console.lines().filter_map(|line| line.trim().strip_prefix("| ")?.strip_suffix(" |"));
    let rows = rows.filter_map(|row| {
        let words: Vec<&str> = row.split(" | ").map(str::trim).collect();
        match words.as_slice() {
            ["primitive", ..] => None,
            [name, "-", reason] => Some(((*name).to_owned(), Err((*reason).to_owned()))),
            [name, times, _, _, _] => Some(((*name).to_owned(), Ok(times.parse().ok()?))),
            _ => None,
        }
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(entries: f64, traps: f64) -> Cell {
        Cell::Counted { entries, traps, kinds: BTreeMap::from([("hlt".to_owned(), entries)]) }
    }

    #[test]
    fn a_guests_own_table_is_read() {
        let console = "boot\n| primitive | times | ns | least | most |\n\
                       | null hypercall   |    400 |    812 |    790 |   1011 |\r\n\
                       | event to self    |      - | Xen is not used here |\n| other |\n";
        let rows = of_console(console);
        assert_eq!(rows[0], ("null hypercall".to_owned(), Ok(400)));
        assert_eq!(rows[1], ("event to self".to_owned(), Err("Xen is not used here".to_owned())));
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn a_table_has_medians_their_spread_and_reasons() {
        let mut pv = Column::new(Env::Pv, "hypercalls");
        for entries in [2.0, 2.5, 2.1] {
            pv.add(vec![("a".to_owned(), counted(entries, 1.0)), ("b".to_owned(), counted(1.0, 0.0))]);
        }
        let mut kvm = Column::new(Env::Kvm, "exits");
        kvm.add(vec![("a".to_owned(), Cell::Not("no Xen".to_owned())), ("c".to_owned(), counted(0.0, 0.0))]);
        let table = table(&[pv, kvm]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "| primitive | pv | kvm |");
        assert_eq!(lines[2], "| counted | hypercalls | exits |");
        assert_eq!(lines[3], "| a | 2.10 (2.00 to 2.50) + 1.00 traps | a |");
        assert_eq!(lines[4], "| b | 1.00 | b |");
        assert_eq!(lines[5], "| c | b | 0.00 |");
        assert!(table.contains("\n- a: no Xen\n- b: not counted\n\nRuns of each"), "{table}");
    }

    #[test]
    fn kinds_of_entries_are_told_by_name() {
        let mut column = Column::new(Env::Kvm, "exits");
        column.add(vec![("read".to_owned(), counted(3.0, 0.0)), ("no".to_owned(), Cell::Not(String::new()))]);
        assert_eq!(column.details(), "kvm, read: 3.00 hlt");
    }
}
