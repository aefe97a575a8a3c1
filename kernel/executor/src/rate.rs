// SPDX-License-Identifier: MIT OR Apache-2.0
//! Converts ticks of a counter to nanoseconds and back.

/// So many thousand ticks of a counter in a second. One that stands still counts as slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    khz: u64,
}

impl Rate {
    /// So many kHz.
    pub const fn of_khz(khz: u64) -> Self {
        Self { khz: if khz == 0 { 1 } else { khz } }
    }

    /// The nanoseconds that `ticks` take: those that have passed, rather too few. Modulo 2^64.
    pub const fn nanoseconds(self, ticks: u64) -> u64 {
        (ticks as u128 * 1_000_000 / self.khz as u128) as u64
    }

    /// Ticks after which so many `nanoseconds` have passed: rather late than early.
    pub fn ticks(self, nanoseconds: u64) -> u64 {
        let ticks = u128::from(nanoseconds) * u128::from(self.khz) / 1_000_000 + 1;
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }
}

/// Watches something for `nanoseconds` by the clock `now`, and says how many have passed. A clock that stands
/// still does not keep us: each of so many looks takes some time.
pub fn watch(nanoseconds: u64, now: impl Fn() -> u64) -> u64 {
    let start = now();
    let mut passed = (0..nanoseconds).map(|_| now().saturating_sub(start));
    passed.find(|passed| *passed >= nanoseconds).unwrap_or(nanoseconds)
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_counter_that_stands_still_and_times_without_end_are_no_trouble() {
        assert_eq!(Rate::of_khz(0), Rate::of_khz(1));
        assert_eq!(Rate::of_khz(0).nanoseconds(1), 1_000_000);
        assert_eq!(Rate::of_khz(u64::MAX).ticks(u64::MAX), u64::MAX);
    }

    #[test]
    fn three_ghz_are_three_ticks_a_nanosecond() {
        let rate = Rate::of_khz(3_000_000);
        assert_eq!((rate.nanoseconds(3_000_000_000), rate.ticks(1000)), (1_000_000_000, 3001));
    }

    #[test]
    fn a_measurement_lasts_as_long_as_the_clock_says() {
        let clock = Cell::new(500);
        let slow = || clock.replace(clock.get() + 300);
        assert_eq!(watch(1_000, slow), 1_200);
    }

    #[test]
    fn a_stopped_clock_does_not_block_a_measurement() {
        let looks = Cell::new(0);
        let still = || {
            looks.set(looks.get() + 1);
            7
        };
        assert_eq!((watch(1_000, still), looks.get()), (1_000, 1_001));
    }

    proptest! {
        #[test]
        fn no_alarm_is_early_nor_late_by_more_than_a_tick(
            khz in 1..10_000_000u64, nanoseconds in 0..1u64 << 53,
        ) {
            let rate = Rate::of_khz(khz);
            let ticks = rate.ticks(nanoseconds);
            prop_assert!(rate.nanoseconds(ticks) >= nanoseconds);
            prop_assert!(rate.nanoseconds(ticks - 1) <= nanoseconds);
        }
    }
}
