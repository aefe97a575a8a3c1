// SPDX-License-Identifier: MIT OR Apache-2.0
//! Telling a task that there is much more free memory, or much less, than there was.

use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::task::{Poll, Waker};

use spin::Mutex;

/// Numbers of free frames that are no news.
static LEAST: AtomicU64 = AtomicU64::new(0);
static MOST: AtomicU64 = AtomicU64::new(u64::MAX);

/// Whether there was any.
static PASSED: AtomicBool = AtomicBool::new(false);
/// The task that waits. Only tried for by those who allocate: they hold other locks.
static WAITING: Mutex<Option<Waker>> = Mutex::new(None);

/// Notes that there are `free` free frames now.
pub(super) fn note(free: u64) {
    if free >= LEAST.load(Ordering::Relaxed) && free <= MOST.load(Ordering::Relaxed) {
        return;
    }
    LEAST.store(0, Ordering::Relaxed);
    MOST.store(u64::MAX, Ordering::Relaxed);
    PASSED.store(true, Ordering::SeqCst);
    // Who holds the lock now looks afterwards.
    if let Some(Some(waker)) = WAITING.try_lock().as_deref() {
        waker.wake_by_ref();
    }
}

/// Waits until there are fewer free frames than `least`, or more than `most`. For one task.
pub(crate) async fn passed(least: u64, most: u64) {
    PASSED.store(false, Ordering::SeqCst);
    LEAST.store(least, Ordering::Relaxed);
    MOST.store(most, Ordering::Relaxed);
    note(super::usage().free / super::PAGE_SIZE);
    poll_fn(|context| {
        *WAITING.lock() = Some(context.waker().clone());
        if PASSED.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
