// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Multiboot 1 protocol: the information structure of the Multiboot Specification 0.6.96, section
//! 3.3.

use crate::{BootError, BootInfo, BootNote, BootProtocol, Kind, PhysMemory, bytes::Record};

/// What the loader leaves in EAX.
pub const MAGIC: u32 = 0x2bad_b002;

/// Length of the structure up to and including the boot loader's name.
const LENGTH: usize = 68;
/// `flags` bit: `mem_lower` and `mem_upper` are valid.
const HAS_SIZES: u32 = 1 << 0;
/// `flags` bit: `cmdline` is valid.
const HAS_COMMAND_LINE: u32 = 1 << 2;
/// `flags` bit: `mods_count` and `mods_addr` are valid.
const HAS_MODULES: u32 = 1 << 3;
/// `flags` bit: `mmap_length` and `mmap_addr` are valid.
const HAS_MEMORY_MAP: u32 = 1 << 6;
/// `flags` bit: `boot_loader_name` is valid.
const HAS_LOADER_NAME: u32 = 1 << 9;
/// Length of a module's entry.
const MODULE_LENGTH: u64 = 16;

const INFO: &str = "Multiboot information";
const MODULE_LIST: &str = "module list";
const MEMORY_MAP: &str = "memory map";

/// Reads the information structure at physical address `address` (EBX at the entry).
///
/// # Errors
///
/// If the structure is not readable.
pub fn parse(memory: &impl PhysMemory, address: u64) -> Result<BootInfo, BootError> {
    const BYTES: u64 = LENGTH as u64;
    let unreadable = BootError::Unreadable { what: INFO, address, length: BYTES };
    let record = Record::<LENGTH>::read(memory, address).ok_or(unreadable)?;
    let mut info = BootInfo::new(BootProtocol::Multiboot1);
    info.reserve(INFO, address, BYTES);
    let flags = record.u32(0);
    let field = |flag, offset| if flags & flag == 0 { 0 } else { u64::from(record.u32(offset)) };
    info.read_command_line(memory, field(HAS_COMMAND_LINE, 16));
    info.loader = info.read_text(memory, "boot loader name", field(HAS_LOADER_NAME, 64));
    read_modules(&mut info, memory, field(HAS_MODULES, 24), field(HAS_MODULES, 20));
    read_memory_map(&mut info, memory, field(HAS_MEMORY_MAP, 48), field(HAS_MEMORY_MAP, 44));
    if info.memory.is_empty() {
        info.add_memory_sizes(field(HAS_SIZES, 4), field(HAS_SIZES, 8));
    }
    info.judge_memory();
    Ok(info)
}

fn read_modules(info: &mut BootInfo, memory: &impl PhysMemory, list: u64, count: u64) {
    let count = info.bound_modules(count);
    info.reserve(MODULE_LIST, list, count.saturating_mul(MODULE_LENGTH));
    for index in 0..count {
        let address = list.saturating_add(index.saturating_mul(MODULE_LENGTH));
        let Some(entry) = Record::<16>::read(memory, address) else {
            return info.notes.push(BootNote::Unreadable { what: MODULE_LIST, address });
        };
        let command_line = info.read_text(memory, "module command line", entry.u32(8).into());
        info.add_module_until(entry.u32(0).into(), entry.u32(4).into(), command_line);
    }
}

/// Each entry is preceded by its length in four bytes, which do not count themselves.
fn read_memory_map(info: &mut BootInfo, memory: &impl PhysMemory, map: u64, length: u64) {
    const SIZE_FIELD: u64 = 4;
    const MIN_ENTRY: u64 = 20;
    info.reserve(MEMORY_MAP, map, length);
    let end = map.saturating_add(length);
    let (mut address, mut count) = (map, 0_u64);
    while address < end {
        let Some(entry) = Record::<24>::read(memory, address) else {
            return info.notes.push(BootNote::Unreadable { what: MEMORY_MAP, address });
        };
        let size = u64::from(entry.u32(0));
        let next = address.saturating_add(SIZE_FIELD).saturating_add(size);
        if size < MIN_ENTRY || next > end {
            return info.notes.push(BootNote::CutShort { what: MEMORY_MAP });
        }
        count = count.saturating_add(1);
        if info.bound_map_entries(count) < count {
            return;
        }
        info.add_memory(entry.u64(4), entry.u64(12), Kind::from_acpi(entry.u32(20)));
        address = next;
    }
}
