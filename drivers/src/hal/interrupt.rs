// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts of devices.

use core::future::Future;
use core::time::Duration;

/// A device's interrupt, and the time: what the driver of an emulated device waits with.
///
/// An interrupt is a hint: it may be shared with another device, come late, or be lost. A driver polls the
/// device before and after it waits. One that has nothing to do waits all the same: until the device is told
/// that its interrupt was seen, a line interrupts again and again.
pub trait Interrupt {
    /// Waits for the interrupt, but no longer than `limit`, of which [`Duration::MAX`] is none. One that came
    /// since the last wait counts.
    fn wait(&self, limit: Duration) -> impl Future<Output = ()>;

    /// Nanoseconds since some moment. Never goes back.
    fn now(&self) -> u64;
}

/// How often the device is polled where interrupts do not arrive.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Polls `look`, at each interrupt and at least every 10 ms, until it finds something; `None` if it does not
/// within `timeout`.
pub async fn until<T>(
    interrupt: &impl Interrupt,
    timeout: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Option<T> {
    let end = interrupt.now().saturating_add(nanoseconds(timeout));
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if interrupt.now() >= end {
            return None;
        }
        interrupt.wait(POLL_INTERVAL).await;
    }
}

/// The nanoseconds of a time; as many as there can be, if there are more.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
