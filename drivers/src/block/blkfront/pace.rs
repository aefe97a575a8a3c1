// SPDX-License-Identifier: MIT OR Apache-2.0
//! After how many answers to be woken.

use core::time::Duration;

/// How fast answers come, and so for how many of them one event is enough.
///
/// Where many requests are on their way, an event for each answer is dear: the backend raises it, and
/// the vCPU wakes and sleeps again before the next one. With one event for a quarter of them, a
/// request takes a quarter longer at most, and the backend has the other three quarters to work on.
#[derive(Default)]
pub(super) struct Pace {
    /// Nanoseconds from an answer to the next, smoothed.
    interval: u64,
    /// When the last answers were taken; `None` while few requests are on their way.
    last: Option<u64>,
}

/// Requests on their way from which on answers share events.
const MANY: usize = 8;

/// Nanoseconds that an answer may lie unseen.
const LONGEST: u64 = 1_000_000;

/// Less than this many nanoseconds are not worth a timer.
const SHORTEST: u64 = 50_000;

impl Pace {
    /// So many answers were taken, and so many requests are on their way now.
    pub(super) fn note(&mut self, answers: u32, in_flight: usize, now: impl FnOnce() -> u64) {
        if in_flight < MANY {
            self.last = None;
            return;
        }
        let now = now();
        if let Some(last) = self.last {
            let passed = now.saturating_sub(last);
            self.interval = match answers {
                // The next one is at least so far away.
                0 => self.interval.max(passed),
                _ => self.interval - self.interval / 8 + passed / u64::from(answers) / 8,
            };
        }
        if answers > 0 || self.last.is_none() {
            self.last = Some(now);
        }
    }

    /// The number of answers after which to be woken, and the time after which to look for fewer;
    /// `None` if the next one is waited for.
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

    /// A pace of an answer each `interval` nanoseconds.
    fn pace(interval: u64) -> Pace {
        let mut pace = Pace::default();
        for step in 0..100 {
            pace.note(4, 32, || 4 * step * interval);
        }
        pace
    }

    #[test]
    fn few_requests_have_an_event_for_each_answer() {
        let mut pace = Pace::default();
        for in_flight in 0..MANY {
            pace.note(1, in_flight, || panic!("the clock is not needed"));
            assert_eq!(pace.batch(in_flight), None);
        }
    }

    #[test]
    fn many_requests_share_an_event_in_quarters() {
        let (batch, time) = pace(1_000).batch(32).unwrap();
        assert_eq!((batch, time), (8, Duration::from_nanos(SHORTEST)));
        let (batch, time) = pace(20_000).batch(32).unwrap();
        assert_eq!(batch, 8);
        assert!((250..=320).contains(&time.as_micros()), "{time:?}");
    }

    #[test]
    fn a_slow_disk_has_an_event_for_each_answer() {
        assert_eq!(pace(4_000_000).batch(32), None);
    }

    #[test]
    fn answers_that_do_not_come_are_waited_for_one_by_one() {
        let mut pace = pace(1_000);
        pace.note(0, 32, || 10_000_000);
        assert_eq!(pace.batch(32), None);
    }
}
