// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests as they lie in the ring (`xen/include/public/io/blkif.h`).

use xen::grant::{PAGE_SIZE, Reference};
use xen_sys::io::blkif::*;

use super::features::{Durability, SECTOR};
use super::pending_request::Operation;
use crate::block::Discard;

/// A page of a request, of which the first `length` bytes are in use.
pub(super) fn segment(page: Reference, length: usize) -> blkif_request_segment {
    let sectors = length.min(PAGE_SIZE) as u64 / SECTOR;
    blkif_request_segment {
        gref: page.number(),
        first_sect: 0,
        last_sect: sectors.saturating_sub(1) as u8,
        _padding: 0,
    }
}

/// The number of a read or write.
pub(super) fn number(operation: Operation) -> u8 {
    if operation == Operation::Read { BLKIF_OP_READ } else { BLKIF_OP_WRITE }
}

/// A read or write of at most [`BLKIF_MAX_SEGMENTS_PER_REQUEST`] pages, without its segments.
pub(super) fn direct(
    operation: Operation,
    handle: u16,
    id: u64,
    offset: u64,
    segments: usize,
) -> blkif_request {
    blkif_request {
        operation: number(operation),
        nr_segments: segments as u8,
        handle,
        id,
        sector_number: offset / SECTOR,
        ..Default::default()
    }
}

/// A read or write whose segments are in a page of their own.
pub(super) fn indirect(
    operation: Operation,
    handle: u16,
    id: u64,
    offset: u64,
    segments: usize,
    page: Reference,
) -> blkif_request_indirect {
    let mut request = blkif_request_indirect {
        operation: BLKIF_OP_INDIRECT,
        indirect_op: number(operation),
        nr_segments: segments as u16,
        id,
        sector_number: offset / SECTOR,
        handle,
        ..Default::default()
    };
    let [first, ..] = &mut request.indirect_grefs;
    *first = page.number();
    request
}

/// A request to make writes durable.
pub(super) fn flush(durability: Durability, handle: u16, id: u64) -> blkif_request {
    let operation = match durability {
        Durability::Barrier => BLKIF_OP_WRITE_BARRIER,
        _ => BLKIF_OP_FLUSH_DISKCACHE,
    };
    blkif_request { operation, handle, id, ..Default::default() }
}

/// A request to forget.
pub(super) fn discard(how: Discard, handle: u16, id: u64, offset: u64, length: u64) -> blkif_request_discard {
    let flag = if how == Discard::Secure { BLKIF_DISCARD_SECURE } else { 0 };
    blkif_request_discard {
        operation: BLKIF_OP_DISCARD,
        flag,
        handle,
        id,
        sector_number: offset / SECTOR,
        nr_sectors: length / SECTOR,
        ..Default::default()
    }
}

/// A segment as it lies in a page of segments.
pub(super) fn bytes(segment: blkif_request_segment) -> [u8; size_of::<blkif_request_segment>()] {
    let [a, b, c, d] = segment.gref.to_ne_bytes();
    [a, b, c, d, segment.first_sect, segment.last_sect, 0, 0]
}
