// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the time of a run goes: to its parts, and to its dearest tests.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

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
    tests: Vec<(Duration, String)>,
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

    /// A line for each part, by the clock on the wall, and one for each of the dearest tests.
    pub(super) fn report(mut self) -> Vec<String> {
        let ends = self.phases.iter().skip(1).map(|phase| phase.begun).chain([Instant::now()]);
        let phases = self.phases.iter().zip(ends).filter(|(phase, _)| phase.tests > 0);
        let mut lines: Vec<String> = phases
            .map(|(phase, end)| line("time", end - phase.begun, &format!("{}: {}", phase.name, phase.tests)))
            .collect();
        self.tests.sort_by_key(|(took, _)| Reverse(*took));
        lines.extend(self.tests.iter().take(DEAREST).map(|(took, name)| line("dear", *took, name)));
        lines
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

    #[test]
    fn parts_of_a_run_and_its_dearest_tests_are_told() {
        let mut times = Times::new();
        times.begin("nothing");
        times.begin("guests");
        for took in 0..30 {
            times.add(&format!("t{took}"), Duration::from_millis(took * 1000 + 300));
        }
        let lines = times.report();
        assert_eq!(lines.len(), 1 + DEAREST);
        assert!(lines[0].starts_with("time") && lines[0].ends_with("guests: 30"));
        assert_eq!(lines[1], "dear       29.3 s t29");
    }
}
