// SPDX-License-Identifier: MIT OR Apache-2.0
//! When routers are asked for advertisements (RFC 7559): at once, and then ever more seldom, so that one that
//! comes late is found although it never advertises by itself.

use core::time::Duration;

/// Time between the first two solicitations.
const FIRST: Duration = Duration::from_secs(4);
/// Time between two at most.
const LAST: Duration = Duration::from_secs(3600);

/// When routers are asked.
#[derive(Debug)]
pub(super) struct Solicitor {
    /// When to ask next; `None` while a router is known.
    next: Option<Duration>,
    interval: Duration,
    random: u64,
}

impl Solicitor {
    /// One that does not ask yet. By `seed`, guests that start together ask at different times.
    pub(super) fn new(seed: u64) -> Self {
        Self { next: None, interval: FIRST, random: seed | 1 }
    }

    /// Asks, for the first time `at` a time.
    pub(super) fn start(&mut self, at: Duration) {
        (self.next, self.interval) = (Some(at), FIRST);
    }

    /// Asks again after some time, if it does not ask already: routers were there, and are gone.
    pub(super) fn resume(&mut self, now: Duration) {
        if self.next.is_none() {
            self.start(now.saturating_add(FIRST));
        }
    }

    /// There is a router.
    pub(super) fn stop(&mut self) {
        self.next = None;
    }

    /// When to ask next.
    pub(super) fn next(&self) -> Option<Duration> {
        self.next
    }

    /// Whether to ask now.
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        let is_due = self.next.is_some_and(|next| next <= now);
        if is_due {
            self.next = Some(now.saturating_add(self.jittered()));
            self.interval = self.interval.saturating_mul(2).min(LAST);
        }
        is_due
    }

    /// The interval, a tenth more or less (RFC 8415, section 15).
    fn jittered(&mut self) -> Duration {
        // Marsaglia's xorshift: it only has to differ from guest to guest.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.interval.saturating_mul(900 + (self.random % 201) as u32) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn solicitations_become_rare_and_never_end() {
        let mut solicitor = Solicitor::new(7);
        solicitor.start(SECOND);
        let mut asked = 0;
        while let Some(next) = solicitor.next().filter(|next| *next < SECOND * 86_400) {
            assert!(!solicitor.is_due(next - SECOND / 1000) && solicitor.is_due(next));
            assert!(!solicitor.is_due(next), "one at a time");
            asked += 1;
        }
        assert!((28..40).contains(&asked), "{asked} a day");
        let next = solicitor.next().unwrap();
        assert!(solicitor.is_due(next) && solicitor.next().unwrap() - next <= LAST * 11 / 10);
    }

    #[test]
    fn no_solicitation_is_sent_while_a_router_is_known() {
        let mut solicitor = Solicitor::new(7);
        assert_eq!(solicitor.next(), None);
        solicitor.start(SECOND);
        solicitor.stop();
        assert!(!solicitor.is_due(SECOND * 1000));
        solicitor.resume(SECOND * 1000);
        solicitor.resume(SECOND * 1003);
        assert_eq!(solicitor.next(), Some(SECOND * 1004));
    }
}
