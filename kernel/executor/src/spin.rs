// SPDX-License-Identifier: MIT OR Apache-2.0
//! Detects tasks that spin: that are polled over and over without work.
//!
//! Each event, interrupt and expired timer is credit for a number of polls. Tasks that run beyond the credit
//! wake themselves or each other, or ask for times that have passed.

use core::sync::atomic::{AtomicU64, Ordering};

/// Polls of each task that one event explains, generously.
const POLLS_PER_EVENT: u64 = 64;
/// A task that was polled so often without a reason spins.
pub const LIMIT: u64 = 1 << 16;
/// A poll of so many ticks of the time-stamp counter is not for nothing: a task computes.
const WORK: u64 = 1 << 20;

/// The polls of any one task of a vCPU that there was a reason for, since boot.
#[derive(Debug, Default)]
pub struct Credit(AtomicU64);

impl Credit {
    /// None yet.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// So many things came from outside.
    pub fn add(&self, events: u64) {
        if events != 0 {
            self.0.fetch_add(events.saturating_mul(POLLS_PER_EVENT), Ordering::Relaxed);
        }
    }

    /// The vCPU has been asleep: no task kept it busy until now.
    pub fn rested(&self) {
        self.0.fetch_add(LIMIT, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The polls of a task.
#[derive(Debug, Default)]
pub struct Watch {
    /// Polls without a reason; below [`LIMIT`].
    idle: u64,
    /// The credit when it was polled last.
    seen: u64,
    /// How often the limit was reached.
    spins: u64,
}

/// A task has reached [`LIMIT`] again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spin {
    /// For the how manieth time.
    pub count: u64,
}

impl Spin {
    /// Whether it is worth a line in the log: the first time, the second, the fourth and so on.
    pub fn is_due(self) -> bool {
        self.count.is_power_of_two()
    }
}

impl Watch {
    /// The polls of a task that was just started.
    pub fn new(credit: &Credit) -> Self {
        Self { seen: credit.get(), ..Self::default() }
    }

    /// To be called for each poll of the task, which took so many ticks of the time-stamp counter.
    pub fn polled(&mut self, credit: &Credit, ticks: u64) -> Option<Spin> {
        let now = credit.get();
        // Wrapping, as the credit does after all.
        let reasons = now.wrapping_sub(self.seen);
        self.seen = now;
        self.idle = self.idle.saturating_sub(reasons) + u64::from(ticks < WORK);
        if self.idle < LIMIT {
            return None;
        }
        self.idle = 0;
        self.spins = self.spins.saturating_add(1);
        Some(Spin { count: self.spins })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    fn spins(polls: u64, mut between: impl FnMut(u64, &Credit)) -> Vec<Spin> {
        let credit = Credit::new();
        let mut watch = Watch::new(&credit);
        let poll = |number| {
            between(number, &credit);
            watch.polled(&credit, 0)
        };
        (0..polls).filter_map(poll).collect()
    }

    #[test]
    fn a_task_that_is_polled_for_nothing_spins_and_is_told_of_ever_more_seldom() {
        let spins = spins(9 * LIMIT, |_, _| ());
        assert_eq!(spins.len(), 9);
        let told: Vec<_> = spins.iter().filter(|spin| spin.is_due()).map(|spin| spin.count).collect();
        assert_eq!(told, [1, 2, 4, 8]);
    }

    #[test]
    fn a_task_that_runs_a_few_times_for_each_event_does_not_spin() {
        assert_eq!(spins(4 * LIMIT, |number, credit| credit.add(u64::from(number % 10 == 0))), []);
    }

    #[test]
    fn a_task_that_computes_and_gives_way_does_not_spin() {
        let credit = Credit::new();
        let mut watch = Watch::new(&credit);
        assert!((0..2 * LIMIT).all(|_| watch.polled(&credit, WORK).is_none()));
    }

    #[test]
    fn a_few_events_do_not_hide_a_task_that_spins() {
        assert!(!spins(2 * LIMIT, |number, credit| credit.add(u64::from(number % 1000 == 0))).is_empty());
    }

    #[test]
    fn a_vcpu_that_sleeps_now_and_then_is_not_kept_busy() {
        let sleep = |number, credit: &Credit| {
            if number % (LIMIT / 2) == 0 {
                credit.rested();
            }
        };
        assert_eq!(spins(9 * LIMIT, sleep), []);
    }
}
