// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PV protocol: `start_info`, from Xen (`xen/include/public/xen.h`, `struct start_info` and
//! "Start-of-day memory layout").
//!
//! The image asks for VIRT_BASE 0, so each virtual address in the structure is a pseudo-physical
//! one too.

use core::mem::offset_of;

use xen_sys::xen::{
    MAX_GUEST_CMDLINE, SIF_INITDOMAIN, SIF_MOD_START_PFN, SIF_MULTIBOOT_MOD, SIF_PRIVILEGED, start_info,
    start_info_console_dom0, xen_multiboot_mod_list,
};

use crate::bytes::{Record, as_u64};
use crate::{
    BootError, BootInfo, BootNote, BootProtocol, CommandLine, Dom0Console, Kind, MAPPED_LIMIT, PAGE_SIZE,
    PhysMemory, PhysRange, PvLayout, SharedRing, Text, e820,
};

/// Length of `start_info`.
const LENGTH: usize = size_of::<start_info>();
/// Where the initial domain finds `info_off`.
const SCREEN_OFFSET: usize = offset_of!(start_info, console) + offset_of!(start_info_console_dom0, info_off);
/// Where the initial domain finds `info_size`.
const SCREEN_LENGTH: usize = offset_of!(start_info, console) + offset_of!(start_info_console_dom0, info_size);

const START_INFO: &str = "PV start info";

/// Reads the `start_info` at virtual address `address` (RSI at the entry).
///
/// All memory of a PV guest is usable: frames 0 to `nr_pages`. The image itself lies in it too; the
/// caller knows where.
///
/// # Errors
///
/// If the structure is not readable, is not one, or says that there is no memory.
pub fn parse(memory: &impl PhysMemory, address: u64) -> Result<BootInfo, BootError> {
    let record = read_start_info(memory, address)?;
    let mut info = BootInfo::new(BootProtocol::Pv);
    info.flags = record.u32(offset_of!(start_info, flags));
    info.privileged = info.flags & SIF_PRIVILEGED != 0;
    info.initial_domain = info.flags & SIF_INITDOMAIN != 0;
    let command_line = Text::from_bytes(record.bytes(offset_of!(start_info, cmd_line), MAX_GUEST_CMDLINE));
    info.command_line = CommandLine::from(info.judge_text("command line", command_line));
    let (mfn, port) = (offset_of!(start_info, store_mfn), offset_of!(start_info, store_evtchn));
    info.store = ring(record.u64(mfn), record.u32(port));
    if !info.initial_domain {
        let (mfn, port) = (offset_of!(start_info, console.mfn), offset_of!(start_info, console.evtchn));
        info.console = ring(record.u64(mfn), record.u32(port));
    }
    let layout = read_layout(&mut info, &record, address)?;
    info.pv = Some(layout);
    info.add_memory(0, pages(layout.nr_pages), Kind::Usable);
    reserve_bootstrap(&mut info, &layout);
    let (start, length) = (offset_of!(start_info, mod_start), offset_of!(start_info, mod_len));
    read_modules(&mut info, memory, record.u64(start), record.u64(length));
    Ok(info)
}

/// Adds memory that the domain may be given later (`maxmem` above `memory` in `xl.cfg`): what `table`, the
/// map of E820 entries that Xen has of it, tells beyond its own, without a gap. There is nothing yet. The
/// most is 15 times as much as the domain has, as a 256th of it is lost to page tables and to the list of
/// frames.
pub fn add_growth(info: &mut BootInfo, table: &[u8]) {
    const MOST: u64 = 16;
    let Some(end) = info.pv.map(|layout| pages(layout.nr_pages)) else { return };
    let mut told = BootInfo::new(BootProtocol::Pv);
    e820::parse(&mut told, table);
    let Some(region) = told.memory.usable().find(|range| range.start() <= end && end < range.end()) else {
        return;
    };
    let growth = region.end().min(end.saturating_mul(MOST)).saturating_sub(end);
    info.add_memory(end, growth, Kind::Usable);
    info.unpopulated = growth;
}

fn read_start_info(memory: &impl PhysMemory, address: u64) -> Result<Record<LENGTH>, BootError> {
    let unreadable = BootError::Unreadable { what: START_INFO, address, length: as_u64(LENGTH) };
    let record = Record::<LENGTH>::read(memory, address).ok_or(unreadable)?;
    let magic = record.bytes(offset_of!(start_info, magic), 32);
    if magic.starts_with(b"xen-") {
        Ok(record)
    } else {
        Err(BootError::NotXen { found: Text::from_bytes(magic) })
    }
}

/// Machine frame 0 is never a guest's and event channel 0 is never valid: Xen gave no ring then.
fn ring(mfn: u64, port: u32) -> Option<SharedRing> {
    (mfn != 0 && port != 0).then_some(SharedRing { mfn, port })
}

