// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event coalescing: for how many responses one event is enough.

use core::time::Duration;

/// Measures how fast responses come, and so for how many of them one event is enough.
///
/// With many requests in flight, an event for each response is expensive: the backend raises it, and the vCPU
/// wakes up and sleeps again before the next one. With one event for a quarter of the requests, each takes at
/// most a quarter longer, and the backend has the other three quarters to work on.
///
/// This is not the policy of `net::netfront`, which cannot know how many packets will come: it goes by
/// streams of long packets. Here the number of requests in flight bounds the number of responses.
#[derive(Default)]
pub(super) struct EventCoalescing {
    /// Nanoseconds from one response to the next, smoothed.
    interval: u64,
    /// When the last responses were taken; `None` while few requests are in flight.
    last: Option<u64>,
}

/// Requests in flight from which on responses share events.
const MANY: usize = 8;

/// Nanoseconds for which a response may go unnoticed.
const LONGEST: u64 = 1_000_000;

/// A shorter time, in nanoseconds, is not worth a timer.
const SHORTEST: u64 = 50_000;

impl EventCoalescing {
    /// Accounts for so many `responses` taken, while `in_flight` requests remain in flight.
    pub(super) fn note(&mut self, responses: u32, in_flight: usize, now: impl FnOnce() -> u64) {
        if in_flight < MANY {
            self.last = None;
            return;
        }
        let now = now();
        if let Some(last) = self.last {
            let passed = now.saturating_sub(last);
            self.interval = match responses {
                // The next one is at least so far away.
                0 => self.interval.max(passed),
                _ => self.interval - self.interval / 8 + passed / u64::from(responses) / 8,
            };
        }
        if responses > 0 || self.last.is_none() {
            self.last = Some(now);
        }
    }

    /// The number of responses to wait for, and the time after which to poll for fewer; `None`: wait for the
    /// next one.
    pub(super) fn batch(&self, in_flight: usize) -> Option<(u32, Duration)> {
        let most = LONGEST / 2 / self.interval.max(1);
        let batch = (in_flight as u64 / 4).min(most).min(u64::from(u32::MAX));
        let time = (2 * batch * self.interval).clamp(SHORTEST, LONGEST);
        (batch > 1 && self.last.is_some()).then(|| (batch as u32, Duration::from_nanos(time)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After a response each `interval` nanoseconds for some time.
    fn coalescing(interval: u64) -> EventCoalescing {
        let mut coalescing = EventCoalescing::default();
        for step in 0..100 {
            coalescing.note(4, 32, || 4 * step * interval);
        }
        coalescing
    }

    #[test]
    fn few_requests_have_an_event_for_each_response() {
        let mut coalescing = EventCoalescing::default();
        for in_flight in 0..MANY {
            coalescing.note(1, in_flight, || panic!("the clock is not needed"));
            assert_eq!(coalescing.batch(in_flight), None);
        }
    }

    #[test]
    fn many_requests_share_an_event_in_quarters() {
        let (batch, time) = coalescing(1_000).batch(32).unwrap();
        assert_eq!((batch, time), (8, Duration::from_nanos(SHORTEST)));
        let (batch, time) = coalescing(20_000).batch(32).unwrap();
        assert_eq!(batch, 8);
        assert!((250..=320).contains(&time.as_micros()), "{time:?}");
    }

    #[test]
    fn a_slow_disk_has_an_event_for_each_response() {
        assert_eq!(coalescing(4_000_000).batch(32), None);
    }

    #[test]
    fn late_responses_each_have_an_event() {
        let mut coalescing = coalescing(1_000);
        coalescing.note(0, 32, || 10_000_000);
        assert_eq!(coalescing.batch(32), None);
    }
}
