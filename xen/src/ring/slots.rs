// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory of a ring, as one end has it: a header, and the slots behind it, in one or several pages.

use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::Ordering;

use xen_sys::io::ring::{__CONST_RING_SIZE, sring};

use super::entry::{self, Entry};
use crate::grant::foreign::{MapSlot, Mapping};
use crate::grant::{self, Granted, Memory, PAGE_SIZE, Page, ReadWrite};
use crate::shared::Shared;
use crate::{DomainId, Hypercall};

/// Bytes of the header.
const HEADER: usize = size_of::<sring>();

/// In which order words of the header are read, before what they show, and written, behind it.
pub(super) const LOAD: Ordering = Ordering::Acquire;
pub(super) const STORE: Ordering = Ordering::Release;

/// A page of a ring, as one end has it: [granted](Granted) to the other one, or [mapped](Mapping) from it.
///
/// # Safety
///
/// As long as the value lives, [`memory`](Self::memory) is the same page, mapped for reading and writing, and
/// nobody in this domain uses it but through this value.
pub unsafe trait RingPage {
    /// The page's memory, which the other end writes at any moment.
    ///
    /// # Safety
    ///
    /// What is returned, and what is made of it, is not used after this value is gone.
    unsafe fn memory(&self) -> Memory;
}

// SAFETY: a granted page is the table's until its grant ends.
unsafe impl<P: Page> RingPage for Granted<'_, P, ReadWrite> {
    unsafe fn memory(&self) -> Memory {
        // SAFETY: the caller's promise.
        unsafe { Granted::memory(self) }
    }
}

// SAFETY: the page is mapped, writable, until the value is dropped.
unsafe impl<H: Hypercall + ?Sized, S: MapSlot> RingPage for Mapping<'_, H, S, ReadWrite> {
    unsafe fn memory(&self) -> Memory {
        // SAFETY: the caller's promise.
        unsafe { Mapping::memory(self) }
    }
}

/// Header and slots of a ring, in pages that lie one behind the other for both ends.
pub(crate) struct Slots<M> {
    /// Never empty.
    pages: Vec<M>,
    /// Bytes of a slot.
    size: usize,
    /// Number of slots, a power of two.
    count: u32,
}

#[cfg_attr(all(test, loom), allow(dead_code, reason = "the model checker has its own"))]
impl<M: RingPage> Slots<M> {
    /// The ring in `pages`, with slots of `size` bytes.
    ///
    /// # Errors
    ///
    /// [`NotMade::Shape`]; the pages are dropped.
    pub(crate) fn new(pages: Vec<M>, size: usize) -> Result<Self, NotMade> {
        let word = |bytes: usize| u32::try_from(bytes).ok().filter(|bytes| *bytes != 0).ok_or(NotMade::Shape);
        let count = __CONST_RING_SIZE(word(size)?, word(pages.len().saturating_mul(PAGE_SIZE))?);
        if count == 0 { Err(NotMade::Shape) } else { Ok(Self { pages, size, count }) }
    }

    pub(crate) fn pages(&self) -> &[M] {
        &self.pages
    }

    pub(crate) fn into_pages(self) -> Vec<M> {
        self.pages
    }

    /// Bytes of a slot.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Number of slots, a power of two.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Copies an entry to the slot of a free-running index.
    pub(crate) fn write<E: Entry>(&self, index: u32, value: &E) {
        let mut rest = entry::bytes_of(value);
        for (page, start, length) in self.pieces(index, rest.len()) {
            let Some((now, later)) = rest.split_at_checked(length) else { return };
            // There is such a page, and the bytes are in it, as all slots are in the pages.
            let _ = self.page(page).map(|page| page.copy_from(start, now));
            rest = later;
        }
    }

    /// Copies an entry from the slot of a free-running index, once.
    pub(crate) fn read<E: Entry>(&self, index: u32) -> E {
        entry::from_bytes(|mut rest| {
            for (page, start, length) in self.pieces(index, rest.len()) {
                let Some((now, later)) = rest.split_at_mut_checked(length) else { return };
                // As above.
                let _ = self.page(page).map(|page| page.copy_to(start, now));
                rest = later;
            }
        })
    }

    /// Reads the header's word at `offset`; what the other side wrote before it can be read after this.
    pub(crate) fn load(&self, offset: usize) -> u32 {
        self.word(offset).map_or(0, |word| word.atomic().load(LOAD))
    }

    /// Writes the header's word at `offset`; what we wrote before is seen before it.
    pub(crate) fn store(&self, offset: usize, value: u32) {
        if let Some(word) = self.word(offset) {
            word.atomic().store(value, STORE);
        }
    }

    /// Used up before `self` is.
    fn word(&self, offset: usize) -> Option<Shared<u32>> {
        self.page(0)?.field(offset)
    }

    /// Used up before `self` is.
    fn page(&self, index: usize) -> Option<Memory> {
        // SAFETY: callers use the memory while they borrow `self`, which keeps the page.
        self.pages.get(index).map(|page| unsafe { page.memory() })
    }

    /// Over which pages an entry of `length` bytes lies, no more than a slot has: of each page its number,
    /// where in it the bytes begin, and how many there are.
    fn pieces(&self, index: u32, length: usize) -> impl Iterator<Item = (usize, usize, usize)> + use<M> {
        let mut at = HEADER + (index & (self.count - 1)) as usize * self.size;
        let end = at + length.min(self.size);
        core::iter::from_fn(move || {
            let (page, start) = (at / PAGE_SIZE, at % PAGE_SIZE);
            let length = (end - at).min(PAGE_SIZE - start);
            at += length;
            (length != 0).then_some((page, start, length))
        })
    }
}

/// Grants the pages of a ring to `domain`.
pub(super) fn grant<P: Page>(
    table: &grant::Table<P>,
    pages: Vec<P>,
    domain: DomainId,
) -> Result<Vec<Granted<'_, P, ReadWrite>>, NotMade> {
    let mut granted = Vec::new();
    granted.try_reserve_exact(pages.len()).map_err(|_| NotMade::Grant(grant::Error::NoRoom))?;
    for page in pages {
        granted.push(table.try_grant(page, domain).map_err(|refused| NotMade::Grant(refused.error))?);
    }
    Ok(granted)
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
