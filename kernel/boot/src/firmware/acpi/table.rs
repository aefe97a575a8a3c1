// SPDX-License-Identifier: MIT OR Apache-2.0
//! One table: a header with a checksum, and what follows.

use crate::bytes::Record;
use crate::firmware::checksum::checksum;
use crate::{BootNote, Notes, PhysMemory};

/// Length of the header that every table begins with (section 5.2.6).
pub(super) const HEADER: u32 = 36;
/// No table is longer; that of a machine with the most devices has some hundred KiB.
const LONGEST: u32 = 1 << 20;

/// A table whose checksum is right.
pub(super) struct Table<'a, M> {
    memory: &'a M,
    /// What it is.
    pub(super) signature: [u8; 4],
    address: u64,
    length: u32,
}

impl<'a, M: PhysMemory> Table<'a, M> {
    /// The table at `address`; anything else there is noted.
    pub(super) fn open(memory: &'a M, address: u64, notes: &mut Notes) -> Option<Self> {
        let Some(header) = Record::<8>::read(memory, address) else {
            notes.push(BootNote::Unreadable { what: "ACPI table", address });
            return None;
        };
        let signature = *header.bytes(0, 4).first_chunk()?;
        let length = header.u32(4);
        let sane = (HEADER..=LONGEST).contains(&length);
        if sane && checksum(memory, address, length) == Some(0) {
            return Some(Self { memory, signature, address, length });
        }
        notes.push(BootNote::BadTable { signature, address });
        None
    }

    /// Another table in the same memory.
    pub(super) fn sibling(&self, address: u64, notes: &mut Notes) -> Option<Self> {
        Self::open(self.memory, address, notes)
    }

    /// A copy of what lies at `offset`. What would lie behind the table's end is 0; `None` if all
    /// of it would.
    pub(super) fn record<const N: usize>(&self, offset: u32) -> Option<Record<N>> {
        let left = self.length.checked_sub(offset).filter(|left| *left != 0)?;
        let address = self.address.checked_add(offset.into())?;
        Record::read_part(self.memory, address, usize::try_from(left).ok()?.min(N))
    }

    /// Bytes from the table's beginning to its end.
    pub(super) const fn length(&self) -> u32 {
        self.length
    }
}
