// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time, as servers need it.

use core::future::Future;
use core::time::Duration;

use embassy_futures::select::{Either, select};
use embassy_time::{Instant, Timer};

/// The time.
pub trait Clock {
    /// A future that is ready when `time` has passed.
    fn pause(&self, time: Duration) -> impl Future<Output = ()>;

    /// Time since some moment. Never goes back.
    fn now(&self) -> Duration;
}

/// What `work` makes; `None` if it takes longer than `limit`.
pub async fn within<T>(clock: &impl Clock, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    match select(work, clock.pause(limit)).await {
        Either::First(result) => Some(result),
        Either::Second(()) => None,
    }
}

/// The kernel's clock, which embassy's drivers of time stand for.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelClock;

impl Clock for KernelClock {
    fn pause(&self, time: Duration) -> impl Future<Output = ()> {
        Timer::after_micros(time.as_micros() as u64)
    }

    fn now(&self) -> Duration {
        Duration::from_micros(Instant::now().as_micros())
    }
}
