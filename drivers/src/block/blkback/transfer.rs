// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads and writes whose segments are known, and the copies between them and pages of ours.

use alloc::vec::Vec;

use xen::DomainId;
use xen::grant::PAGE_SIZE;
use xen::grant::copy::{Foreign, Piece};

use super::parse::{Direction, Refusal, SECTOR, Segment};
use crate::block::Geometry;

/// A read or write that lies on the disk. Its data lies one segment behind the other.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) direction: Direction,
    /// Where on the disk, in bytes.
    pub(super) offset: u64,
    /// Bytes.
    pub(super) length: usize,
    segments: Vec<Segment>,
}

impl Transfer {
    /// The transfer of these segments from sector `sector` on.
    pub(super) fn new(
        direction: Direction,
        sector: u64,
        segments: Vec<Segment>,
        disk: &Geometry,
    ) -> Result<Self, Refusal> {
        let length = segments.iter().map(|segment| segment.length).sum();
        let offset = sector.checked_mul(SECTOR).ok_or(Refusal::Failed)?;
        let allowed = match direction {
            Direction::Read => disk.check(offset, length as u64),
            Direction::Write | Direction::FlushedWrite => disk.check_write(offset, length as u64),
        };
        allowed.map_err(|_| Refusal::Failed)?;
        Ok(Self { direction, offset, length, segments })
    }

    /// Pages of ours that hold the data.
    pub(super) fn pages(&self) -> usize {
        self.length.div_ceil(PAGE_SIZE)
    }

    /// What is to be copied from or to pages of ours; `None` without memory for the list.
    pub(super) fn pieces(&self, frontend: DomainId) -> Option<Vec<Piece>> {
        let mut pieces = Vec::new();
        // A segment lies over two pages of ours at most.
        pieces.try_reserve(2 * self.segments.len()).ok()?;
        let mut at = 0;
        for segment in &self.segments {
            let foreign = |offset| Foreign { domain: frontend, reference: segment.page, offset };
            let (page, offset) = (at / PAGE_SIZE, at % PAGE_SIZE);
            let now = segment.length.min(PAGE_SIZE - offset);
            pieces.push(Piece { foreign: foreign(segment.offset), page, offset, length: now });
            if now < segment.length {
                let length = segment.length - now;
                pieces.push(Piece {
                    foreign: foreign(segment.offset + now),
                    page: page + 1,
                    offset: 0,
                    length,
                });
            }
            at += segment.length;
        }
        Some(pieces)
    }
}

#[cfg(test)]
mod tests {
    use xen::grant::Reference;

    use super::*;

    const DISK: Geometry = Geometry {
        bytes: 1 << 20,
        sector_size: 4096,
        read_only: false,
        removable: false,
        optical: false,
        discards: false,
    };

    fn segment(page: u32, first: usize, sectors: usize) -> Segment {
        let page = Reference::new(page).unwrap();
        Segment { page, offset: first * 512, length: sectors * 512 }
    }

    fn transfer(sector: u64, segments: Vec<Segment>, disk: &Geometry) -> Result<Transfer, Refusal> {
        Transfer::new(Direction::Write, sector, segments, disk)
    }

    /// Reference, offset there, page of ours, offset there, length.
    fn copies(segments: Vec<Segment>) -> Vec<(u32, usize, usize, usize, usize)> {
        let disk = Geometry { sector_size: 512, ..DISK };
        let pieces = transfer(0, segments, &disk).unwrap().pieces(DomainId(7)).unwrap();
        let numbers = |piece: Piece| {
            let foreign = piece.foreign;
            (foreign.reference.number(), foreign.offset, piece.page, piece.offset, piece.length)
        };
        pieces.into_iter().map(numbers).collect()
    }

    #[test]
    fn whole_pages_are_copied_whole() {
        let copies = copies(vec![segment(9, 0, 8), segment(10, 0, 8)]);
        assert_eq!(copies, [(9, 0, 0, 0, 4096), (10, 0, 1, 0, 4096)]);
    }

    #[test]
    fn segments_lie_behind_each_other_over_the_ends_of_pages() {
        let copies = copies(vec![segment(9, 5, 3), segment(10, 0, 8), segment(11, 7, 1)]);
        let expected =
            [(9, 2560, 0, 0, 1536), (10, 0, 0, 1536, 2560), (10, 2560, 1, 0, 1536), (11, 3584, 1, 1536, 512)];
        assert_eq!(copies, expected);
    }

    #[test]
    fn what_is_not_on_the_disk_or_cannot_be_written_is_refused() {
        let page = || vec![segment(9, 0, 8)];
        assert!(transfer(0, page(), &DISK).is_ok() && transfer(2040, page(), &DISK).is_ok());
        for sector in [2048, 2041, 1, u64::MAX, u64::MAX / 512 - 7, 1 << 55] {
            assert_eq!(transfer(sector, page(), &DISK).unwrap_err(), Refusal::Failed, "{sector}");
        }
        assert!(transfer(0, vec![segment(9, 0, 7)], &DISK).is_err(), "a part of a sector");
        assert!(
            transfer(0, vec![segment(9, 0, 3), segment(10, 2, 5)], &DISK).is_ok(),
            "a sector in two parts"
        );
        let read_only = Geometry { read_only: true, ..DISK };
        assert!(transfer(0, page(), &read_only).is_err());
        assert!(Transfer::new(Direction::Read, 0, page(), &read_only).is_ok());
        assert!(Transfer::new(Direction::FlushedWrite, 0, page(), &read_only).is_err());
    }
}