fn read_layout(info: &mut BootInfo, record: &Record<LENGTH>, address: u64) -> Result<PvLayout, BootError> {
    const MAX_PAGES: u64 = MAPPED_LIMIT / PAGE_SIZE;
    let found = record.u64(offset_of!(start_info, nr_pages));
    if found == 0 {
        return Err(BootError::NoPages);
    }
    if found > MAX_PAGES {
        info.notes.push(BootNote::Clamped { what: "nr_pages", found, used: MAX_PAGES });
    }
    let screen = Dom0Console { offset: record.u32(SCREEN_OFFSET), length: record.u32(SCREEN_LENGTH) };
    Ok(PvLayout {
        start_info: address,
        nr_pages: found.min(MAX_PAGES),
        shared_info: record.u64(offset_of!(start_info, shared_info)),
        pt_base: record.u64(offset_of!(start_info, pt_base)),
        nr_pt_frames: record.u64(offset_of!(start_info, nr_pt_frames)),
        mfn_list: record.u64(offset_of!(start_info, mfn_list)),
        first_p2m_pfn: record.u64(offset_of!(start_info, first_p2m_pfn)),
        nr_p2m_frames: record.u64(offset_of!(start_info, nr_p2m_frames)),
        dom0_console: (info.initial_domain && screen.length != 0).then_some(screen),
    })
}

/// Keeps the allocator off the bootstrap structures.
///
/// In the layout's order these are the list of frames, `start_info`, the xenstore and the console
/// page (not in the initial domain), the page tables, and one page of stack.
fn reserve_bootstrap(info: &mut BootInfo, layout: &PvLayout) {
    let with_rings = if info.initial_domain { 1 } else { 3 };
    reserve(info, layout, START_INFO, layout.start_info, pages(with_rings));
    reserve(info, layout, "page tables", layout.pt_base, pages(layout.nr_pt_frames.saturating_add(1)));
    // In a PV shim the first one is given, and that there are none.
    if layout.nr_p2m_frames == 0 {
        reserve(info, layout, "frame list", layout.mfn_list, layout.nr_pages.saturating_mul(8));
    } else {
        reserve(info, layout, "frame list", pages(layout.first_p2m_pfn), pages(layout.nr_p2m_frames));
    }
}

/// Keeps the allocator off `length` bytes at `start`, which must lie in the guest's memory.
fn reserve(info: &mut BootInfo, layout: &PvLayout, what: &'static str, start: u64, length: u64) {
    match PhysRange::with_length(start, length) {
        Some(range) if range.end() <= pages(layout.nr_pages) => info.reserved.add(range, Kind::Reserved),
        _ => info.notes.push(BootNote::AbsurdRange { what, start, length }),
    }
}

/// Bytes in `count` pages, or address of the page with this number; saturates.
const fn pages(count: u64) -> u64 {
    count.saturating_mul(PAGE_SIZE)
}

/// Reads the module or the package of modules at `start`.
fn read_modules(info: &mut BootInfo, memory: &impl PhysMemory, start: u64, length: u64) {
    if length == 0 {
        return;
    }
    let start = if info.flags & SIF_MOD_START_PFN == 0 { start } else { pages(start) };
    match PhysRange::with_length(start, length).filter(|range| info.memory.usable_end() >= range.end()) {
        None => info.notes.push(BootNote::AbsurdRange { what: "module", start, length }),
        Some(package) if info.flags & SIF_MULTIBOOT_MOD != 0 => read_package(info, memory, package),
        Some(_) => info.add_module(start, length, Text::new()),
    }
}

/// Reads a package of modules: descriptors whose addresses count from the package's beginning, up
/// to one whose `mod_start` is 0 (`struct xen_multiboot_mod_list`).
fn read_package(info: &mut BootInfo, memory: &impl PhysMemory, package: PhysRange) {
    const WHAT: &str = "module package";
    const ENTRY: usize = size_of::<xen_multiboot_mod_list>();
    info.reserved.add(package, Kind::Reserved);
    let limit = as_u64(info.modules.capacity());
    for index in 0..=limit {
        let address = package.start().saturating_add(index.saturating_mul(as_u64(ENTRY)));
        if package.end().saturating_sub(address) < as_u64(ENTRY) {
            return info.notes.push(BootNote::CutShort { what: WHAT });
        }
        let Some(entry) = Record::<ENTRY>::read(memory, address) else {
            return info.notes.push(BootNote::Unreadable { what: WHAT, address });
        };
        let first = entry.u32(offset_of!(xen_multiboot_mod_list, mod_start));
        if first == 0 {
            return;
        }
        if index == limit {
            let count = limit.saturating_add(1); // at least
            return info.notes.push(BootNote::TooMany { what: "modules", count, limit });
        }
        let last = entry.u32(offset_of!(xen_multiboot_mod_list, mod_end));
        let text = entry.u32(offset_of!(xen_multiboot_mod_list, cmdline));
        add_from_package(info, memory, package, [first, last, text]);
    }
}

/// Adds one module of a package from its first byte, last byte and text, counted from the package.
fn add_from_package(info: &mut BootInfo, memory: &impl PhysMemory, package: PhysRange, entry: [u32; 3]) {
    let [first, last, text] = entry.map(|offset| package.start().saturating_add(offset.into()));
    let end = last.saturating_add(1);
    if !PhysRange::new(first, end).is_some_and(|range| package.encloses(range)) {
        let length = end.wrapping_sub(first); // absurdly long if backwards
        return info.notes.push(BootNote::AbsurdRange { what: "module in a package", start: first, length });
    }
    let has_text = text != package.start() && package.contains(text);
    let command_line =
        if has_text { info.read_text(memory, "module command line", text) } else { Text::new() };
    info.add_module_until(first, end, command_line);
}
