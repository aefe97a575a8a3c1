// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory that devices read and write by themselves.

use alloc::vec::Vec;

use prism_boot::PAGE_SIZE;
use prism_drivers::dma::DeviceMemory;
use xen::shared::Shared;

use crate::memory;

/// Bytes that are copied at once.
const BLOCK: usize = 64;
const PAGE: usize = PAGE_SIZE as usize;

/// Whole pages that follow each other, zero at first. Never given back: a device that was told of them
/// may write there at any time.
pub(crate) struct Pages {
    address: u64,
    pages: Vec<Shared<[u8; PAGE]>>,
}

impl Pages {
    /// At least `bytes` bytes; `None` if there is no memory. Not for PV domains, whose addresses are no
    /// device's.
    pub(crate) fn new(bytes: usize) -> Option<Self> {
        let count = bytes.div_ceil(PAGE) as u64;
        let address = memory::take_zeroed(count * PAGE_SIZE)?;
        let places = (0..count).map(|page| address + page * PAGE_SIZE);
        // SAFETY: a frame of ours, mapped at its own address, page aligned, and used through this value
        // only, for good.
        let pages = places.map(|place| unsafe { Shared::at(place) }).collect();
        Some(Self { address, pages })
    }

    /// The `T` at `offset`, if it lies in one page.
    fn at<T: xen::shared::Plain>(&self, offset: usize) -> Option<Shared<T>> {
        self.pages.get(offset / PAGE)?.field(offset % PAGE)
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
        for (index, part) in into.chunks_mut(BLOCK).enumerate() {
            let start = offset.saturating_add(index * BLOCK);
            match (<&mut [u8; BLOCK]>::try_from(&mut *part), self.at::<[u8; BLOCK]>(start)) {
                (Ok(part), Some(block)) => *part = block.read(),
                _ => {
                    for (byte, place) in part.iter_mut().zip(start..) {
                        *byte = self.at::<u8>(place).map_or(0, Shared::read);
                    }
                }
            }
        }
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        for (index, part) in bytes.chunks(BLOCK).enumerate() {
            let start = offset.saturating_add(index * BLOCK);
            match (<[u8; BLOCK]>::try_from(part), self.at::<[u8; BLOCK]>(start)) {
                (Ok(part), Some(block)) => block.write(part),
                _ => {
                    for (byte, place) in part.iter().zip(start..) {
                        if let Some(at) = self.at(place) {
                            at.write(*byte);
                        }
                    }
                }
            }
        }
    }
}
