// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages of a frontend's that stay mapped: persistent grants (`feature-persistent` of `io/blkif.h`).

use alloc::vec::Vec;

use embassy_futures::yield_now;
use xen::DomainId;
use xen::grant::Reference;
use xen::grant::copy::Piece;
use xen::grant::foreign::ForeignPage;

use super::budget::{Budget, Lease};
use crate::hal::{BackendPlatform, Page};

/// Pages that stay mapped for a ring, at most: those of 32 requests with 32 segments, as many as Linux's
/// frontend has by default.
const MOST: usize = 1024;

/// Pages that are mapped in a turn, at most, as others are to be served, too. A page takes some hypercalls.
const MOST_AT_ONCE: usize = 32;

/// Pages that a frontend keeps granted, and that stay mapped here from their first use on: data is copied
/// from and to them without a hypercall. What is not mapped Xen has to copy.
///
/// The pages are the frontend's, which writes to them at any time: they are copied from once.
pub(super) struct MappedPages<'p, P: BackendPlatform> {
    platform: &'p P,
    budget: &'p Budget,
    frontend: DomainId,
    /// In the order of their references.
    pages: Vec<MappedPage<'p, P>>,
    /// How many others may be mapped in this turn.
    at_once: usize,
    /// Whether others may be mapped at all.
    is_open: bool,
}

struct MappedPage<'p, P: BackendPlatform + 'p> {
    reference: Reference,
    page: P::Mapped<'p>,
    /// Given back when it is unmapped.
    _lease: Lease<'p>,
}

impl<'p, P: BackendPlatform> MappedPages<'p, P> {
    /// None yet, of a frontend that keeps them granted or not.
    pub(super) fn new(platform: &'p P, budget: &'p Budget, frontend: DomainId, is_persistent: bool) -> Self {
        Self { platform, budget, frontend, pages: Vec::new(), at_once: MOST_AT_ONCE, is_open: is_persistent }
    }

    /// Copies from the frontend's page to `pages`; false if Xen has to.
    pub(super) fn read(&mut self, piece: &Piece, pages: &mut [P::Page]) -> bool {
        let own = pages
            .get_mut(piece.page)
            .and_then(|page| page.bytes_mut().get_mut(piece.offset..piece.offset.checked_add(piece.length)?));
        let Some((own, page)) = own.zip(self.find(piece.foreign.reference)) else { return false };
        page.read(piece.foreign.offset, own).is_ok()
    }

    /// Copies from `pages` to the frontend's page; false if Xen has to.
    pub(super) fn write(&mut self, piece: &Piece, pages: &[P::Page]) -> bool {
        let own = pages
            .get(piece.page)
            .and_then(|page| page.bytes().get(piece.offset..piece.offset.checked_add(piece.length)?));
        let Some((own, page)) = own.zip(self.find(piece.foreign.reference)) else { return false };
        page.write(piece.foreign.offset, own).is_ok()
    }

    /// The page, which is mapped if it was not.
    fn find(&mut self, reference: Reference) -> Option<&P::Mapped<'p>> {
        let place = match self.pages.binary_search_by_key(&reference, |mapped| mapped.reference) {
            Ok(place) => place,
            Err(_) if !self.is_open || self.at_once == 0 => return None,
            Err(place) => {
                let mapped = self.map(reference)?;
                self.pages.insert(place, mapped);
                place
            }
        };
        self.pages.get(place).map(|mapped| &mapped.page)
    }

    fn map(&mut self, reference: Reference) -> Option<MappedPage<'p, P>> {
        // A frontend for which there is no room is served all the same.
        if self.pages.len() >= MOST.min(self.budget.mapped.share()) {
            return None;
        }
        self.pages.try_reserve(1).ok()?;
        let lease = self.budget.mapped.take(1)?;
        self.at_once -= 1;
        let page = self.platform.map(self.frontend, reference);
        // So is one whose pages cannot be mapped, but not tried with again.
        self.is_open = page.is_ok();
        Some(MappedPage { reference, page: page.ok()?, _lease: lease })
    }

    /// A turn begins, in which some may be mapped.
    pub(super) fn begin_turn(&mut self) {
        self.at_once = MOST_AT_ONCE;
    }

    /// Unmaps all of them; others are served meanwhile.
    pub(super) async fn clear(&mut self) {
        while !self.pages.is_empty() {
            self.pages.truncate(self.pages.len().saturating_sub(MOST_AT_ONCE));
            yield_now().await;
        }
    }
}
