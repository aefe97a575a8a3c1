// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory of a ring: one or several granted pages, which the backend maps as one.

use alloc::vec::Vec;
use core::fmt;

use xen_sys::io::ring::sring;

use super::entry::{self, Entry};
use crate::DomainId;
use crate::grant::{self, Granted, PAGE_SIZE, Page, ReadWrite, Reference, Table};
use crate::shared::Shared;

/// Bytes of the header.
const HEADER: usize = size_of::<sring>();

/// Granted pages that the backend maps one behind the other.
pub(super) struct Pages<'t, P: Page> {
    /// Never empty.
    granted: Vec<Granted<'t, P, ReadWrite>>,
}

impl<'t, P: Page> Pages<'t, P> {
    /// Grants the pages to `domain`.
    pub(super) fn grant(table: &'t Table<P>, pages: Vec<P>, domain: DomainId) -> Result<Self, NotMade> {
        if pages.is_empty() {
            return Err(NotMade::Shape);
        }
        let mut granted = Vec::new();
        granted.try_reserve_exact(pages.len()).map_err(|_| NotMade::Grant(grant::Error::NoRoom))?;
        for page in pages {
            granted.push(table.try_grant(page, domain).map_err(|refused| NotMade::Grant(refused.error))?);
        }
        Ok(Self { granted })
    }

    /// What the backend is to be told, in order.
    pub(super) fn references(&self) -> impl Iterator<Item = Reference> {
        self.granted.iter().map(Granted::reference)
    }

    /// Whether the backend has one of them mapped at this moment.
    pub(super) fn are_in_use(&self) -> bool {
        self.granted.iter().any(Granted::is_in_use)
    }

    /// Bytes of all pages.
    pub(super) fn bytes(&self) -> usize {
        self.granted.len() * PAGE_SIZE
    }

    /// The header's word at `offset`; used up before `self` is.
    pub(super) fn word(&self, offset: usize) -> Option<Shared<u32>> {
        // SAFETY: callers use the word while they borrow `self`, which keeps the page granted.
        let memory = unsafe { self.granted.first()?.memory() };
        memory.field(offset)
    }

    /// Copies an entry to byte `offset` behind the header.
    pub(super) fn write<E: Entry>(&self, offset: usize, value: &E) {
        let mut rest = entry::bytes_of(value);
        for (page, start, length) in pieces(HEADER + offset, rest.len()) {
            let Some((now, later)) = rest.split_at_checked(length) else { return };
            // There is such a page, and the bytes are in it: the ring's entries are in its pages.
            let _ = self.granted.get(page).map(|page| page.write(start, now));
            rest = later;
        }
    }

    /// Copies an entry from byte `offset` behind the header, once.
    pub(super) fn read<E: Entry>(&self, offset: usize) -> E {
        entry::from_bytes(|mut rest| {
            for (page, start, length) in pieces(HEADER + offset, rest.len()) {
                let Some((now, later)) = rest.split_at_mut_checked(length) else { return };
                // As above.
                let _ = self.granted.get(page).map(|page| page.read(start, now));
                rest = later;
            }
        })
    }
}

/// The pages over which `length` bytes at `offset` lie: of each its index, where in it they begin,
/// and how many there are.
fn pieces(offset: usize, length: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let end = offset + length;
    let mut at = offset;
    core::iter::from_fn(move || {
        let (page, start) = (at / PAGE_SIZE, at % PAGE_SIZE);
        let length = (end - at).min(PAGE_SIZE - start);
        at += length;
        (length != 0).then_some((page, start, length))
    })
}

/// Why there is no ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMade {
    /// No pages, entries of no size, or entries larger than the pages: our mistake.
    Shape,
    /// The pages could not be granted.
    Grant(grant::Error),
}

impl fmt::Display for NotMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape => f.write_str("a ring needs pages with room for an entry"),
            Self::Grant(error) => write!(f, "the ring's pages could not be granted: {error}"),
        }
    }
}

impl core::error::Error for NotMade {}
