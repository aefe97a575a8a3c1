// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much memory the requests of all frontends may take.

use core::sync::atomic::{AtomicUsize, Ordering};

/// Pages that there are for all devices together.
#[derive(Debug)]
pub struct Budget {
    /// For the data of requests.
    pub(super) data: Pages,
    /// Of frontends', to stay mapped: in a PV domain each takes the place of a page of ours.
    pub(super) mapped: Pages,
}

impl Budget {
    /// So many pages for data, and as many of frontends' that stay mapped.
    pub const fn new(pages: usize) -> Self {
        Self { data: Pages::new(pages), mapped: Pages::new(pages) }
    }

    /// Pages for data that nobody has.
    pub fn free(&self) -> usize {
        self.data.free()
    }

    /// Pages of frontends' that stay mapped.
    pub fn mapped(&self) -> usize {
        self.mapped.all - self.mapped.free()
    }
}

/// Pages that there are for one purpose.
#[derive(Debug)]
pub(super) struct Pages {
    all: usize,
    free: AtomicUsize,
}

impl Pages {
    /// So many pages.
    pub(super) const fn new(pages: usize) -> Self {
        Self { all: pages, free: AtomicUsize::new(pages) }
    }

    /// Pages that nobody has.
    pub(super) fn free(&self) -> usize {
        self.free.load(Ordering::Relaxed)
    }

    /// How many one frontend may keep.
    pub(super) fn share(&self) -> usize {
        self.all / 2
    }

    /// Whether somebody may keep pages that it does not use at the moment: at least half of all are free.
    pub(super) fn is_ample(&self) -> bool {
        self.free() >= self.all / 2
    }

    /// Takes pages, to be given back when the lease is dropped; `None` if there are not as many.
    pub(super) fn take(&self, pages: usize) -> Option<Lease<'_>> {
        let less = |free: usize| free.checked_sub(pages);
        self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok()?;
        Some(Lease { from: self, pages })
    }
}

/// Pages that are taken.
#[derive(Debug)]
pub(super) struct Lease<'b> {
    from: &'b Pages,
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
        self.from.free.fetch_add(self.pages, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_come_back_and_there_are_no_more_than_there_were() {
        let budget = Pages::new(10);
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
