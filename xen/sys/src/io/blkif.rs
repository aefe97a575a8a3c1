// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paravirtual disks.
//!
//! A sector is 512 bytes everywhere on the ring, whatever `sector-size` in xenstore says; but
//! requests must be aligned to `sector-size`.
//!
//! Every entry of the ring has the size of a [`blkif_request`], 112 bytes. The other requests, and
//! the responses, lie at its start.
//!
//! Source: `xen/include/public/io/blkif.h`.

use crate::grant_table::grant_ref_t;

/// Number of a disk.
pub type blkif_vdev_t = u16;
/// Number of a sector of 512 bytes.
pub type blkif_sector_t = u64;

/// Operation: read.
pub const BLKIF_OP_READ: u8 = 0;
/// Operation: write.
pub const BLKIF_OP_WRITE: u8 = 1;
/// Operation: write, after all earlier and before all later writes. With `feature-barrier`.
pub const BLKIF_OP_WRITE_BARRIER: u8 = 2;
/// Operation: make all that is written permanent. With `feature-flush-cache`.
pub const BLKIF_OP_FLUSH_DISKCACHE: u8 = 3;
/// Operation: taken by others.
pub const BLKIF_OP_RESERVED_1: u8 = 4;
/// Operation: forget sectors, see [`blkif_request_discard`]. With `feature-discard`.
pub const BLKIF_OP_DISCARD: u8 = 5;
/// Operation: read or write many segments, see [`blkif_request_indirect`]. With
/// `feature-max-indirect-segments`.
pub const BLKIF_OP_INDIRECT: u8 = 6;

/// Segments that fit in a [`blkif_request`].
pub const BLKIF_MAX_SEGMENTS_PER_REQUEST: usize = 11;
/// Pages of segments that fit in a [`blkif_request_indirect`].
pub const BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST: usize = 8;

/// Part of a page to read to or write from. Pages of segments hold 512 of them each.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct blkif_request_segment {
    /// Grant of the page.
    pub gref: grant_ref_t,
    /// First sector in the page, 0 to 7.
    pub first_sect: u8,
    /// Last sector in the page, 0 to 7; it still belongs to the segment.
    pub last_sect: u8,
    /// Padding.
    pub _padding: u16,
}
layout!(blkif_request_segment: 8 { gref: 0, first_sect: 4, last_sect: 5, _padding: 6 });

/// A request to read, write or flush.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct blkif_request {
    /// One of the `BLKIF_OP_*`.
    pub operation: u8,
    /// Number of segments, at most [`BLKIF_MAX_SEGMENTS_PER_REQUEST`].
    pub nr_segments: u8,
    /// Number of the disk.
    pub handle: blkif_vdev_t,
    /// Padding.
    pub _padding: u32,
    /// Chosen by the frontend, repeated in the response.
    pub id: u64,
    /// First sector on the disk.
    pub sector_number: blkif_sector_t,
    /// The segments.
    pub seg: [blkif_request_segment; BLKIF_MAX_SEGMENTS_PER_REQUEST],
}
layout!(blkif_request: 112 {
    operation: 0, nr_segments: 1, handle: 2, _padding: 4, id: 8, sector_number: 16, seg: 24,
});

/// Flag of [`blkif_request_discard`]: nobody shall ever read the old data again. With
/// `discard-secure`.
pub const BLKIF_DISCARD_SECURE: u8 = 1 << 0;

/// A request to forget sectors.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct blkif_request_discard {
    /// [`BLKIF_OP_DISCARD`].
    pub operation: u8,
    /// 0 or [`BLKIF_DISCARD_SECURE`].
    pub flag: u8,
    /// Number of the disk.
    pub handle: blkif_vdev_t,
    /// Padding.
    pub _padding: u32,
    /// Chosen by the frontend, repeated in the response.
    pub id: u64,
    /// First sector on the disk.
    pub sector_number: blkif_sector_t,
    /// Number of sectors.
    pub nr_sectors: u64,
}
layout!(blkif_request_discard: 32 {
    operation: 0, flag: 1, handle: 2, _padding: 4, id: 8, sector_number: 16, nr_sectors: 24,
});

/// A request to read or write with its segments in pages of their own.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct blkif_request_indirect {
    /// [`BLKIF_OP_INDIRECT`].
    pub operation: u8,
    /// [`BLKIF_OP_READ`] or [`BLKIF_OP_WRITE`].
    pub indirect_op: u8,
    /// Number of segments, at most what the backend offers.
    pub nr_segments: u16,
    /// Padding.
    pub _padding: u32,
    /// Chosen by the frontend, repeated in the response.
    pub id: u64,
    /// First sector on the disk.
    pub sector_number: blkif_sector_t,
    /// Number of the disk.
    pub handle: blkif_vdev_t,
    /// Padding.
    pub _padding2: u16,
    /// Grants of the pages of [`blkif_request_segment`].
    pub indirect_grefs: [grant_ref_t; BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST],
    /// Padding.
    pub _padding3: u32,
}
layout!(blkif_request_indirect: 64 {
    operation: 0, indirect_op: 1, nr_segments: 2, _padding: 4, id: 8, sector_number: 16, handle: 24,
    _padding2: 26, indirect_grefs: 28, _padding3: 60,
});

/// A response.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct blkif_response {
    /// From the request.
    pub id: u64,
    /// From the request.
    pub operation: u8,
    /// Padding.
    pub _padding: u8,
    /// One of the `BLKIF_RSP_*`.
    pub status: i16,
    /// Padding.
    pub _padding2: u32,
}
layout!(blkif_response: 16 { id: 0, operation: 8, _padding: 9, status: 10, _padding2: 12 });

/// Status: the backend does not know the operation.
pub const BLKIF_RSP_EOPNOTSUPP: i16 = -2;
/// Status: it failed.
pub const BLKIF_RSP_ERROR: i16 = -1;
/// Status: done.
pub const BLKIF_RSP_OKAY: i16 = 0;

/// Bit of `info` in xenstore: the disk is a CD-ROM.
pub const VDISK_CDROM: u32 = 0x1;
/// Bit of `info` in xenstore: the disk can be removed.
pub const VDISK_REMOVABLE: u32 = 0x2;
/// Bit of `info` in xenstore: the disk can only be read.
pub const VDISK_READONLY: u32 = 0x4;
