// SPDX-License-Identifier: MIT OR Apache-2.0
//! The timer queue: tasks that wait for a time, in the order of their times.

use alloc::collections::BTreeMap;
use core::task::Waker;

/// A task that asks for a time less than this ahead does not really wait, in nanoseconds.
const SHORT: u64 = 10_000;

/// The tasks that wait for a time, each with the earliest it waits for. Times are nanoseconds of any clock.
///
/// A task that is woken looks at all its timers again and tells the next: one entry is enough, and
/// the queue is never longer than there are tasks.
#[derive(Debug, Default)]
pub struct Timers {
    by_time: BTreeMap<(u64, usize), Entry>,
    by_task: BTreeMap<usize, u64>,
    /// When timers were looked at last.
    looked_at: u64,
}

#[derive(Debug)]
struct Entry {
    waker: Waker,
    waits: bool,
}

/// A timer that is due.
#[derive(Debug)]
pub struct Due {
    /// The task's.
    pub waker: Waker,
    /// Whether the task waited for it: not if it asked for a time that had passed, or was about to.
    pub waited: bool,
}

impl Timers {
    /// No timers.
    pub const fn new() -> Self {
        Self { by_time: BTreeMap::new(), by_task: BTreeMap::new(), looked_at: 0 }
    }

    /// Has the task of `waker` woken at `at`, unless it is woken before that anyway.
    pub fn schedule(&mut self, at: u64, waker: &Waker) {
        let task = waker.data().addr();
        match self.by_task.get(&task) {
            Some(before) if *before <= at => return,
            Some(before) => {
                self.by_time.remove(&(*before, task));
            }
            None => {}
        }
        let waits = at > self.looked_at.saturating_add(SHORT);
        self.by_task.insert(task, at);
        self.by_time.insert((at, task), Entry { waker: waker.clone(), waits });
    }

    /// How many are due at `now`.
    pub fn due(&mut self, now: u64) -> usize {
        self.looked_at = now;
        self.by_time.range(..=(now, usize::MAX)).count()
    }

    /// Takes the one that is due at `now` and was so last.
    pub fn take_last_due(&mut self, now: u64) -> Option<Due> {
        let (key, _) = self.by_time.range(..=(now, usize::MAX)).next_back()?;
        let key = *key;
        let entry = self.by_time.remove(&key)?;
        self.by_task.remove(&key.1);
        Some(Due { waker: entry.waker, waited: entry.waits })
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<u64> {
        self.by_time.keys().next().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::sync::Arc;
    use std::task::Wake;
    use std::vec::Vec;

    use super::*;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    fn wakers(count: usize) -> Vec<Waker> {
        (0..count).map(|_| Arc::new(Task).into()).collect()
    }

    #[test]
    fn a_task_has_one_entry_the_earliest() {
        let (mut timers, wakers) = (Timers::new(), wakers(1));
        for at in [50_000, 70_000, 30_000, 90_000] {
            timers.schedule(at, &wakers[0]);
        }
        assert_eq!(timers.next(), Some(30_000));
        assert_eq!(timers.due(u64::MAX), 1);
        assert!(timers.take_last_due(u64::MAX).is_some_and(|due| due.waker.will_wake(&wakers[0])));
        assert!(timers.take_last_due(u64::MAX).is_none());
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn no_timer_fires_early() {
        let (mut timers, wakers) = (Timers::new(), wakers(2));
        timers.schedule(20_000, &wakers[0]);
        timers.schedule(20_001, &wakers[1]);
        assert_eq!(timers.due(19_999), 0);
        assert!(timers.take_last_due(19_999).is_none());
        assert!(timers.take_last_due(20_000).is_some_and(|due| due.waker.will_wake(&wakers[0])));
        assert!(timers.take_last_due(20_000).is_none());
    }

    #[test]
    fn who_asks_for_the_past_has_not_waited() {
        let (mut timers, wakers) = (Timers::new(), wakers(3));
        timers.due(1_000_000);
        timers.schedule(900_000, &wakers[0]);
        timers.schedule(1_000_001, &wakers[1]);
        timers.schedule(2_000_000, &wakers[2]);
        let waited: Vec<_> =
            core::iter::from_fn(|| timers.take_last_due(u64::MAX)).map(|due| due.waited).collect();
        assert_eq!(waited, [true, false, false]);
    }
}
