// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests as they lie in the ring (`xen/include/public/io/blkif.h`), from a frontend that may have written
//! anything.

use alloc::vec::Vec;
use core::mem::offset_of;

use xen::grant::{PAGE_SIZE, Reference};
use xen_sys::io::blkif::*;

/// Bytes of a sector on the ring and in xenstore, whatever the disk's sector size is.
pub(super) const SECTOR: u64 = 512;

/// Bytes of an entry of the ring.
pub(super) const ENTRY: usize = size_of::<blkif_request>();

/// Segments that an indirect request may have: 256 KiB. They lie in one page.
pub(super) const MOST_SEGMENTS: usize = 64;

/// Bytes of a segment in such a page.
pub(super) const SEGMENT: usize = size_of::<blkif_request_segment>();

/// A request, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) reply: Reply,
    pub(super) work: Result<Work, Refusal>,
}

/// What a response repeats of its request: of an indirect one, the operation inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    id: u64,
    operation: u8,
}

/// Why a request is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is an operation that was not offered.
    Unsupported,
    /// It makes no sense, or the disk could not do it.
    Failed,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Move data.
    Move(Move),
    /// Make what was written durable.
    Flush,
    /// Forget so many sectors.
    Discard { sector: u64, count: u64 },
}

/// Data that is to be moved.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) direction: Direction,
    /// First sector on the disk.
    pub(super) sector: u64,
    pub(super) segments: Segments,
}

/// Which way data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the disk to the frontend.
    Read,
    /// From the frontend to the disk.
    Write,
    /// The same, behind all writes that were finished before, and durable.
    FlushedWrite,
}

/// Where the segments are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Segments {
    /// In the request.
    Direct(Vec<Segment>),
    /// So many of them, from the start of this page on.
    Indirect { count: usize, page: Reference },
}

/// Whole sectors in a page of the frontend's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) page: Reference,
    /// Where they begin in the page, in bytes.
    pub(super) offset: usize,
    /// Bytes.
    pub(super) length: usize,
}

impl Reply {
    pub(super) fn response(self, outcome: Result<(), Refusal>) -> blkif_response {
        let status = match outcome {
            Ok(()) => BLKIF_RSP_OKAY,
            Err(Refusal::Unsupported) => BLKIF_RSP_EOPNOTSUPP,
            Err(Refusal::Failed) => BLKIF_RSP_ERROR,
        };
        blkif_response { id: self.id, operation: self.operation, status, ..Default::default() }
    }
}

/// Takes a request apart.
pub(super) fn parse(entry: &[u8; ENTRY]) -> Parsed {
    let operation = byte(entry, offset_of!(blkif_request, operation));
    let told = match operation {
        // As Linux's backend does, and its frontend expects (`dispatch_rw_block_io`, `blkif_interrupt`).
        BLKIF_OP_INDIRECT => byte(entry, offset_of!(blkif_request_indirect, indirect_op)),
        _ => operation,
    };
    let reply = Reply { id: word(entry, offset_of!(blkif_request, id)), operation: told };
    let sector = word(entry, offset_of!(blkif_request, sector_number));
    let work = match operation {
        BLKIF_OP_READ => direct(entry, sector, Direction::Read),
        BLKIF_OP_WRITE => direct(entry, sector, Direction::Write),
        BLKIF_OP_FLUSH_DISKCACHE => match byte(entry, offset_of!(blkif_request, nr_segments)) {
            0 => Ok(Work::Flush),
            _ => direct(entry, sector, Direction::FlushedWrite),
        },
        BLKIF_OP_DISCARD => discard(entry, sector),
        BLKIF_OP_INDIRECT => indirect(entry),
        _ => Err(Refusal::Unsupported),
    };
    Parsed { reply, work }
}

fn direct(entry: &[u8; ENTRY], sector: u64, direction: Direction) -> Result<Work, Refusal> {
    let count = usize::from(byte(entry, offset_of!(blkif_request, nr_segments)));
    if !(1..=BLKIF_MAX_SEGMENTS_PER_REQUEST).contains(&count) {
        return Err(Refusal::Failed);
    }
    let bytes = entry.get(offset_of!(blkif_request, seg)..).unwrap_or_default();
    Ok(Work::Move(Move { direction, sector, segments: Segments::Direct(segments(bytes, count)?) }))
}

