// SPDX-License-Identifier: MIT OR Apache-2.0
//! The spectrum's grid: what the `spectrum` app prints, read back from its console.

use std::fmt;

/// How one group of services is provided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Emulated in software.
    Software,
    /// Virtualized by the hardware.
    Hardware,
    /// Paravirtualized.
    Paravirtualized,
    /// Not there at all.
    Absent,
}

impl Level {
    /// The letter that stands for the level in tables.
    pub const fn letter(self) -> char {
        match self {
            Self::Software => 'S',
            Self::Hardware => 'H',
            Self::Paravirtualized => 'P',
            Self::Absent => '-',
        }
    }

    fn by_letter(word: &str) -> Option<Self> {
        match word {
            "S" => Some(Self::Software),
            "H" => Some(Self::Hardware),
            "P" => Some(Self::Paravirtualized),
            "-" => Some(Self::Absent),
            _ => None,
        }
    }
}

/// The labels of the four rows, in order.
pub const ROWS: [&str; 4] =
    ["disk, network", "interrupts, timers", "platform, boot", "privileged, page tables"];

/// The levels of the four rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid(pub [Level; 4]);

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters: Vec<String> = self.0.iter().map(|level| level.letter().to_string()).collect();
        f.pad(&letters.join(" "))
    }
}

/// One row as printed: its level and the mechanism behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The row's level.
    pub level: Level,
    /// By which mechanism, in the guest's words.
    pub mechanism: String,
}

/// The grid found on a console, or `None` if any of its four rows is missing.
pub fn parse(console: &str) -> Option<[Row; 4]> {
    let after = console.lines().skip_while(|line| !line.contains("Spectrum:"));
    let lines: Vec<&str> = after.collect();
    let rows: Option<Vec<Row>> =
        ROWS.iter().map(|label| lines.iter().find_map(|line| row(line, label))).collect();
    rows?.try_into().ok()
}

fn row(line: &str, label: &str) -> Option<Row> {
    let rest = line.trim().strip_prefix(label)?.trim_start();
    let (letter, mechanism) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    Some(Row { level: Level::by_letter(letter)?, mechanism: mechanism.trim().to_owned() })
}

/// The grid that the kernel's boot report tells, as a line that ends with `spectrum: P P S H`.
pub fn reported(console: &str) -> Option<Grid> {
    let letters = console.lines().find_map(|line| line.split_once(": spectrum: "))?.1;
    let levels: Option<Vec<Level>> = letters.split_whitespace().map(Level::by_letter).collect();
    levels?.try_into().ok().map(Grid)
}

/// The levels of four rows.
pub fn levels(rows: &[Row; 4]) -> Grid {
    Grid(rows.each_ref().map(|row| row.level))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "Environment: PVH\r\nSpectrum:\r
  disk, network                P  xenbus (blkfront, netfront)\r
  interrupts, timers           P  event channels by callback vector; single-shot VCPUOP timer\r
  platform, boot               P  none; PVH entry\r
  privileged, page tables      H  hardware (SVM), nested paging\r
Test result: SUCCESS\r\n";

    #[test]
    fn a_printed_grid_is_read_back() {
        let rows = parse(CONSOLE).unwrap();
        assert_eq!(levels(&rows).to_string(), "P P P H");
        assert_eq!(rows[2].mechanism, "none; PVH entry");
    }

    #[test]
    fn the_boot_report_tells_the_grid_in_a_line() {
        let console = "prism::boot: PVH on Xen\r\nprism::boot: spectrum: - P P H\r\n";
        assert_eq!(reported(console).unwrap().to_string(), "- P P H");
        assert_eq!(reported("prism::boot: spectrum: P P P\n"), None);
        assert_eq!(reported(CONSOLE), None);
    }

    #[test]
    fn an_absent_row_level_is_a_dash() {
        let console = CONSOLE.replace("P  xenbus (blkfront, netfront)", "-  nothing found");
        assert_eq!(levels(&parse(&console).unwrap()).to_string(), "- P P H");
    }

    #[test]
    fn a_grid_with_a_missing_row_is_no_grid() {
        assert_eq!(parse(&CONSOLE.replace("platform, boot", "platform")), None);
    }

    #[test]
    fn rows_before_the_heading_do_not_count() {
        assert_eq!(parse(&CONSOLE.replace("Spectrum:", "")), None);
    }
}
