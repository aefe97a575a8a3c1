// SPDX-License-Identifier: MIT OR Apache-2.0
//! The root pointer, and the list of tables that it leads to (sections 5.2.5, 5.2.7, 5.2.8).

use core::ops::Range;

use super::table::{HEADER, Table};
use crate::bytes::Record;
use crate::firmware::bios;
use crate::firmware::checksum::checksum;
use crate::{BootNote, Notes, PhysMemory};

const SIGNATURE: &[u8; 8] = b"RSD PTR ";
/// Lengths of the structure in revision 0, and from revision 2 on.
const LENGTH_0: u32 = 20;
const LENGTH_2: u32 = 36;
/// A BIOS leaves it here, if not in its extended data area.
const PLACE: Range<u64> = 0xe_0000..0x10_0000;

/// Tables that are looked at. No machine has as many.
const MAX_TABLES: u32 = 64;

/// Where the list of tables lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Root {
    list: u64,
    /// Length of an address in it: 4 or 8 bytes.
    width: u32,
}

/// The root at `rsdp`, or where a BIOS leaves it if nobody has said where it is.
pub(super) fn find(memory: &impl PhysMemory, rsdp: Option<u64>, notes: &mut Notes) -> Option<Root> {
    let Some(address) = rsdp else {
        return bios::candidates(memory, &[PLACE]).find_map(|address| at(memory, address));
    };
    let root = at(memory, address);
    if root.is_none() {
        notes.push(BootNote::BadTable { signature: *b"RSD ", address });
    }
    root
}

fn at(memory: &impl PhysMemory, address: u64) -> Option<Root> {
    let head = Record::<20>::read(memory, address)?;
    if head.bytes(0, SIGNATURE.len()) != SIGNATURE {
        return None;
    }
    let revision = head.u8(15);
    let whole = Record::<36>::read(memory, address).filter(|_| revision >= 2);
    let sum = |length| checksum(memory, address, length);
    // Both sums count; old firmware leaves the second list empty.
    match whole {
        Some(whole) if sum(LENGTH_2) == Some(0) && whole.u64(24) != 0 => {
            Some(Root { list: whole.u64(24), width: 8 })
        }
        _ => (sum(LENGTH_0) == Some(0)).then(|| Root { list: head.u32(16).into(), width: 4 }),
    }
}

impl Root {
    /// Addresses of the tables in the list.
    pub(super) fn addresses<'a, M: PhysMemory>(
        self,
        memory: &'a M,
        notes: &mut Notes,
    ) -> impl Iterator<Item = u64> + use<'a, M> {
        let list = Table::open(memory, self.list, notes);
        let bytes = list.as_ref().map_or(0, |list| list.length().saturating_sub(HEADER));
        let count = bytes.checked_div(self.width).unwrap_or(0);
        if count > MAX_TABLES {
            notes.push(BootNote::TooMany {
                what: "ACPI tables",
                count: count.into(),
                limit: MAX_TABLES.into(),
            });
        }
        (0..count.min(MAX_TABLES)).filter_map(move |index| {
            let offset = index.checked_mul(self.width)?.checked_add(HEADER)?;
            let entry = list.as_ref()?.record::<8>(offset)?;
            Some(if self.width == 8 { entry.u64(0) } else { entry.u32(0).into() })
        })
    }
}
