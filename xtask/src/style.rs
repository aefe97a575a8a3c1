// SPDX-License-Identifier: MIT OR Apache-2.0
//! Colours, on terminals only.

use std::env;
use std::io::{IsTerminal, stdout};

use crate::grid::Level;
use crate::verdict::Verdict;

/// Whether output is coloured.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    colours: bool,
}

impl Style {
    /// Colours if standard output is a terminal and `NO_COLOR` is not set.
    pub fn of_stdout() -> Self {
        Self { colours: stdout().is_terminal() && env::var_os("NO_COLOR").is_none() }
    }

    /// No colours.
    pub const fn plain() -> Self {
        Self { colours: false }
    }

    /// A heading.
    pub fn heading(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Text of lesser importance.
    pub fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// What went wrong.
    pub fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// The colour of a level, around any text about it.
    pub fn level(self, level: Level, text: &str) -> String {
        match level {
            Level::Software => self.paint("33", text),
            Level::Hardware => self.paint("36", text),
            Level::Paravirtualized => self.paint("32", text),
            Level::Absent => self.faint(text),
        }
    }

    /// The colour of a verdict, around any text about it.
    pub fn verdict(self, verdict: Verdict, text: &str) -> String {
        match verdict {
            Verdict::Success => self.paint("1;32", text),
            Verdict::Skip => self.paint("33", text),
            Verdict::Error | Verdict::Failure | Verdict::Crash => self.bad(text),
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
