// SPDX-License-Identifier: MIT OR Apache-2.0
//! The entries of the table: memory that Xen reads and marks while we write it.

use alloc::vec::Vec;
use core::mem::offset_of;
use core::sync::atomic::Ordering;

use xen_sys::grant_table::*;

use super::close::{IN_USE, close_v1, close_v2};
use super::setup::TableFrame;
use super::{Error, Frame, Memory, PAGE_SIZE, Reference, Result};
use crate::DomainId;
use crate::shared::{Plain, Shared};

/// Layout of a grant table's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 8 bytes an entry, frame numbers of 32 bits. Works everywhere.
    V1 = 1,
    /// 16 bytes an entry, frame numbers of 64 bits, Xen's marks in frames of their own.
    V2 = 2,
}

/// Status words in a frame of them.
const STATUS_WORDS: u32 = (PAGE_SIZE / size_of::<grant_status_t>()) as u32;

impl Version {
    fn entry_bytes(self) -> usize {
        match self {
            Self::V1 => size_of::<grant_entry_v1>(),
            Self::V2 => size_of::<grant_entry_v2>(),
        }
    }

    /// Entries in a frame of the table.
    pub fn entries_per_frame(self) -> u32 {
        (PAGE_SIZE / self.entry_bytes()) as u32
    }

    /// Whether an entry can name the frame.
    pub fn reaches(self, frame: Frame) -> bool {
        self == Self::V2 || u32::try_from(frame.0).is_ok()
    }
}

/// The frames of the table that are mapped.
///
/// Flags and domain of an entry share a 32-bit word, in both versions. Xen reads, and in version 1
/// marks, that word in one piece, and so do we: the flags never stand beside the wrong domain.
pub(super) struct Entries {
    version: Version,
    frames: Vec<Memory>,
    status: Vec<Memory>,
}

impl Entries {
    pub(super) fn new(version: Version) -> Self {
        Self { version, frames: Vec::new(), status: Vec::new() }
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// Frames of entries that are mapped.
    pub(super) fn frames(&self) -> u32 {
        self.frames.len() as u32
    }

    /// Entries that can be used, the reserved ones among them.
    pub(super) fn usable(&self) -> u32 {
        let entries = self.frames() * self.version.entries_per_frame();
        match self.version {
            Version::V1 => entries,
            Version::V2 => entries.min(self.status.len() as u32 * STATUS_WORDS),
        }
    }

    /// Whether fewer frames of entries than so many can be used.
    pub(super) fn lacks(&self, frames: u32) -> bool {
        self.usable() < frames * self.version.entries_per_frame()
    }

    /// What to map next to have more usable entries.
    pub(super) fn next_frame(&self) -> TableFrame {
        if self.usable() < self.frames() * self.version.entries_per_frame() {
            TableFrame::Status(self.status.len() as u32)
        } else {
            TableFrame::Entries(self.frames())
        }
    }

    /// Makes room to note one more frame of either kind.
    pub(super) fn reserve(&mut self) -> Result<()> {
        self.frames.try_reserve(1).map_err(|_| Error::NoRoom)?;
        self.status.try_reserve(1).map_err(|_| Error::NoRoom)
    }

    /// Notes that `frame`, which was the next one, is mapped.
    pub(super) fn add(&mut self, frame: TableFrame, memory: Memory) {
        match frame {
            TableFrame::Entries(_) => self.frames.push(memory),
            TableFrame::Status(_) => self.status.push(memory),
        }
    }

    /// Lets `domain` use `frame`. The frame first; then flags and domain, which make it valid.
    pub(super) fn open(&self, reference: Reference, domain: DomainId, frame: Frame, flags: u16) {
        self.write_frame(reference, frame);
        if let Some(header) = self.header(reference) {
            header.atomic().store(word(GTF_permit_access | flags, domain), Ordering::Release);
        }
    }

    /// Takes the entry back, and says whether that succeeded: not while somebody uses it.
    pub(super) fn close(&self, reference: Reference) -> bool {
        let Some(header) = self.header(reference) else { return false };
        match self.version {
            Version::V1 => close_v1(header.atomic()),
            Version::V2 => self
                .status(reference)
                .is_some_and(|status| close_v2(header.atomic(), || status.atomic().load(Ordering::Relaxed))),
        }
    }

    /// The domain that an open entry is for.
    pub(super) fn domain(&self, reference: Reference) -> Option<DomainId> {
        let header = self.header(reference)?;
        Some(DomainId((header.atomic().load(Ordering::Relaxed) >> 16) as u16)) // as `word` has it
    }

    /// Whether somebody uses the entry at this moment.
    pub(super) fn is_in_use(&self, reference: Reference) -> bool {
        let marks = match self.version {
            Version::V1 => {
                self.header(reference).map(|header| header.atomic().load(Ordering::Acquire) as u16)
            }
            Version::V2 => self.status(reference).map(|status| status.atomic().load(Ordering::Acquire)),
        };
        marks.is_some_and(|marks| marks & IN_USE != 0)
    }

    fn write_frame(&self, reference: Reference, frame: Frame) {
        match self.version {
            Version::V1 => {
                if let Some(place) = self.field::<u32>(reference, offset_of!(grant_entry_v1, frame)) {
                    place.write(frame.0 as u32); // checked by `Version::reaches`
                }
            }
            Version::V2 => {
                if let Some(place) = self.field::<u64>(reference, offset_of!(grant_entry_v2_full_page, frame))
                {
                    place.write(frame.0);
                }
            }
        }
    }

    fn header(&self, reference: Reference) -> Option<Shared<u32>> {
        self.field(reference, 0)
    }

    fn field<T: Plain>(&self, reference: Reference, offset: usize) -> Option<Shared<T>> {
        let per_frame = self.version.entries_per_frame();
        let frame = self.frames.get((reference.number() / per_frame) as usize)?;
        frame.field((reference.number() % per_frame) as usize * self.version.entry_bytes() + offset)
    }

    fn status(&self, reference: Reference) -> Option<Shared<grant_status_t>> {
        let frame = self.status.get((reference.number() / STATUS_WORDS) as usize)?;
        frame.field((reference.number() % STATUS_WORDS) as usize * size_of::<grant_status_t>())
    }
}

/// The word that an entry begins with.
fn word(flags: u16, domain: DomainId) -> u32 {
    u32::from(flags) | u32::from(domain.0) << 16
}
