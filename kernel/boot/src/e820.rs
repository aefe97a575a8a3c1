// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory map in the form of the PC BIOS call E820, which is also what Xen's
//! `XENMEM_memory_map` fills in (`xen/include/public/memory.h`): 20-byte entries
//! `{u64 address, u64 length, u32 type}`.

use crate::{BootInfo, BootNote, Kind, bytes::Record};

/// Length of an entry in bytes.
pub const ENTRY_LENGTH: usize = 20;

/// Adds the entries in `table` to the memory map of `info`.
///
/// Absurd entries and a last entry that is cut short are left out and noted. That the loader gave no
/// map does not matter any more and is forgotten.
pub fn parse(info: &mut BootInfo, table: &[u8]) {
    info.notes.forget(BootNote::NoMemoryMap);
    let (entries, rest) = table.as_chunks::<ENTRY_LENGTH>();
    for entry in entries {
        let entry = Record(*entry);
        info.add_memory(entry.u64(0), entry.u64(8), Kind::from_acpi(entry.u32(16)));
    }
    if !rest.is_empty() {
        info.notes.push(BootNote::CutShort { what: "memory map" });
    }
    info.judge_memory();
}
