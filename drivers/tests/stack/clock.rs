// SPDX-License-Identifier: MIT OR Apache-2.0
//! A time of each test's own, which passes when it says so.

use std::cell::{Cell, RefCell};
use std::task::Waker;

use embassy_time_driver::{Driver, time_driver_impl};

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(1_000_000_000) };
    static TIMERS: RefCell<Vec<(u64, Waker)>> = const { RefCell::new(Vec::new()) };
}

struct Clock;

time_driver_impl!(static CLOCK: Clock = Clock);

impl Driver for Clock {
    fn now(&self) -> u64 {
        now()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        TIMERS.with_borrow_mut(|timers| {
            timers.retain(|(_, other)| !other.will_wake(waker));
            timers.push((at, waker.clone()));
        });
    }
}

/// The time in nanoseconds.
pub(crate) fn now() -> u64 {
    NOW.get()
}

/// Goes on to the next timer, or to `end` if there is none before; true if there was one.
pub(crate) fn advance(end: u64) -> bool {
    let timers = TIMERS.take();
    let next = timers.iter().map(|(at, _)| *at).min().filter(|at| *at <= end);
    NOW.set(next.unwrap_or(end).max(now()));
    let (due, later) = timers.into_iter().partition(|(at, _)| *at <= now());
    TIMERS.set(later);
    let due: Vec<(u64, Waker)> = due;
    due.into_iter().for_each(|(_, waker)| waker.wake());
    next.is_some()
}
