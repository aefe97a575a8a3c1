// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counting tests, and what a person sees of them.

use crate::style::Style;
use crate::verdict::Verdict;

/// Exit status if a test failed.
const FAILED: u8 = 1;

/// The results so far.
#[derive(Debug)]
pub struct Tally {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
    left_out: Vec<String>,
    style: Style,
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

impl Tally {
    /// No results yet.
    pub fn new() -> Self {
        Self {
            passed: 0,
            failed: Vec::new(),
            skipped: Vec::new(),
            left_out: Vec::new(),
            style: Style::of_stdout(),
        }
    }

    /// A test passed; `count` is more than 1 if it stands for several.
    pub fn pass(&mut self, name: &str, count: usize) {
        let remark = if count == 1 { String::new() } else { format!(" ({count} tests)") };
        self.pass_with(name, count, &remark);
    }

    /// A test passed when it was run again, as the lab's emulated processor had failed it so often.
    pub fn pass_again(&mut self, name: &str, lab_faults: u32) {
        self.pass_with(name, 1, &format!(" (run {lab_faults} times more: the emulated processor failed)"));
    }

    fn pass_with(&mut self, name: &str, count: usize, remark: &str) {
        self.passed += count;
        println!("{} {name}{remark}", self.style.verdict(Verdict::Success, "ok     "));
    }

    /// A test failed, and why.
    pub fn fail(&mut self, name: &str, reason: &str) {
        self.failed.push(name.to_owned());
        println!("{} {name}", self.style.bad("FAILED "));
        reason.trim_end().lines().for_each(|line| println!("        {line}"));
    }

    /// A test was not run, and why.
    pub fn skip(&mut self, name: &str, reason: &str) {
        self.skipped.push(format!("{name}: {reason}"));
        println!("{} {name}: {reason}", self.style.verdict(Verdict::Skip, "skipped"));
    }

    /// So many tests do not belong to what is run, and why.
    pub fn leave_out(&mut self, count: usize, why: &str) {
        self.left_out.push(format!("{count} tests {why}"));
    }

    /// Prints the end of the report, and gives the exit status.
    pub fn finish(self) -> u8 {
        println!();
        self.skipped.iter().for_each(|line| println!("skipped {line}"));
        self.left_out.iter().for_each(|line| println!("not run {line}"));
        self.failed.iter().for_each(|name| println!("{} {name}", self.style.bad("failed ")));
        println!("{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped.len());
        if self.failed.is_empty() { 0 } else { FAILED }
    }
}
