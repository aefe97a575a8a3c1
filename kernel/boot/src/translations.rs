// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLB flushes, deferred: which vCPUs may still have a translation of an unmapped page.
//!
//! A CPU that unmaps a page flushes only its own TLB. Instead of interrupting the others each time, each of
//! them flushes before it relies on the change: before it runs on a stack whose guard page another one made.

use core::sync::atomic::{AtomicU64, Ordering};

/// The epoch of an unmapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(u64);

/// When each of `VCPUS` vCPUs flushed its TLB last.
///
/// # Examples
///
/// ```
/// use prism_boot::translations::Translations;
///
/// let translations = Translations::<2>::new();
/// let epoch = translations.unmapped(0); // by vCPU 0, which has forgotten the page
/// assert!(!translations.must_flush(0, epoch));
/// assert!(translations.must_flush(1, epoch), "vCPU 1 may still remember it");
/// assert!(!translations.must_flush(1, epoch), "not any more");
/// ```
#[derive(Debug)]
pub struct Translations<const VCPUS: usize> {
    now: AtomicU64,
    flushed: [AtomicU64; VCPUS],
}

impl<const VCPUS: usize> Translations<VCPUS> {
    /// No page was unmapped yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { now: AtomicU64::new(0), flushed: [const { AtomicU64::new(0) }; VCPUS] }
    }

    /// Call this on `vcpu` after it has unmapped a page, and flushed it from its own TLB.
    pub fn unmapped(&self, vcpu: u32) -> Epoch {
        let before = self.now.fetch_add(1, Ordering::SeqCst);
        // It has flushed what others unmapped before only if it had done so before this.
        if let Some(flushed) = self.flushed.get(vcpu as usize) {
            let _ = flushed.compare_exchange(
                before,
                before.saturating_add(1),
                Ordering::SeqCst,
                Ordering::SeqCst,
            );
        }
        Epoch(before.saturating_add(1))
    }

    /// Whether the calling vCPU `vcpu` has to flush its TLB before it relies on the unmapping of `epoch`. The
    /// flush counts as done from then on.
    pub fn must_flush(&self, vcpu: u32, epoch: Epoch) -> bool {
        let Some(flushed) = self.flushed.get(vcpu as usize) else { return true };
        if flushed.load(Ordering::SeqCst) >= epoch.0 {
            return false;
        }
        flushed.store(self.now.load(Ordering::SeqCst), Ordering::SeqCst);
        true
    }
}

impl<const VCPUS: usize> Default for Translations<VCPUS> {
    fn default() -> Self {
        Self::new()
    }
}
