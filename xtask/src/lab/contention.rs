// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a lab machine had the processors that it wanted.
//!
//! Linux counts for each thread how long it ran, and how long it could have run and waited for a processor
//! (`/proc/PID/task/TID/schedstat`, `Documentation/scheduler/sched-stats.rst`).

use std::fs;

/// Time of all threads of a process, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessorTime {
    ran: u64,
    waited: u64,
}

impl ProcessorTime {
    /// That of a process, of threads that have not ended; none at all if nobody counts it.
    pub fn of(process: u32) -> Self {
        let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return Self::default() };
        let files = threads.filter_map(|thread| Some(thread.ok()?.path().join("schedstat")));
        let times = files.filter_map(|file| Self::parse(&fs::read_to_string(file).ok()?));
        times.fold(Self::default(), |sum, one| Self {
            ran: sum.ran + one.ran,
            waited: sum.waited + one.waited,
        })
    }

    /// The time since it was `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self { ran: self.ran.saturating_sub(before.ran), waited: self.waited.saturating_sub(before.waited) }
    }

    /// The part of the time in which a processor was wanted that went by in vain, from 0 to 1.
    pub fn in_vain(self) -> f64 {
        let wanted = self.ran + self.waited;
        if wanted == 0 { 0.0 } else { self.waited as f64 / wanted as f64 }
    }

    fn parse(line: &str) -> Option<Self> {
        let mut numbers = line.split_whitespace().map(str::parse);
        Some(Self { ran: numbers.next()?.ok()?, waited: numbers.next()?.ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_counts_is_read() {
        let time = ProcessorTime::parse("300 100 7\n").unwrap();
        assert_eq!(time, ProcessorTime { ran: 300, waited: 100 });
        assert_eq!(time.in_vain(), 0.25);
        assert_eq!(time.since(ProcessorTime { ran: 300, waited: 0 }).in_vain(), 1.0);
        assert_eq!(ProcessorTime::default().in_vain(), 0.0);
        assert!(ProcessorTime::parse("300\n").is_none() && ProcessorTime::parse("a b\n").is_none());
    }

    #[test]
    fn this_process_has_run() {
        assert!(ProcessorTime::of(std::process::id()).ran > 0);
        assert_eq!(ProcessorTime::of(u32::MAX), ProcessorTime::default());
    }
}
