// SPDX-License-Identifier: MIT OR Apache-2.0
//! A heap that fails. In images small allocations come out of a reserve, and what is above 16 KiB may fail at
//! any time, as pages may: code that allocates so much has to do it by `try_reserve`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::ptr;

/// What is larger may fail: stricter than the kernel, whose limit is 16 KiB.
const LARGE: usize = 4096;

thread_local! {
    /// Large allocations until the one that fails; `None` if none does.
    static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
    /// Whether the driver runs.
    static IS_DRIVER: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator, but for one large allocation of the driver's.
struct Failing;

#[global_allocator]
static HEAP: Failing = Failing;

/// Whether an allocation of so many bytes fails.
fn fails(bytes: usize) -> bool {
    let left = LEFT.get().filter(|_| IS_DRIVER.get() && bytes > LARGE);
    left.is_some_and(|left| {
        LEFT.set(left.checked_sub(1));
        left == 0
    })
}

// SAFETY: passes everything on to the system's, or has not done it.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if fails(layout.size()) {
            return ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if fails(size) {
            return ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// The large allocation of the driver's fails that comes after so many others from now on.
pub(crate) fn fail_after(others: u64) {
    LEFT.set(Some(others));
}

/// Whether it has failed; from now on none does.
pub(crate) fn has_failed() -> bool {
    LEFT.take().is_none()
}

/// The driver's future: what it allocates may fail.
pub(crate) async fn driver<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    poll_fn(|context| {
        IS_DRIVER.set(true);
        let poll = future.as_mut().poll(context);
        IS_DRIVER.set(false);
        poll
    })
    .await
}

/// What the driver does at once: what it allocates may fail.
#[allow(dead_code, reason = "not all tests need it")]
pub(crate) fn at_once<T>(work: impl FnOnce() -> T) -> T {
    IS_DRIVER.set(true);
    let done = work();
    IS_DRIVER.set(false);
    done
}
