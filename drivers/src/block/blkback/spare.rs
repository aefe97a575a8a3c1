// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages of requests that are over, for those to come.

use alloc::vec::Vec;

use super::budget::{self, Lease};
use crate::block::{Buffer, Content};
use crate::hal::Page;

/// Pages that are kept, at most: those of a ring's worth of small requests, or of a few large ones.
const MOST: usize = 64;

/// Pages of requests that are over, for those to come of the same frontend. Fresh pages are cleared, and
/// those that everybody shares take a lock; these are what the frontend's own data was in.
///
/// They count as taken from the budget, and so are kept only while there is much of it, and while the disk
/// works for the frontend.
pub(super) struct Spare<'b, P: Page> {
    budget: &'b budget::Pages,
    lists: Vec<Leased<'b, P>>,
    /// Pages of all lists.
    pages: usize,
}

/// Pages for the data of a request, which are given back to the budget with it.
pub(super) struct Leased<'b, P: Page> {
    pub(super) pages: Vec<P>,
    lease: Lease<'b>,
    /// What is known of what they hold.
    content: Content,
}

impl<'b, P: Page> Leased<'b, P> {
    /// A buffer of `length` bytes of them, and what is given back with it. For data that was copied there it
    /// `is_filled`.
    pub(super) fn into_buffer(self, length: usize, is_filled: bool) -> (Buffer<P>, Lease<'b>) {
        let content = match self.content {
            Content::Zero if is_filled => Content::Own,
            content => content,
        };
        (Buffer::from_pages(self.pages, length).holding(content), self.lease)
    }
}

impl<'b, P: Page> Spare<'b, P> {
    /// No pages.
    pub(super) fn new(budget: &'b budget::Pages) -> Self {
        Self { budget, lists: Vec::new(), pages: 0 }
    }

    /// So many pages, of those that are kept, or else such as `page` makes; `None` if there are not as many.
    pub(super) fn take(&mut self, count: usize, page: impl FnMut() -> Option<P>) -> Option<Leased<'b, P>> {
        if let Some(place) = self.lists.iter().rposition(|list| list.pages.len() == count) {
            self.pages -= count;
            return Some(self.lists.swap_remove(place));
        }
        let mut page = page;
        self.fresh(count, &mut page).or_else(|| {
            // Those that are kept may be what is missing.
            if self.lists.is_empty() {
                return None;
            }
            self.clear();
            self.fresh(count, &mut page)
        })
    }

    fn fresh(&self, count: usize, page: &mut impl FnMut() -> Option<P>) -> Option<Leased<'b, P>> {
        let lease = self.budget.take(count)?;
        let mut pages = Vec::new();
        pages.try_reserve_exact(count).ok()?;
        for _ in 0..count {
            pages.push(page()?);
        }
        Some(Leased { pages, lease, content: Content::Zero })
    }

    /// Keeps the pages of a request that is over, or gives them back.
    pub(super) fn keep(&mut self, pages: Vec<P>, lease: Lease<'b>) {
        let count = pages.len();
        let is_wanted = count > 0 && self.pages + count <= MOST && self.budget.is_ample();
        if is_wanted && lease.pages() == count && self.lists.try_reserve(1).is_ok() {
            self.pages += count;
            self.lists.push(Leased { pages, lease, content: Content::Unknown });
        }
    }

    /// Gives all of them back.
    pub(super) fn clear(&mut self) {
        self.lists.clear();
        self.pages = 0;
    }
}

#[cfg(test)]
mod tests {
    use xen::fake::{FakePage, FakeXen};

    use super::*;

    fn keep<'b>(spare: &mut Spare<'b, FakePage>, budget: &'b budget::Pages, xen: &FakeXen, count: usize) {
        let pages = (0..count).map(|_| xen.page()).collect();
        spare.keep(pages, budget.take(count).unwrap());
    }

    #[test]
    fn pages_that_are_kept_are_taken_first_and_known_to_be_dirty() {
        let (xen, budget) = (FakeXen::new(), budget::Pages::new(100));
        let mut spare = Spare::new(&budget);
        keep(&mut spare, &budget, &xen, 2);
        assert_eq!(budget.free(), 98);
        let kept = spare.take(2, || panic!("there are two")).unwrap();
        let (buffer, lease) = kept.into_buffer(5000, true);
        assert_eq!((buffer.content(), buffer.length()), (Content::Unknown, 5000));
        for (is_filled, content) in [(false, Content::Zero), (true, Content::Own)] {
            let fresh = spare.take(2, || Some(xen.page())).unwrap();
            assert_eq!(fresh.into_buffer(5000, is_filled).0.content(), content);
        }
        drop(lease);
        assert_eq!(budget.free(), 100);
    }

    #[test]
    fn no_more_are_kept_than_a_few_and_none_when_memory_is_scarce() {
        let (xen, budget) = (FakeXen::new(), budget::Pages::new(1000));
        let mut spare = Spare::new(&budget);
        for _ in 0..10 {
            keep(&mut spare, &budget, &xen, 16);
        }
        assert_eq!(budget.free(), 1000 - MOST);
        spare.clear();
        assert_eq!(budget.free(), 1000);
        let others = budget.take(501).unwrap();
        keep(&mut spare, &budget, &xen, 1);
        assert_eq!(budget.free(), 499);
        drop(others);
    }

    #[test]
    fn what_is_kept_makes_way_for_a_request_that_needs_more() {
        let (xen, budget) = (FakeXen::new(), budget::Pages::new(8));
        let mut spare = Spare::new(&budget);
        for _ in 0..3 {
            keep(&mut spare, &budget, &xen, 1);
        }
        assert_eq!(budget.free(), 5);
        let large = spare.take(8, || Some(xen.page())).unwrap();
        assert_eq!((large.pages.len(), budget.free()), (8, 0));
        assert!(spare.take(1, || Some(xen.page())).is_none());
    }
}
