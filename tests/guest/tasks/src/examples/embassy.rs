// SPDX-License-Identifier: MIT OR Apache-2.0
use core::sync::atomic::{AtomicU32, Ordering};

use embassy_executor::Spawner;
use embassy_time::Timer;

static TICKS: AtomicU32 = AtomicU32::new(0);

#[embassy_executor::task]
async fn ticker(count: u32) {
    for _ in 0..count {
        Timer::after_millis(1).await;
        TICKS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Starts the ticker beside the calling task, by the spawner that `prism::Context::spawner` gives.
pub(crate) fn start(spawner: Spawner, count: u32) -> prism::Result {
    spawner.spawn(ticker(count).map_err(|_| "the ticker runs already")?);
    Ok(())
}

pub(crate) fn ticks() -> u32 {
    TICKS.load(Ordering::Relaxed)
}
