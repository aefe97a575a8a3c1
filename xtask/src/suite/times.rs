// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the time of a run goes: to its parts, and to its dearest tests.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::guest::schedule::Working;
use crate::guest::spent::Spent;

/// Tests that the report names.
const DEAREST: usize = 20;

/// A part of the run.
#[derive(Debug)]
struct Phase {
    name: &'static str,
    begun: Instant,
    tests: usize,
}

/// What has taken time so far.
#[derive(Debug, Default)]
pub(super) struct Times {
    phases: Vec<Phase>,
    /// Kinds of work, in the order in which they were first met.
    kinds: Vec<(&'static str, Duration, usize)>,
    tests: Vec<(Duration, String)>,
    boots: usize,
    spent: Spent,
    spent_by: HashMap<String, Spent>,
    workers: Vec<Working>,
}

impl Times {
    /// Nothing has begun.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A part of the run begins, and the one before it ends.
    pub(super) fn begin(&mut self, name: &'static str) {
        self.phases.push(Phase { name, begun: Instant::now(), tests: 0 });
    }

    /// A test of this part took so long; several may have run at a time.
    pub(super) fn add(&mut self, name: &str, took: Duration) {
        if let Some(phase) = self.phases.last_mut() {
            phase.tests += 1;
        }
        self.tests.push((took, name.to_owned()));
    }

    /// Work of this kind took so long; it is told in sum, beside the parts.
    pub(super) fn add_kind(&mut self, kind: &'static str, took: Duration) {
        if let Some(known) = self.kinds.iter_mut().find(|known| known.0 == kind) {
            known.1 += took;
            known.2 += 1;
        } else {
            self.kinds.push((kind, took, 1));
        }
    }

    /// A guest has run, and its time went to this.
    pub(super) fn spend(&mut self, name: &str, spent: Spent) {
        self.boots += 1;
        self.spent += spent;
        self.spent_by.insert(name.to_owned(), spent);
    }

    /// Those who ran the guests were so busy.
    pub(super) fn work(&mut self, workers: Vec<Working>) {
        self.workers = workers;
    }

    /// A line for each part, by the clock on the wall, and one for each of the dearest tests.
    pub(super) fn report(mut self) -> Vec<String> {
        let ends = self.phases.iter().skip(1).map(|phase| phase.begun).chain([Instant::now()]);
        let phases = self.phases.iter().zip(ends).filter(|(phase, _)| phase.tests > 0);
        let mut lines: Vec<String> = phases
            .map(|(phase, end)| line("time", end - phase.begun, &format!("{}: {}", phase.name, phase.tests)))
            .collect();
        lines.extend(
            self.kinds.iter().map(|(kind, took, count)| line("sum", *took, &format!("{kind}: {count}"))),
        );
        self.tests.sort_by_key(|(took, _)| Reverse(*took));
        if self.boots > 0 {
            lines.push(format!("{:7} {:>9} boots: {}", "spent", self.boots, self.spent));
        }
        for (number, worker) in self.workers.iter().enumerate() {
            let idle = seconds(worker.idle);
            lines.push(line("busy", worker.busy, &format!("worker {}, then idle for {idle}", number + 1)));
        }
        let dearest = self.tests.iter().take(DEAREST);
        lines.extend(dearest.map(|(took, name)| line("dear", *took, &self.with_parts(name))));
        lines
    }

    /// The name of a test, and what its time went to if it is a guest.
    fn with_parts(&self, name: &str) -> String {
        self.spent_by.get(name).map_or_else(|| name.to_owned(), |spent| format!("{name} ({spent})"))
    }
}

fn line(word: &str, took: Duration, text: &str) -> String {
    format!("{word:7} {:>9} {text}", seconds(took))
}

/// A time as people read it.
pub(super) fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::spent::Part;

    #[test]
    fn parts_of_a_run_and_its_dearest_tests_are_told() {
        let mut times = Times::new();
        times.begin("nothing");
        times.begin("guests");
        for took in 0..30 {
            times.add(&format!("t{took}"), Duration::from_millis(took * 1000 + 300));
        }
        times.add_kind("lints", Duration::from_secs(2));
        times.add_kind("lints", Duration::from_secs(3));
        let mut spent = Spent::default();
        spent.add(Part::Create, Duration::from_secs(3));
        times.spend("t29", spent);
        times.work(vec![Working { busy: Duration::from_secs(9), idle: Duration::from_secs(1) }]);
        let lines = times.report();
        assert_eq!(lines.len(), 4 + DEAREST);
        assert!(lines[0].starts_with("time") && lines[0].ends_with("guests: 30"));
        assert_eq!(lines[1], "sum         5.0 s lints: 2");
        assert_eq!(lines[2], "spent           1 boots: create 3.0");
        assert_eq!(lines[3], "busy        9.0 s worker 1, then idle for 1.0 s");
        assert_eq!(lines[4], "dear       29.3 s t29 (create 3.0)");
    }
}
