// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exponential backoff: pauses between attempts that may fail for ever.

use core::time::Duration;

/// Pauses that double from the first to the longest, and begin anew after an attempt that lasted longer than
/// the longest pause: that one worked.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Pauses from `first` to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The pause after an attempt that lasted so long.
    pub fn after(&mut self, lasted: Duration) -> Duration {
        if lasted > self.longest {
            self.next = self.first;
        }
        let pause = self.next.min(self.longest);
        self.next = pause.saturating_mul(2);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn attempts_that_fail_at_once_become_rare() {
        let mut backoff = Backoff::new(SECOND / 10, 60 * SECOND);
        let pauses: Vec<Duration> = (0..20).map(|_| backoff.after(Duration::ZERO)).collect();
        assert_eq!(pauses[..3], [SECOND / 10, SECOND / 5, SECOND * 2 / 5]);
        assert_eq!(pauses[19], 60 * SECOND);
        // In the first hour there are fewer than 70.
        assert!(pauses.iter().sum::<Duration>() > 600 * SECOND);
    }

    #[test]
    fn pauses_are_short_again_after_an_attempt_that_worked() {
        let mut backoff = Backoff::new(SECOND / 10, 60 * SECOND);
        for _ in 0..20 {
            backoff.after(30 * SECOND);
        }
        assert_eq!(backoff.after(61 * SECOND), SECOND / 10);
        assert_eq!(backoff.after(Duration::ZERO), SECOND / 5);
    }
}
