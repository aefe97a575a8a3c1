// SPDX-License-Identifier: MIT OR Apache-2.0
//! A storm of spurious events.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use prism::embassy_time::{Instant, with_timeout};
use prism::event::EventChannel;
use prism::futures::yield_now;
use prism::{Context, println};

use crate::LIMIT;

/// A task is told of `count` events, and finds nothing to do each time: it is woken less and less,
/// and other tasks go on. The last event is not lost.
pub(crate) async fn spurious(context: &Context, count: u32) -> prism::Result<bool> {
    let channel = Arc::new(EventChannel::to_self(0)?);
    let wakes = Arc::new(AtomicU32::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let (waiter, woken, stop) = (Arc::clone(&channel), Arc::clone(&wakes), Arc::clone(&over));
    context.spawn(async move {
        while !stop.load(Ordering::SeqCst) {
            waiter.wait().await;
            woken.fetch_add(1, Ordering::SeqCst);
            waiter.found_nothing();
        }
    })?;
    let start = Instant::now();
    for _ in 0..count {
        channel.notify()?;
        yield_now().await;
    }
    let during = wakes.load(Ordering::SeqCst);
    let most = 12 + start.elapsed().as_millis() / 128;
    over.store(true, Ordering::SeqCst);
    channel.notify()?;
    let ended = with_timeout(LIMIT, async {
        while Arc::strong_count(&channel) > 1 {
            yield_now().await;
        }
    });
    let last = ended.await.is_ok();
    println!("the last event of a storm was not lost: {last}");
    println!("{count} events that meant nothing woke their task {during} times, at most {most} are fair");
    Ok(last && u64::from(during) <= most)
}
