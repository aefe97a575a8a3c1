// SPDX-License-Identifier: MIT OR Apache-2.0
//! A waker for tests, which counts.

extern crate std;

use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::task::Wake;

/// How often a task was woken.
#[derive(Default)]
pub(crate) struct Count(AtomicU32);

impl Count {
    pub(crate) fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
