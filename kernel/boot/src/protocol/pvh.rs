// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PVH protocol: `hvm_start_info`, from Xen, QEMU or another VMM
//! (`xen/include/public/arch-x86/hvm/start_info.h`, `docs/misc/pvh.pandoc`).

use core::mem::offset_of;

use xen_sys::arch_x86::hvm::start_info::{
    XEN_HVM_START_MAGIC_VALUE, hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info,
};
use xen_sys::xen::{SIF_INITDOMAIN, SIF_PRIVILEGED};

use crate::bytes::{Record, as_u64};
use crate::{BootError, BootInfo, BootNote, BootProtocol, Kind, PhysMemory};

/// Length of `hvm_start_info` in version 0, which has no memory map.
const LENGTH_V0: usize = offset_of!(hvm_start_info, memmap_paddr);
/// Length of `hvm_start_info` from version 1 on.
const LENGTH_V1: usize = size_of::<hvm_start_info>();
/// Length of ACPI's root pointer structure from revision 2 on (ACPI specification, "RSDP").
const RSDP_LENGTH: u64 = 36;

const START_INFO: &str = "PVH start info";
const MODULE_LIST: &str = "module list";
const MEMORY_MAP: &str = "memory map";

/// Reads the `hvm_start_info` at physical address `start_info` (EBX at the entry).
///
/// # Errors
///
/// If the structure is not readable or is not one.
pub fn parse(memory: &impl PhysMemory, start_info: u64) -> Result<BootInfo, BootError> {
    let (record, length) = read_start_info(memory, start_info)?;
    let mut info = BootInfo::new(BootProtocol::Pvh);
    info.flags = record.u32(offset_of!(hvm_start_info, flags));
    info.privileged = info.flags & SIF_PRIVILEGED != 0;
    info.initial_domain = info.flags & SIF_INITDOMAIN != 0;
    info.reserve(START_INFO, start_info, length);
    info.read_command_line(memory, record.u64(offset_of!(hvm_start_info, cmdline_paddr)));
    read_modules(
        &mut info,
        memory,
        record.u64(offset_of!(hvm_start_info, modlist_paddr)),
        record.u32(offset_of!(hvm_start_info, nr_modules)),
    );
    let rsdp = record.u64(offset_of!(hvm_start_info, rsdp_paddr));
    if rsdp != 0 {
        info.rsdp = Some(rsdp);
        info.reserve("RSDP", rsdp, RSDP_LENGTH);
    }
    read_memory_map(
        &mut info,
        memory,
        record.u64(offset_of!(hvm_start_info, memmap_paddr)),
        record.u32(offset_of!(hvm_start_info, memmap_entries)),
    );
    info.judge_memory();
    Ok(info)
}

/// The structure and its length; the fields version 0 lacks are 0.
fn read_start_info(memory: &impl PhysMemory, address: u64) -> Result<(Record<LENGTH_V1>, u64), BootError> {
    let head = read_part(memory, address, LENGTH_V0)?;
    let found = head.u32(offset_of!(hvm_start_info, magic));
    if found != XEN_HVM_START_MAGIC_VALUE {
        Err(BootError::BadMagic { what: START_INFO, expected: XEN_HVM_START_MAGIC_VALUE, found })
    } else if head.u32(offset_of!(hvm_start_info, version)) == 0 {
        Ok((head, as_u64(LENGTH_V0)))
    } else {
        Ok((read_part(memory, address, LENGTH_V1)?, as_u64(LENGTH_V1)))
    }
}

fn read_part(memory: &impl PhysMemory, address: u64, length: usize) -> Result<Record<LENGTH_V1>, BootError> {
    let unreadable = BootError::Unreadable { what: START_INFO, address, length: as_u64(length) };
    Record::read_part(memory, address, length).ok_or(unreadable)
}

fn read_modules(info: &mut BootInfo, memory: &impl PhysMemory, list: u64, count: u32) {
    const ENTRY: usize = size_of::<hvm_modlist_entry>();
    let count = info.bound_modules(count.into());
    info.reserve(MODULE_LIST, list, count.saturating_mul(as_u64(ENTRY)));
    for index in 0..count {
        let address = list.saturating_add(index.saturating_mul(as_u64(ENTRY)));
        let Some(entry) = Record::<ENTRY>::read(memory, address) else {
            return info.notes.push(BootNote::Unreadable { what: MODULE_LIST, address });
        };
        let text = entry.u64(offset_of!(hvm_modlist_entry, cmdline_paddr));
        let command_line = info.read_text(memory, "module command line", text);
        let start = entry.u64(offset_of!(hvm_modlist_entry, paddr));
        info.add_module(start, entry.u64(offset_of!(hvm_modlist_entry, size)), command_line);
    }
}

fn read_memory_map(info: &mut BootInfo, memory: &impl PhysMemory, map: u64, count: u32) {
    const ENTRY: usize = size_of::<hvm_memmap_table_entry>();
    if map == 0 {
        return;
    }
    let count = info.bound_map_entries(count.into());
    info.reserve(MEMORY_MAP, map, count.saturating_mul(as_u64(ENTRY)));
    for index in 0..count {
        let address = map.saturating_add(index.saturating_mul(as_u64(ENTRY)));
        let Some(entry) = Record::<ENTRY>::read(memory, address) else {
            return info.notes.push(BootNote::Unreadable { what: MEMORY_MAP, address });
        };
        let start = entry.u64(offset_of!(hvm_memmap_table_entry, addr));
        let length = entry.u64(offset_of!(hvm_memmap_table_entry, size));
        let number = entry.u32(offset_of!(hvm_memmap_table_entry, r#type));
        info.add_memory(start, length, Kind::from_acpi(number));
    }
}
