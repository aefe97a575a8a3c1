// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory for DMA.

use alloc::vec::Vec;
use core::iter;
use core::sync::atomic::Ordering;

use prism_boot::PAGE_SIZE;
use prism_drivers::hal::{DeviceMemory, RingMemory};
use xen::shared::Shared;

use crate::memory;

const PAGE: usize = PAGE_SIZE as usize;

/// Contiguous pages, zeroed at first. They are never freed: a device that knows their address may write to
/// them at any time.
pub(crate) struct Pages {
    address: u64,
    pages: Vec<Shared<[u8; PAGE]>>,
}

impl Pages {
    /// Allocates at least `bytes`; `None` if there is no memory. Not for PV domains, whose addresses mean
    /// nothing to a device.
    pub(crate) fn new(bytes: usize) -> Option<Self> {
        let count = bytes.div_ceil(PAGE) as u64;
        let mut pages = Vec::new();
        pages.try_reserve_exact(count as usize).ok()?;
        let address = memory::alloc_zeroed(count * PAGE_SIZE)?;
        let places = (0..count).map(|page| address + page * PAGE_SIZE);
        // SAFETY: a frame of ours, mapped at its own address, page aligned, and used through this value
        // only, for good.
        pages.extend(places.map(|place| unsafe { Shared::at(place) }));
        Some(Self { address, pages })
    }

    /// The word at `offset`, if that is inside and even.
    fn word(&self, offset: usize) -> Option<Shared<u16>> {
        self.pages.get(offset / PAGE)?.field(offset % PAGE)
    }

    /// The page of `offset` and the position in it, then the pages after it from their starts.
    fn pages_from(&self, offset: usize) -> impl Iterator<Item = (Shared<[u8; PAGE]>, usize)> {
        let places = iter::once(offset % PAGE).chain(iter::repeat(0));
        self.pages.iter().copied().skip(offset / PAGE).zip(places)
    }
}

impl DeviceMemory for Pages {
    fn address(&self) -> u64 {
        self.address
    }

    fn length(&self) -> usize {
        self.pages.len() * PAGE
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        let (first, rest) = into.split_at_mut(in_first_page(offset, into.len()));
        let (firsts, others) = (iter::once(first), rest.chunks_mut(PAGE));
        for ((page, start), part) in self.pages_from(offset).zip(firsts.chain(others)) {
            // It lies in the page.
            let _ = page.copy_to(start, part);
        }
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(in_first_page(offset, bytes.len()));
        let (firsts, others) = (iter::once(first), rest.chunks(PAGE));
        for ((page, start), part) in self.pages_from(offset).zip(firsts.chain(others)) {
            // It lies in the page.
            let _ = page.copy_from(start, part);
        }
    }
}

impl RingMemory for Pages {
    fn load(&self, offset: usize) -> u16 {
        self.word(offset).map_or(0, |word| word.atomic().load(Ordering::Acquire))
    }

    fn store(&self, offset: usize, value: u16) {
        if let Some(word) = self.word(offset) {
            word.atomic().store(value, Ordering::Release);
        }
    }
}

/// How many of `length` bytes at `offset` are in the first page.
fn in_first_page(offset: usize, length: usize) -> usize {
    length.min(PAGE - offset % PAGE)
}
