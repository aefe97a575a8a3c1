// SPDX-License-Identifier: MIT OR Apache-2.0
//! A deadline that also works before the clock runs.

use core::time::Duration;

/// A point in time that something must not outlast.
///
/// Before there is a clock, a deadline is a number of looks at it instead.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// In nanoseconds.
    end: u64,
    looks: u64,
}

/// What a look is taken to last.
const LOOK: Duration = Duration::from_nanos(100);

impl Deadline {
    /// `time` from `now`, in nanoseconds, which is zero before there is a clock.
    pub fn after(now: u64, time: Duration) -> Self {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self { end: now.saturating_add(nanoseconds), looks: nanoseconds / LOOK.as_nanos() as u64 }
    }

    /// Looks whether it has passed; `now` is the time in nanoseconds, if there is a clock.
    pub const fn passed(&mut self, now: Option<u64>) -> bool {
        self.looks = self.looks.saturating_sub(1);
        match now {
            Some(now) => now >= self.end,
            None => self.looks == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICROSECOND: Duration = Duration::from_micros(1);

    #[test]
    fn with_a_clock_a_deadline_passes_at_its_time_however_often_it_is_checked() {
        let mut deadline = Deadline::after(5_000, MICROSECOND);
        assert!((0..100).all(|_| !deadline.passed(Some(5_999))));
        assert!(deadline.passed(Some(6_000)) && deadline.passed(Some(7_000)));
        assert!(Deadline::after(5_000, Duration::ZERO).passed(Some(5_000)));
    }

    #[test]
    fn without_a_clock_a_deadline_passes_after_so_many_checks() {
        let mut deadline = Deadline::after(0, MICROSECOND);
        assert_eq!([(); 11].map(|()| deadline.passed(None)).iter().position(|passed| *passed), Some(9));
        assert!(deadline.passed(None), "and stays so");
        assert!(Deadline::after(0, Duration::ZERO).passed(None));
    }

    #[test]
    fn a_clock_that_begins_meanwhile_counts_from_then_on() {
        let mut deadline = Deadline::after(0, MICROSECOND);
        assert!((0..5).all(|_| !deadline.passed(None)));
        assert!((0..100).all(|_| !deadline.passed(Some(999))));
        assert!(deadline.passed(Some(1_000)));
    }

    #[test]
    fn a_deadline_without_end_never_passes() {
        let mut deadline = Deadline::after(u64::MAX - 1, Duration::MAX);
        assert!(!deadline.passed(Some(u64::MAX - 1)) && !deadline.passed(None));
    }
}
