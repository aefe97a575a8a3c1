// SPDX-License-Identifier: MIT OR Apache-2.0
//! Late EOI: when a port is unmasked again after spurious events (XSA-332, XSA-391).

use super::Backoff;

/// When a port is unmasked again, by what its events came with. Times are nanoseconds of any clock.
///
/// ```
/// use xen::event::LateEoi;
///
/// let mut late_eoi = LateEoi::new();
/// late_eoi.found_nothing(1_000_000);
/// assert_eq!(late_eoi.unmask_at(), None);
/// (0..2).for_each(|_| late_eoi.found_nothing(5_000_000));
/// assert_eq!(late_eoi.unmask_at(), Some(6_000_000));
/// late_eoi.found_work();
/// assert_eq!(late_eoi.unmask_at(), None);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LateEoi {
    backoff: Backoff,
    unmask_at: Option<u64>,
}

impl LateEoi {
    /// It may be unmasked.
    pub const fn new() -> Self {
        Self { backoff: Backoff::new(), unmask_at: None }
    }

    /// The time before which it is not to be unmasked; `None` if it may be now.
    pub const fn unmask_at(&self) -> Option<u64> {
        self.unmask_at
    }

    /// That time has come.
    pub const fn waited(&mut self) {
        self.unmask_at = None;
    }

    /// The last event came with work.
    pub const fn found_work(&mut self) {
        self.backoff.found_work();
        self.unmask_at = None;
    }

    /// The last event came without, and it is `now`: of many in a row each has the port unmasked later.
    pub const fn found_nothing(&mut self, now: u64) {
        let hold = self.backoff.found_nothing();
        self.unmask_at = if hold == 0 { None } else { Some(now.saturating_add(hold)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_only_raises_events_is_served_eight_times_a_second() {
        let (mut late_eoi, mut now, mut unmasked) = (LateEoi::new(), 0, 0);
        while now < 10_000_000_000 {
            late_eoi.found_nothing(now);
            now = late_eoi.unmask_at().unwrap_or(now);
            late_eoi.waited();
            assert_eq!(late_eoi.unmask_at(), None);
            unmasked += 1;
        }
        assert!((80..=90).contains(&unmasked), "{unmasked}");
    }

    #[test]
    fn a_time_beyond_all_clocks_is_the_last_one() {
        let mut late_eoi = LateEoi::new();
        (0..20).for_each(|_| late_eoi.found_nothing(u64::MAX - 1));
        assert_eq!(late_eoi.unmask_at(), Some(u64::MAX));
    }
}
