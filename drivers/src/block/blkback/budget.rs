// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much memory the requests of all frontends may take.

use core::sync::atomic::{AtomicUsize, Ordering};

/// Pages that there are for the data of requests, of all devices together.
#[derive(Debug)]
pub struct Budget {
    all: usize,
    free: AtomicUsize,
}

impl Budget {
    /// So many pages.
    pub const fn new(pages: usize) -> Self {
        Self { all: pages, free: AtomicUsize::new(pages) }
    }

    /// Pages that nobody has.
    pub fn free(&self) -> usize {
        self.free.load(Ordering::Relaxed)
    }

    /// Whether somebody may keep pages that it does not use at the moment: at least half of all are free.
    pub(super) fn is_ample(&self) -> bool {
        self.free() >= self.all / 2
    }

    /// Takes pages, to be given back when the lease is dropped; `None` if there are not as many.
    pub(super) fn take(&self, pages: usize) -> Option<Lease<'_>> {
        let less = |free: usize| free.checked_sub(pages);
        self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok()?;
        Some(Lease { budget: self, pages })
    }
}

/// Pages of a budget that are taken.
#[derive(Debug)]
pub(super) struct Lease<'b> {
    budget: &'b Budget,
    pages: usize,
}

impl Lease<'_> {
    /// How many that are.
    pub(super) fn pages(&self) -> usize {
        self.pages
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.budget.free.fetch_add(self.pages, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_come_back_and_there_are_no_more_than_there_were() {
        let budget = Budget::new(10);
        let lease = budget.take(7).unwrap();
        assert!(budget.take(4).is_none());
        let rest = budget.take(3);
        assert_eq!(budget.free(), 0);
        assert!(!budget.is_ample());
        drop((lease, rest));
        assert!(budget.is_ample());
        assert_eq!(budget.free(), 10);
    }
}
