// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLB flushes, deferred: which vCPUs may still have a translation of an unmapped page.
//!
//! A CPU that unmaps a page flushes only its own TLB. Instead of interrupting the others each time, each of
//! them flushes before it relies on the change: before it runs on a stack whose guard page another one made.

use core::sync::atomic::{AtomicU64, Ordering};

/// A moment at which a page was unmapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(u64);

/// When each of `VCPUS` vCPUs forgot what it remembered.
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
    /// None was unmapped yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { now: AtomicU64::new(0), flushed: [const { AtomicU64::new(0) }; VCPUS] }
    }

    /// To be called by `vcpu` when it has unmapped a page, and has forgotten it itself.
    pub fn unmapped(&self, vcpu: u32) -> Epoch {
        let before = self.now.fetch_add(1, Ordering::SeqCst);
        // It knows of all that others unmapped before only if it did so before this one.
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

    /// Whether `vcpu`, which calls, has to forget everything before it relies on what was unmapped at
    /// `epoch`. It counts as done from then on.
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
