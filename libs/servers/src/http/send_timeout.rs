// SPDX-License-Identifier: MIT OR Apache-2.0
//! The timeout of a response: a client has to take it at a minimum rate.

use core::time::Duration;

/// The minimum rate at which a client has to take a response, in bytes per second, over time.
pub const MIN_RATE: u64 = 1024;
/// The time by which a client may fall behind that rate.
pub const GRACE: Duration = Duration::from_secs(10);
/// The rate in bytes per second below which a client is slow, once the server has waited for [`GRACE`]: it is
/// served, but gives way to others.
pub const SLOW_RATE: u64 = 16 << 10;

/// The time that a client has left for one response.
#[derive(Debug)]
pub(super) struct SendTimeout {
    credit: Duration,
    waited: Duration,
    sent: u64,
}

impl SendTimeout {
    pub(super) fn new() -> Self {
        Self { credit: GRACE, waited: Duration::ZERO, sent: 0 }
    }

    /// The time that the client may take for so many bytes.
    pub(super) fn limit(&self, bytes: usize) -> Duration {
        self.credit.saturating_add(time_of(bytes as u64, MIN_RATE))
    }

    /// It has taken so many bytes in this time, which was within the limit.
    pub(super) fn sent(&mut self, bytes: usize, took: Duration) {
        self.credit = self.limit(bytes).saturating_sub(took).min(GRACE);
        self.waited = self.waited.saturating_add(took);
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
        let (mut timeout, took) = (SendTimeout::new(), Duration::from_secs_f64(PIECE as f64 / rate as f64));
        (0..1000)
            .find(|_| {
                let is_too_slow = took > timeout.limit(PIECE);
                timeout.sent(PIECE, took);
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
        let mut timeout = SendTimeout::new();
        timeout.sent(1 << 30, Duration::from_secs(1));
        assert_eq!(timeout.limit(PIECE), GRACE + Duration::from_secs(8));
    }

    #[test]
    fn a_client_is_slow_only_after_a_while() {
        let mut timeout = SendTimeout::new();
        timeout.sent(PIECE, Duration::from_secs(8));
        assert!(!timeout.is_slow());
        timeout.sent(PIECE, Duration::from_secs(8));
        assert!(timeout.is_slow());
        timeout.sent(1 << 20, Duration::from_secs(1));
        assert!(!timeout.is_slow());
    }
}