fn indirect(entry: &[u8; ENTRY]) -> Result<Work, Refusal> {
    let direction = match byte(entry, offset_of!(blkif_request_indirect, indirect_op)) {
        BLKIF_OP_READ => Direction::Read,
        BLKIF_OP_WRITE => Direction::Write,
        _ => return Err(Refusal::Failed),
    };
    let sector = word(entry, offset_of!(blkif_request_indirect, sector_number));
    let count =
        usize::from(u16::from_ne_bytes(bytes(entry, offset_of!(blkif_request_indirect, nr_segments))));
    if !(1..=MOST_SEGMENTS).contains(&count) {
        return Err(Refusal::Failed);
    }
    let page = u32::from_ne_bytes(bytes(entry, offset_of!(blkif_request_indirect, indirect_grefs)));
    let segments = Segments::Indirect { count, page: Reference::new(page).ok_or(Refusal::Failed)? };
    Ok(Work::Move(Move { direction, sector, segments }))
}

fn discard(entry: &[u8; ENTRY], sector: u64) -> Result<Work, Refusal> {
    // Not offered: `discard-secure`.
    if byte(entry, offset_of!(blkif_request_discard, flag)) & BLKIF_DISCARD_SECURE != 0 {
        return Err(Refusal::Unsupported);
    }
    Ok(Work::Discard { sector, count: word(entry, offset_of!(blkif_request_discard, nr_sectors)) })
}

/// The first `count` segments of a list that was copied out of a frontend's page, or of a request.
pub(super) fn segments(list: &[u8], count: usize) -> Result<Vec<Segment>, Refusal> {
    let (list, _) = list.as_chunks::<SEGMENT>();
    list.get(..count).ok_or(Refusal::Failed)?.iter().map(segment).collect()
}

fn segment(list: &[u8; SEGMENT]) -> Result<Segment, Refusal> {
    let page = Reference::new(u32::from_ne_bytes(bytes(list, offset_of!(blkif_request_segment, gref))));
    let first = usize::from(byte(list, offset_of!(blkif_request_segment, first_sect)));
    let last = usize::from(byte(list, offset_of!(blkif_request_segment, last_sect)));
    if first > last || last >= PAGE_SIZE / SECTOR as usize {
        return Err(Refusal::Failed);
    }
    let (offset, length) = (first * SECTOR as usize, (last - first + 1) * SECTOR as usize);
    Ok(Segment { page: page.ok_or(Refusal::Failed)?, offset, length })
}

