// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console's lock. It knows which vCPU holds it, so that a crash report can tell whether that vCPU will
//! ever release it.

use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

use prism_arch::{cpu, vcpu};
use spin::{Mutex, MutexGuard};

use super::Console;

/// Nobody has the lock, or somebody is just getting it.
const NOBODY: u32 = 0;
/// The holder will never release the lock.
const ABANDONED: u32 = u32::MAX;

/// The console, for one vCPU at a time.
pub(super) struct Lock {
    console: Mutex<Console>,
    /// The vCPU that holds it, counted from 1, as far as known.
    holder: AtomicU32,
}

/// The console, while it is this vCPU's.
pub(super) struct Held {
    console: MutexGuard<'static, Console>,
    holder: &'static AtomicU32,
}

impl Lock {
    pub(super) const fn new(console: Console) -> Self {
        Self { console: Mutex::new(console), holder: AtomicU32::new(NOBODY) }
    }

    /// Waits for the console without a limit.
    pub(super) fn lock(&'static self) -> Held {
        self.held(self.console.lock())
    }

    /// Waits for the console while `goes_on` says so.
    pub(super) fn lock_while(&'static self, mut goes_on: impl FnMut() -> bool) -> Option<Held> {
        loop {
            if let Some(console) = self.console.try_lock() {
                return Some(self.held(console));
            }
            if !goes_on() {
                return None;
            }
            cpu::relax();
        }
    }

    /// The same for a vCPU that has crashed. It takes the console from a holder that will never release it,
    /// which may be itself.
    pub(super) fn lock_after_crash(&'static self, goes_on: impl FnMut() -> bool) -> Option<Held> {
        if [own(), ABANDONED].contains(&self.holder.load(Ordering::Acquire)) {
            self.holder.store(NOBODY, Ordering::Release);
            // SAFETY: who has the lock is this vCPU, which has crashed and will not return to what it was
            // doing, or one that has stopped. Nobody else takes it from them: one vCPU reports a crash.
            unsafe { self.console.force_unlock() };
        }
        self.lock_while(goes_on)
    }

    /// Call this before the calling vCPU stops for good: if it holds the console, others may take it.
    pub(super) fn abandon(&self) {
        let _ = self.holder.compare_exchange(own(), ABANDONED, Ordering::AcqRel, Ordering::Relaxed);
    }

    fn held(&'static self, console: MutexGuard<'static, Console>) -> Held {
        self.holder.store(own(), Ordering::Release);
        Held { console, holder: &self.holder }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The lock itself is free only after this.
        self.holder.store(NOBODY, Ordering::Release);
    }
}

impl Deref for Held {
    type Target = Console;

    fn deref(&self) -> &Console {
        &self.console
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Console {
        &mut self.console
    }
}

/// The calling vCPU, counted from 1.
fn own() -> u32 {
    vcpu::number() + 1
}
