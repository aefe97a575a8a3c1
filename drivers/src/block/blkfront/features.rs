// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a backend says of itself and of the disk, in xenstore (`xen/include/public/io/blkif.h`).

use xen::page::PAGE_SIZE;
use xen::xenbus::Device;
use xen::xenstore::Value;
use xen_sys::io::blkif::*;

use super::Error;
use crate::block::Geometry;

/// Bytes of a sector on the ring and in xenstore, whatever the disk's sector size is.
pub(super) const SECTOR: u64 = 512;

/// Ring pages that we want: 2 to the power of this.
const RING_ORDER: u64 = 2;

/// Segments of an indirect request that we want: a page full of descriptors.
const INDIRECT: u64 = (PAGE_SIZE / size_of::<blkif_request_segment>()) as u64;

/// What a backend can do, known before there is a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BackendFeatures {
    /// Ring pages to use: 2 to the power of this.
    pub(super) ring_order: u32,
    /// Queues that there can be.
    pub(super) queues: u32,
}

impl BackendFeatures {
    /// Asks the backend. What makes no sense counts as not offered.
    pub(super) async fn read(device: &Device) -> Result<Self, Error> {
        let [order, queues] = device.read_all(["max-ring-page-order", "multi-queue-max-queues"]).await?;
        let order = number(order, 0..=u64::from(u32::MAX));
        let queues = number(queues, 1..=u64::from(u32::MAX));
        Ok(Self { ring_order: order.unwrap_or(0).min(RING_ORDER) as u32, queues: queues.unwrap_or(1) as u32 })
    }
}

/// How writes are made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// By a request of its own.
    Flush,
    /// By a write that all others wait for; without data it is a flush.
    Barrier,
    /// By nothing: the backend offers neither. Linux's offers both only where the queue below has a
    /// volatile cache (`drivers/block/xen-blkback/xenbus.c`), so a write that it has answered is durable.
    Unneeded,
    /// The backend offered something, and refused all of it when it was asked.
    Refused,
}

impl Durability {
    /// What to try when the backend did not know this one after all.
    pub(super) fn next(self, barrier: bool) -> Self {
        match self {
            Self::Flush if barrier => Self::Barrier,
            Self::Unneeded => Self::Unneeded,
            _ => Self::Refused,
        }
    }
}

/// What the disk is like, known when the backend has connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Properties {
    pub(super) geometry: Geometry,
    pub(super) durability: Durability,
    /// Whether there are barriers too.
    pub(super) barrier: bool,
    pub(super) secure_discard: bool,
    /// Segments that a request can have.
    pub(super) segments: usize,
    /// Whether the backend keeps pages mapped, as we offered. Linux's says so only now.
    pub(super) persistent: bool,
}

impl Properties {
    /// Asks the backend.
    pub(super) async fn read(device: &Device) -> Result<Self, Error> {
        let [size, sectors, info, mode, flush, barrier, discard, secure, segments, persistent] =
            device.read_all(PROPERTIES).await?;
        let sector_size = sector_size(size)?;
        let bytes = bytes(sectors)?;
        let info = number(info, 0..=u64::from(u32::MAX)).unwrap_or(0) as u32;
        let optical = info & VDISK_CDROM != 0;
        let flag = |value| number(value, 0..=1) == Some(1);
        let (flush, barrier, discards) = (flag(flush), flag(barrier), flag(discard));
        let segments = number(segments, 0..=u64::MAX).unwrap_or(0).min(INDIRECT) as usize;
        Ok(Self {
            geometry: Geometry {
                bytes: bytes - bytes % u64::from(sector_size),
                sector_size,
                read_only: info & VDISK_READONLY != 0 || mode.is_some_and(|mode| mode.bytes() == b"r"),
                removable: info & VDISK_REMOVABLE != 0 || optical,
                optical,
                discards,
            },
            durability: match (flush, barrier) {
                (true, _) => Durability::Flush,
                (false, true) => Durability::Barrier,
                (false, false) => Durability::Unneeded,
            },
            barrier,
            secure_discard: discards && flag(secure),
            segments: segments.max(BLKIF_MAX_SEGMENTS_PER_REQUEST),
            persistent: flag(persistent),
        })
    }
}

/// Whether the device is a drive without a medium, as toolstacks give HVM guests one: a backend may connect
/// it only once there is a medium. The toolstack tells its backend which file that is, behind a word for
/// how to open it.
pub async fn is_empty_drive(device: &Device) -> bool {
    let is_drive = matches!(device.read_own("device-type").await, Ok(Some(kind)) if kind.bytes() == b"cdrom");
    is_drive
        && match device.read("params").await {
            Ok(medium) => medium.is_none_or(|medium| matches!(medium.bytes().last(), None | Some(b':'))),
            Err(_) => false,
        }
}

/// Where the backend says what the disk is like.
const PROPERTIES: [&str; 10] = [
    "sector-size",
    "sectors",
    "info",
    "mode",
    "feature-flush-cache",
    "feature-barrier",
    "feature-discard",
    "discard-secure",
    "feature-max-indirect-segments",
    "feature-persistent",
];

/// Bytes of the disk, of the value of `sectors`.
pub(super) fn bytes(sectors: Option<Value>) -> Result<u64, Error> {
    let Some(sectors) = sectors else { return Ok(0) };
    let sectors = sectors.integer(0..=u64::MAX / SECTOR).map_err(xen::xenstore::Error::from)?;
    Ok(sectors * SECTOR)
}

fn sector_size(value: Option<Value>) -> Result<u32, Error> {
    let Some(value) = value else { return Ok(SECTOR as u32) };
    let size = value.integer(0..=u64::MAX).map_err(xen::xenstore::Error::from)?;
    let fits = (SECTOR..=PAGE_SIZE as u64).contains(&size) && size.is_power_of_two();
    if fits { Ok(size as u32) } else { Err(Error::SectorSize(size)) }
}

/// A number that may be missing; one that makes no sense is missing too.
fn number(value: Option<Value>, range: core::ops::RangeInclusive<u64>) -> Option<u64> {
    value?.integer(range).ok()
}
