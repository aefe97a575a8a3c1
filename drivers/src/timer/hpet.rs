// SPDX-License-Identifier: MIT OR Apache-2.0
//! The high precision event timer, by which clocks of unknown speed are measured (IA-PC HPET Specification
//! 1.0a, 2.3).

use crate::hal::Registers;

/// Upper half of the capabilities: the counter's period in femtoseconds.
const PERIOD: usize = 0x004;
const CONFIGURATION: usize = 0x010;
/// Lower half of the main counter.
const COUNTER: usize = 0x0f0;

/// Bit of the configuration that has the counter run.
const RUN: u32 = 1 << 0;
/// Longest period that the specification allows.
const LONGEST_PERIOD: u32 = 100_000_000;

/// Length of a measurement in femtoseconds: 2 ms.
const MEASUREMENT: u64 = 2_000_000_000_000;
/// Looks at the counter before giving up. A look takes a hundred nanoseconds or more.
const MAX_SPINS: u32 = 1_000_000;

/// Frequency of `clock` in kHz, measured for 2 ms; `None` if what the timer shows makes no sense.
pub fn measure_khz(timer: &impl Registers, clock: impl Fn() -> u64) -> Option<u64> {
    let period = timer.read_u32(PERIOD);
    if period == 0 || period > LONGEST_PERIOD {
        return None;
    }
    timer.write_u32(CONFIGURATION, timer.read_u32(CONFIGURATION) | RUN);
    let wanted = MEASUREMENT / u64::from(period);
    let (first, start) = (timer.read_u32(COUNTER), clock());
    // The half of the counter wraps around after seconds.
    let counted = (0..MAX_SPINS)
        .map(|_| u64::from(timer.read_u32(COUNTER).wrapping_sub(first)))
        .find(|counted| *counted >= wanted)?;
    let elapsed = clock().checked_sub(start)?;
    let femtoseconds = u128::from(counted) * u128::from(period);
    let khz = (u128::from(elapsed) * 1_000_000_000_000).checked_div(femtoseconds)?;
    u64::try_from(khz).ok().filter(|khz| *khz != 0)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A timer that counts `step` with every look, beside a clock.
    struct FakeTimer {
        period: u32,
        counter: Cell<u32>,
        step: u32,
        running: Cell<bool>,
    }

    impl FakeTimer {
        fn new(period: u32, step: u32) -> Self {
            // Shortly before the half of the counter wraps around.
            Self { period, counter: Cell::new(u32::MAX - 5), step, running: Cell::new(false) }
        }
    }

    impl Registers for FakeTimer {
        fn read_u32(&self, offset: usize) -> u32 {
            match offset {
                PERIOD => self.period,
                COUNTER if self.running.get() => {
                    self.counter.set(self.counter.get().wrapping_add(self.step));
                    self.counter.get()
                }
                COUNTER => self.counter.get(),
                _ => 0,
            }
        }
        fn write_u32(&self, offset: usize, value: u32) {
            if offset == CONFIGURATION {
                self.running.set(value & RUN != 0);
            }
        }
    }

    #[test]
    fn ticks_in_two_milliseconds_give_the_frequency() {
        // 10 ns a count, and a clock with 20 ticks for each.
        let timer = FakeTimer::new(10_000_000, 1);
        let clock = || u64::from(timer.counter.get().wrapping_add(10)) * 20;
        assert_eq!(measure_khz(&timer, clock), Some(2_000_000));
    }

    #[test]
    fn a_counter_that_stands_still_is_given_up() {
        assert_eq!(measure_khz(&FakeTimer::new(10_000_000, 0), || 1), None);
    }

    #[test]
    fn an_absurd_period_is_no_timer() {
        assert_eq!(measure_khz(&FakeTimer::new(0, 1), || 1), None);
        assert_eq!(measure_khz(&FakeTimer::new(u32::MAX, 1), || 1), None);
    }
}
