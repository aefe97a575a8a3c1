// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts of devices, as drivers see them.

use core::future::Future;

/// A device's interrupt, and the time: what the driver of an emulated device waits with.
///
/// An interrupt is a hint. Whoever waits looks at the device before and after: one may be shared
/// with another device, come late, or be lost.
pub trait Interrupt {
    /// Waits for the interrupt, but no longer than so many nanoseconds. One that came since the last
    /// wait counts.
    fn wait(&self, limit: u64) -> impl Future<Output = ()>;

    /// Nanoseconds since some moment. Never goes back.
    fn now(&self) -> u64;
}

/// How long one wait lasts at most, in nanoseconds, before the device is looked at: how slow
/// things get where interrupts do not arrive.
const SLICE: u64 = 10_000_000;

/// What `look` finds, as soon as it finds something; `None` if it does not within `limit`
/// nanoseconds.
pub async fn until<T>(
    interrupt: &impl Interrupt,
    limit: u64,
    mut look: impl FnMut() -> Option<T>,
) -> Option<T> {
    let end = interrupt.now().saturating_add(limit);
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if interrupt.now() >= end {
            return None;
        }
        interrupt.wait(SLICE).await;
    }
}
