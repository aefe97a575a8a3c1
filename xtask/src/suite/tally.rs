// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counting tests, and what a person sees of them.

use std::time::Duration;

use super::times::{Times, seconds};
use crate::guest::schedule::Working;
use crate::guest::spent::Spent;
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
    again: Vec<String>,
    times: Times,
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
            again: Vec::new(),
            times: Times::new(),
            style: Style::of_stdout(),
        }
    }

    /// From now on, tests and time belong to this part of the run.
    pub fn begin(&mut self, phase: &'static str) {
        self.times.begin(phase);
    }

    /// A test passed in so much time; `count` is more than 1 if it stands for several.
    pub fn pass(&mut self, name: &str, count: usize, took: Duration) {
        let remark = if count == 1 { String::new() } else { format!(" ({count} tests)") };
        self.pass_with(name, count, took, &remark);
    }

    /// A test passed when it was run again, and why that was needed.
    pub fn pass_again(&mut self, name: &str, why: &str, took: Duration) {
        let remark = format!(" (run again: {why})");
        self.tell_again(&format!("{name}{remark}"));
        self.pass_with(name, 1, took, &remark);
    }

    /// Something took more than one try.
    pub fn tell_again(&mut self, what: &str) {
        self.again.push(what.to_owned());
    }

    /// A test of this kind took so long.
    pub fn add_kind(&mut self, kind: &'static str, took: Duration) {
        self.times.add_kind(kind, took);
    }

    /// Something that is no test took so long, within a part of the run or beside it.
    pub fn beside(&mut self, what: &'static str, took: Duration) {
        self.times.add_kind(what, took);
    }

    fn pass_with(&mut self, name: &str, count: usize, took: Duration, remark: &str) {
        self.passed += count;
        self.times.add(name, took);
        let verdict = self.style.verdict(Verdict::Success, "ok     ");
        println!("{verdict} {name}{remark} {}", self.style.faint(&seconds(took)));
    }

    /// A guest's time went to this.
    pub fn spend(&mut self, name: &str, spent: Spent) {
        self.times.spend(name, spent);
    }

    /// Those who ran the guests were so busy.
    pub fn work(&mut self, workers: Vec<Working>) {
        self.times.work(workers);
    }

    /// A test failed in so much time, and why.
    pub fn fail(&mut self, name: &str, reason: &str, took: Duration) {
        self.failed.push(name.to_owned());
        self.times.add(name, took);
        println!("{} {name} {}", self.style.bad("FAILED "), self.style.faint(&seconds(took)));
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
        self.times.report().iter().for_each(|line| println!("{line}"));
        self.skipped.iter().for_each(|line| println!("skipped {line}"));
        self.left_out.iter().for_each(|line| println!("not run {line}"));
        self.again.iter().for_each(|line| println!("again   {line}"));
        self.failed.iter().for_each(|name| println!("{} {name}", self.style.bad("failed ")));
        println!("{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped.len());
        if self.failed.is_empty() { 0 } else { FAILED }
    }
}
