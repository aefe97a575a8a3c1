// SPDX-License-Identifier: MIT OR Apache-2.0
//! The atomics that events are made of: the processor's, or under `--cfg loom` those of the model
//! checker, which tries every order of every access.

#[cfg(not(all(test, loom)))]
pub(super) use core::sync::atomic::AtomicBool;
#[cfg(all(test, loom))]
pub(super) use loom::sync::atomic::AtomicBool;
#[cfg(not(all(test, loom)))]
pub(super) use spin::Mutex;

use core::sync::atomic::{AtomicU32, Ordering};

/// 32 bits that others change at the same time. Every access is sequentially consistent, as Xen's
/// own are on this architecture.
pub(super) trait Bits32 {
    /// The value now.
    fn get(&self) -> u32;

    /// Replaces `old` by `new`, or says what is there instead of `old`.
    fn replace(&self, old: u32, new: u32) -> Result<u32, u32>;

    /// Sets these bits, and says what was there before.
    fn set(&self, bits: u32) -> u32;

    /// Clears these bits, and says what was there before.
    fn clear(&self, bits: u32) -> u32;
}

macro_rules! bits {
    ($atomic:ty) => {
        impl Bits32 for $atomic {
            fn get(&self) -> u32 {
                self.load(Ordering::SeqCst)
            }

            fn replace(&self, old: u32, new: u32) -> Result<u32, u32> {
                self.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst)
            }

            fn set(&self, bits: u32) -> u32 {
                self.fetch_or(bits, Ordering::SeqCst)
            }

            fn clear(&self, bits: u32) -> u32 {
                self.fetch_and(!bits, Ordering::SeqCst)
            }
        }
    };
}

bits!(AtomicU32);
#[cfg(all(test, loom))]
bits!(loom::sync::atomic::AtomicU32);

/// The model checker's lock, used like `spin`'s.
#[cfg(all(test, loom))]
#[derive(Default)]
pub(super) struct Mutex<T>(loom::sync::Mutex<T>);

#[cfg(all(test, loom))]
impl<T> Mutex<T> {
    pub(super) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
