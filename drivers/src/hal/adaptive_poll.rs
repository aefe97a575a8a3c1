// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether to look for an answer, or a packet, again and again before waiting for an event.

use super::nanoseconds;
use core::time::Duration;

/// Looking costs time of the vCPU, and saves an event, a sleep and a wake-up if the answer comes
/// soon. After a wait that was in vain, the next 1, 3, 7 and so on are spared.
pub(crate) struct AdaptivePoll {
    /// Nanoseconds that a wait lasts at most.
    limit: u64,
    /// Waits to be spared now.
    spare: u32,
    /// Waits to be spared after the next one that is in vain.
    next: u32,
}

/// Waits that are spared at most.
const MOST_SPARED: u32 = 63;

impl AdaptivePoll {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit: nanoseconds(limit), spare: 0, next: 1 }
    }

    /// Whether to wait this time.
    pub(crate) fn should_poll(&mut self) -> bool {
        let spared = self.spare > 0;
        self.spare = self.spare.saturating_sub(1);
        self.limit > 0 && !spared
    }

    /// Whether to go on, after so many nanoseconds.
    pub(crate) fn is_within_limit(&self, waited: u64) -> bool {
        waited < self.limit
    }

    /// The wait is over, in vain or not.
    pub(crate) fn end(&mut self, answered: bool) {
        if answered {
            self.next = 1;
        } else {
            self.spare = self.next;
            self.next = (self.next * 2 + 1).min(MOST_SPARED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_limit_there_is_no_polling() {
        assert!(!AdaptivePoll::new(Duration::ZERO).should_poll());
    }

    #[test]
    fn unsuccessful_polls_become_rare() {
        let mut poll = AdaptivePoll::new(Duration::from_micros(50));
        let mut waited = 0;
        for _ in 0..200 {
            if poll.should_poll() {
                waited += 1;
                poll.end(false);
            }
        }
        assert!(waited < 12, "{waited}");
    }

    #[test]
    fn a_successful_poll_is_repeated_at_once() {
        let mut poll = AdaptivePoll::new(Duration::from_micros(50));
        poll.end(false);
        assert!(!poll.should_poll());
        assert!(poll.should_poll());
        poll.end(true);
        assert!(poll.should_poll());
        assert!(poll.is_within_limit(49_999) && !poll.is_within_limit(50_000));
    }
}
