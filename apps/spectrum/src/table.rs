// SPDX-License-Identifier: MIT OR Apache-2.0
//! What came of each primitive, as a table on the console.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// What came of a primitive.
pub(crate) struct Row {
    /// Its name.
    pub(crate) name: &'static str,
    /// What was measured, or why nothing was.
    pub(crate) measured: Result<Measured, String>,
}

/// What was measured.
pub(crate) struct Measured {
    /// How often it was done in a round.
    pub(crate) times: u64,
    /// Nanoseconds that each took, by round.
    pub(crate) each: Vec<u64>,
}

/// The rows, for people and programs alike.
pub(crate) struct Table<'a>(pub(crate) &'a [Row]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| {:<31} | {:>6} | {:>12} | {:>12} | {:>12} |",
            "primitive", "times", "ns", "least", "most"
        )?;
        for Row { name, measured } in self.0 {
            write!(f, "| {name:<31} | ")?;
            match measured {
                Ok(Measured { times, each }) => {
                    let mut sorted = each.clone();
                    sorted.sort_unstable();
                    let at = |place: usize| sorted.get(place).copied().unwrap_or_default();
                    let [median, most] = [at(sorted.len() / 2), sorted.last().copied().unwrap_or_default()];
                    writeln!(f, "{times:>6} | {median:>12} | {:>12} | {most:>12} |", at(0))?;
                }
                Err(reason) => writeln!(f, "{:>6} | {reason} |", "-")?,
            }
        }
        Ok(())
    }
}
