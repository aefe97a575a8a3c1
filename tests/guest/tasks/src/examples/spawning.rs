// SPDX-License-Identifier: MIT OR Apache-2.0
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use prism::Context;
use prism::task::{Duration, TimeoutError, with_timeout, yield_now};

/// Starts `count` tasks beside this one, and waits until all of them have done their work.
pub(crate) async fn many(context: &Context, count: u32) -> prism::Result<u32> {
    let done = Arc::new(AtomicU32::new(0));
    for _ in 0..count {
        let done = Arc::clone(&done);
        context.spawn(async move {
            yield_now().await;
            done.fetch_add(1, Ordering::Relaxed);
        })?;
    }
    let all = async {
        while done.load(Ordering::Relaxed) < count {
            yield_now().await;
        }
    };
    with_timeout(Duration::from_secs(20), all).await.map_err(|TimeoutError| "some task never ended")?;
    Ok(done.load(Ordering::Relaxed))
}
