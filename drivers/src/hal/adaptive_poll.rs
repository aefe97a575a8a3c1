// SPDX-License-Identifier: MIT OR Apache-2.0
//! Adaptive polling: whether to poll for a response, or a packet, before waiting for an event.

use super::nanoseconds;
use core::time::Duration;

/// Decides whether to poll. Polling costs time of the vCPU, and saves an event and a wake-up if the response
/// comes soon. After an unsuccessful poll the next one is skipped, after another the next 3, then 7, up to
/// 63. Disks and network interfaces share this policy.
pub(crate) struct AdaptivePoll {
    /// Nanoseconds that a poll lasts at most.
    limit: u64,
    /// Polls to skip now.
    skip: u32,
    /// Polls to skip after the next unsuccessful one.
    next: u32,
}

/// Polls that are skipped at most.
const MAX_SKIPPED: u32 = 63;

impl AdaptivePoll {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit: nanoseconds(limit), skip: 0, next: 1 }
    }

    /// Whether to poll this time.
    pub(crate) fn should_poll(&mut self) -> bool {
        let skipped = self.skip > 0;
        self.skip = self.skip.saturating_sub(1);
        self.limit > 0 && !skipped
    }

    /// Whether to go on polling, after so many nanoseconds.
    pub(crate) fn is_within_limit(&self, waited: u64) -> bool {
        waited < self.limit
    }

    /// The poll is over, successful or not.
    pub(crate) fn end(&mut self, answered: bool) {
        if answered {
            self.next = 1;
        } else {
            self.skip = self.next;
            self.next = (self.next * 2 + 1).min(MAX_SKIPPED);
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
