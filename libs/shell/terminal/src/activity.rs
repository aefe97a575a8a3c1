// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which tasks did most between two looks.

use alloc::vec::Vec;
use core::time::Duration;

/// A task, as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which task it is.
    pub id: u64,
    /// How often it was polled, since it was started.
    pub polls: u64,
    /// How long that took.
    pub busy: Duration,
}

/// What a task did between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Which task it is.
    pub id: u64,
    /// Its share of a vCPU's time, in thousandths.
    pub permille: u64,
    /// How often it was polled in a second.
    pub polls: u64,
}

/// What the tasks `now` did since `before`, so much earlier: those that did most first, then older ones.
pub fn activity(before: &[Seen], now: &[Seen], elapsed: Duration) -> Vec<Activity> {
    let elapsed = elapsed.as_micros().max(1);
    let did = |task: &Seen| {
        let earlier = before.iter().find(|earlier| earlier.id == task.id);
        let (polls, busy) = earlier.map_or((0, Duration::ZERO), |earlier| (earlier.polls, earlier.busy));
        let busy = task.busy.saturating_sub(busy).as_micros();
        let polls = u128::from(task.polls.saturating_sub(polls));
        let rate = |count: u128, unit: u128| u64::try_from(count * unit / elapsed).unwrap_or(u64::MAX);
        Activity { id: task.id, permille: rate(busy, 1000), polls: rate(polls, 1_000_000) }
    };
    let mut all: Vec<Activity> = now.iter().map(did).collect();
    all.sort_by(|one, other| (other.permille, other.polls, one.id).cmp(&(one.permille, one.polls, other.id)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(id: u64, polls: u64, milliseconds: u64) -> Seen {
        Seen { id, polls, busy: Duration::from_millis(milliseconds) }
    }

    #[test]
    fn tasks_are_in_the_order_of_what_they_did_since_the_last_look() {
        let before = [seen(1, 100, 900), seen(2, 5, 10), seen(3, 7, 7)];
        let now = [seen(1, 104, 901), seen(2, 25, 1010), seen(4, 2, 500), seen(5, 8, 0)];
        let all = activity(&before, &now, Duration::from_secs(2));
        let expected = [(2, 500, 10), (4, 250, 1), (5, 0, 4), (1, 0, 2)];
        assert!(all.iter().map(|did| (did.id, did.permille, did.polls)).eq(expected));
    }

    #[test]
    fn figures_that_go_back_and_no_time_at_all_are_no_activity() {
        let all = activity(&[seen(1, 9, 9)], &[seen(1, 8, 8)], Duration::ZERO);
        assert_eq!(all, [Activity { id: 1, permille: 0, polls: 0 }]);
        let most = Seen { id: 1, polls: u64::MAX, busy: Duration::MAX };
        assert_eq!(activity(&[], &[most], Duration::ZERO).len(), 1);
    }
}
