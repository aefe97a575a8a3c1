// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long a client may take for what it is sent.

use core::time::Duration;

/// Bytes that a client takes in a second at least, over time.
pub const LEAST_RATE: u64 = 1024;
/// Time that it may take in advance, or fall behind by.
pub const GRACE: Duration = Duration::from_secs(10);
/// Bytes in a second below which a client is slow once it has been waited for so long as [`GRACE`]: it is
/// served, but gives way to others.
pub const SLOW_RATE: u64 = 16 << 10;

/// What a client has left of our time, in one answer.
#[derive(Debug)]
pub(super) struct Patience {
    credit: Duration,
    waited: Duration,
    sent: u64,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { credit: GRACE, waited: Duration::ZERO, sent: 0 }
    }

    /// Time that the client may take for so many bytes.
    pub(super) fn limit(&self, bytes: usize) -> Duration {
        self.credit + time_of(bytes as u64, LEAST_RATE)
    }

    /// It has taken so many bytes in this time, which was within the limit.
    pub(super) fn sent(&mut self, bytes: usize, took: Duration) {
        self.credit = self.limit(bytes).saturating_sub(took).min(GRACE);
        self.waited += took;
        self.sent += bytes as u64;
    }

    /// Whether the client is so slow that others should be served before.
    pub(super) fn is_slow(&self) -> bool {
        self.waited >= GRACE && self.waited > time_of(self.sent, SLOW_RATE)
    }
}

fn time_of(bytes: u64, rate: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1000) / rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: usize = 8192;

    /// Pieces that a client gets which takes so many bytes in a second, of a thousand.
    fn pieces(rate: usize) -> usize {
        let (mut patience, took) = (Patience::new(), Duration::from_secs_f64(PIECE as f64 / rate as f64));
        (0..1000)
            .find(|_| {
                let is_too_slow = took > patience.limit(PIECE);
                patience.sent(PIECE, took);
                is_too_slow
            })
            .unwrap_or(1000)
    }

    #[test]
    fn a_client_below_the_least_rate_is_left_soon_and_one_above_it_never() {
        assert_eq!(pieces(410), 0);
        assert!((1..100).contains(&pieces(1000)));
        assert_eq!(pieces(1025), 1000);
    }

    #[test]
    fn speed_in_the_past_is_no_excuse() {
        let mut patience = Patience::new();
        patience.sent(1 << 30, Duration::from_secs(1));
        assert_eq!(patience.limit(PIECE), GRACE + Duration::from_secs(8));
    }

    #[test]
    fn a_client_is_slow_only_after_a_while() {
        let mut patience = Patience::new();
        patience.sent(PIECE, Duration::from_secs(8));
        assert!(!patience.is_slow());
        patience.sent(PIECE, Duration::from_secs(8));
        assert!(patience.is_slow());
        patience.sent(1 << 20, Duration::from_secs(1));
        assert!(!patience.is_slow());
    }
}
