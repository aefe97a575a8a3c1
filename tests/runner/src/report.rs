// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a person sees of guests: each one's console as it ends, and a table at the end.

use crate::grid;
use crate::guest::{Job, Outcome};
use crate::image::Image;
use crate::image::symbols::Symbols;
use crate::lab::snapshot::tail;
use crate::verdict::Verdict;

/// Lines of the hypervisor's console that are shown for a crash.
const MACHINE_LINES: usize = 60;

/// Collects outcomes and prints them.
#[derive(Debug)]
pub struct Report {
    judged_by_grid: bool,
    symbols: Symbols,
    lines: Vec<String>,
    worst: Verdict,
}

impl Report {
    /// A report on guests of one image; `judged_by_grid` = the right verdict is not enough.
    pub fn new(image: &Image, judged_by_grid: bool) -> Self {
        let symbols = image.debug.as_deref().and_then(|file| Symbols::of_file(file).ok());
        Self { judged_by_grid, symbols: symbols.unwrap_or_default(), lines: Vec::new(), worst: Verdict::Success }
    }

    /// Prints an outcome.
    pub fn add(&mut self, job: &Job, outcome: Outcome) {
        println!("\n== {} ==", job.env.name());
        print!("{}", outcome.console);
        let mut verdict = outcome.verdict;
        if verdict == Verdict::Crash {
            self.explain(&outcome);
        }
        let mut letters = String::new();
        if let Some(rows) = grid::parse(&outcome.console) {
            let found = grid::levels(&rows);
            letters = found.to_string();
            if self.judged_by_grid && found != job.env.grid() {
                println!("the grid is {found}, but should be {}", job.env.grid());
                verdict = verdict.max(Verdict::Failure);
            }
        } else if self.judged_by_grid && verdict == Verdict::Success {
            verdict = Verdict::Failure;
        }
        self.lines.push(format!("{:10} {letters:8} {verdict:8} {}", job.env.name(), outcome.reason()));
        self.worst = self.worst.max(verdict);
    }

    fn explain(&self, outcome: &Outcome) {
        println!("-- {} --", outcome.reason());
        println!("{}", tail(&outcome.machine, MACHINE_LINES));
        for line in self.symbols.explain(&outcome.machine) {
            println!("   {line}");
        }
    }

    /// Prints the table and gives the worst verdict.
    pub fn finish(self) -> Verdict {
        println!();
        self.lines.iter().for_each(|line| println!("{line}"));
        self.worst
    }
}
