// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages of ours that Xen copies to and from.

use alloc::vec::Vec;

use xen::grant::copy::{Foreign, Piece};
use xen::grant::{PAGE_SIZE, Page};

use crate::hal::Platform;

/// Pages that are filled one behind the other, and then used anew.
pub(super) struct Staging<P> {
    pub(super) pages: Vec<P>,
    /// Bytes that are in use.
    used: usize,
}

impl<P: Page> Staging<P> {
    /// So many pages; `None` if there is no memory.
    pub(super) fn new(platform: &impl Platform<Page = P>, pages: usize) -> Option<Self> {
        let pages = (0..pages).map(|_| platform.page()).collect::<Option<_>>()?;
        Some(Self { pages, used: 0 })
    }

    /// All bytes are free again.
    pub(super) fn clear(&mut self) {
        self.used = 0;
    }

    /// Bytes that are free.
    pub(super) fn room(&self) -> usize {
        (self.pages.len() * PAGE_SIZE).saturating_sub(self.used)
    }

    /// Adds the pieces that copy `length` bytes of a granted page to the next free bytes, over which pages of
    /// ours these may lie.
    pub(super) fn append(&mut self, from: Foreign, length: usize, pieces: &mut Vec<Piece>) {
        let mut done = 0;
        while done < length {
            let (page, offset) = (self.used / PAGE_SIZE, self.used % PAGE_SIZE);
            let now = (length - done).min(PAGE_SIZE - offset);
            let foreign = Foreign { offset: from.offset + done, ..from };
            pieces.push(Piece { foreign, page, offset, length: now });
            done += now;
            self.used += now;
        }
    }

    /// Where the next free byte is.
    pub(super) fn position(&self) -> usize {
        self.used
    }

    /// A copy of `length` bytes from `start` on; `None` without memory for that.
    pub(super) fn read(&self, start: usize, length: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).ok()?;
        while bytes.len() < length {
            let at = start + bytes.len();
            let offset = at % PAGE_SIZE;
            let now = (length - bytes.len()).min(PAGE_SIZE - offset);
            bytes.extend_from_slice(self.pages.get(at / PAGE_SIZE)?.bytes().get(offset..offset + now)?);
        }
        Some(bytes)
    }

    /// Puts `bytes`, no more than a page, into a page, and returns the piece that copies them to a granted
    /// one; `None` if there is no room.
    pub(super) fn put(&mut self, bytes: &[u8], to: Foreign) -> Option<Piece> {
        let left = PAGE_SIZE - self.used % PAGE_SIZE;
        if bytes.len() > left {
            self.used += left;
        }
        let (page, offset) = (self.used / PAGE_SIZE, self.used % PAGE_SIZE);
        let place = self.pages.get_mut(page)?.bytes_mut().get_mut(offset..offset + bytes.len())?;
        place.copy_from_slice(bytes);
        self.used += bytes.len();
        Some(Piece { foreign: to, page, offset, length: bytes.len() })
    }
}

#[cfg(test)]
mod tests {
    use xen::DomainId;
    use xen::grant::Reference;

    use super::*;
    use crate::sim::{Clock, SimPlatform};

    fn foreign(page: u32) -> Foreign {
        Foreign { domain: DomainId(7), reference: Reference::new(page).unwrap(), offset: 100 }
    }

    fn numbers(piece: &Piece) -> (usize, usize, usize, usize) {
        (piece.foreign.offset, piece.page, piece.offset, piece.length)
    }

    #[test]
    fn what_comes_lies_one_behind_the_other_over_the_ends_of_pages() {
        let platform = SimPlatform::new(Clock::Stopped);
        let mut staging = Staging::new(&platform, 2).unwrap();
        let mut pieces = Vec::new();
        for length in [3000, 2000, 0] {
            staging.append(foreign(9), length, &mut pieces);
        }
        let pieces: Vec<_> = pieces.iter().map(numbers).collect();
        assert_eq!(pieces, [(100, 0, 0, 3000), (100, 0, 3000, 1096), (1196, 1, 0, 904)]);
        assert_eq!((staging.position(), staging.room()), (5000, 8192 - 5000));
        staging.pages[0].bytes_mut()[4095] = 1;
        staging.pages[1].bytes_mut()[0] = 2;
        assert_eq!(staging.read(4094, 4).unwrap(), [0, 1, 2, 0]);
        assert!(staging.read(8190, 3).is_none());
    }

    #[test]
    fn what_goes_lies_in_one_page() {
        let platform = SimPlatform::new(Clock::Stopped);
        let mut staging = Staging::new(&platform, 2).unwrap();
        assert_eq!(numbers(&staging.put(&[1; 3000], foreign(9)).unwrap()), (100, 0, 0, 3000));
        assert_eq!(numbers(&staging.put(&[2; 2000], foreign(9)).unwrap()), (100, 1, 0, 2000));
        assert_eq!(numbers(&staging.put(&[3; 2096], foreign(9)).unwrap()), (100, 1, 2000, 2096));
        assert!(staging.put(&[4], foreign(9)).is_none());
        staging.clear();
        assert_eq!(numbers(&staging.put(&[5; 4096], foreign(9)).unwrap()), (100, 0, 0, 4096));
        assert_eq!(Page::bytes(&staging.pages[1])[2000..], [3; 2096]);
    }
}