/// The bytes of a field, which lies inside.
fn bytes<const N: usize>(entry: &[u8], offset: usize) -> [u8; N] {
    entry.get(offset..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

fn byte(entry: &[u8], offset: usize) -> u8 {
    u8::from_ne_bytes(bytes(entry, offset))
}

fn word(entry: &[u8], offset: usize) -> u64 {
    u64::from_ne_bytes(bytes(entry, offset))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reference(number: u32) -> Reference {
        Reference::new(number).unwrap()
    }

    /// A request as it lies in the ring: numbers of so many bytes at these offsets.
    fn entry(fields: &[(usize, &[u8])]) -> [u8; ENTRY] {
        let mut entry = [0; ENTRY];
        for (offset, bytes) in fields {
            entry[*offset..][..bytes.len()].copy_from_slice(bytes);
        }
        entry
    }

    fn segment_bytes(page: u32, first: u8, last: u8) -> [u8; 8] {
        let [a, b, c, d] = page.to_ne_bytes();
        [a, b, c, d, first, last, 0xff, 0xff]
    }

    fn work(fields: &[(usize, &[u8])]) -> Result<Work, Refusal> {
        parse(&entry(fields)).work
    }

    #[test]
    fn a_read_has_its_segments_behind_it() {
        let (one, two) = (segment_bytes(9, 0, 7), segment_bytes(10, 3, 3));
        let parsed = parse(&entry(&[(0, &[0, 2]), (8, &[7; 8]), (16, &[5]), (24, &one), (32, &two)]));
        let segments = vec![
            Segment { page: reference(9), offset: 0, length: 4096 },
            Segment { page: reference(10), offset: 1536, length: 512 },
        ];
        let expected = Move { direction: Direction::Read, sector: 5, segments: Segments::Direct(segments) };
        assert_eq!(parsed.work, Ok(Work::Move(expected)));
        let response = parsed.reply.response(Ok(()));
        assert_eq!((response.id, response.operation, response.status), (0x0707_0707_0707_0707, 0, 0));
    }

    #[test]
    fn requests_with_no_or_too_many_segments_are_refused() {
        let one = segment_bytes(9, 0, 7);
        for count in [0, 12, 255] {
            assert_eq!(work(&[(0, &[1, count]), (24, &one)]), Err(Refusal::Failed));
        }
        for count in [0_u16, 65, 256, u16::MAX] {
            let refused = work(&[(0, &[6, 0]), (2, &count.to_ne_bytes()), (28, &[9, 0, 0, 0])]);
            assert_eq!(refused, Err(Refusal::Failed), "{count}");
        }
    }

    #[test]
    fn segments_beyond_their_page_or_of_no_page_are_refused() {
        for (page, first, last) in [(9, 0, 8), (9, 255, 255), (9, 3, 2), (9, 7, 0), (0, 0, 7)] {
            let bytes = segment_bytes(page, first, last);
            assert_eq!(work(&[(0, &[0, 1]), (24, &bytes)]), Err(Refusal::Failed), "{page} {first} {last}");
        }
    }

    #[test]
    fn an_indirect_request_names_the_page_of_its_segments() {
        let segments = Segments::Indirect { count: 64, page: reference(9) };
        let expected = Move { direction: Direction::Write, sector: 77, segments };
        let fields: [(usize, &[u8]); 3] = [(0, &[6, 1, 64, 0]), (16, &[77]), (28, &[9, 0, 0, 0])];
        assert_eq!(work(&fields), Ok(Work::Move(expected)));
        let response = parse(&entry(&fields)).reply.response(Ok(()));
        assert_eq!(response.operation, BLKIF_OP_WRITE, "the one inside");
        assert_eq!(work(&[(0, &[6, 3, 1, 0]), (28, &[9])]), Err(Refusal::Failed), "an indirect flush");
        assert_eq!(work(&[(0, &[6, 0, 1, 0])]), Err(Refusal::Failed), "no page");
    }

    #[test]
    fn flushes_may_have_data() {
        assert_eq!(work(&[(0, &[3, 0])]), Ok(Work::Flush));
        let one = segment_bytes(9, 0, 7);
        let Ok(Work::Move(with_data)) = work(&[(0, &[3, 1]), (24, &one)]) else { panic!("it has data") };
        assert_eq!(with_data.direction, Direction::FlushedWrite);
    }

    #[test]
    fn a_discard_has_a_range_and_is_not_secure() {
        assert_eq!(work(&[(0, &[5, 0]), (16, &[3]), (24, &[4])]), Ok(Work::Discard { sector: 3, count: 4 }));
        assert_eq!(work(&[(0, &[5, 1]), (16, &[3]), (24, &[4])]), Err(Refusal::Unsupported));
    }

    #[test]
    fn other_operations_are_unsupported_and_answered_as_what_they_are() {
        for operation in [2, 4, 7, 255] {
            let parsed = parse(&entry(&[(0, &[operation, 1])]));
            assert_eq!(parsed.work, Err(Refusal::Unsupported));
            let response = parsed.reply.response(Err(Refusal::Unsupported));
            assert_eq!((response.operation, response.status), (operation, -2));
        }
    }

    proptest! {
        #[test]
        fn whatever_is_in_the_ring_segments_lie_inside_of_their_pages(bytes: [u8; 32], rest: [u8; 32], more: [u8; 32]) {
            let mut entry = [0; ENTRY];
            for (to, from) in entry.iter_mut().zip(bytes.into_iter().chain(rest).chain(more)) {
                *to = from;
            }
            entry[0] %= 8;
            let Ok(Work::Move(moved)) = parse(&entry).work else { return Ok(()) };
            match moved.segments {
                Segments::Direct(segments) => {
                    prop_assert!((1..=11).contains(&segments.len()));
                    for segment in segments {
                        prop_assert!(segment.length >= 512 && segment.offset + segment.length <= PAGE_SIZE);
                    }
                }
                Segments::Indirect { count, .. } => prop_assert!((1..=MOST_SEGMENTS).contains(&count)),
            }
        }
    }
}
