// SPDX-License-Identifier: MIT OR Apache-2.0
//! Page tables in ring 3: Xen checks every entry, and hypercalls write them.
//!
//! Entries hold machine frames. A page table may not be mapped for writing anywhere: a new table is filled
//! while it is an ordinary page, then mapped read-only, then linked into its parent. Xen builds a first map
//! up to a little beyond the image. The rest of the memory is added here, 2 MiB at a time, with tables out of
//! what is already mapped.

use core::ops::Range;

use xen_sys::xen::{MMU_NORMAL_PT_UPDATE, mmu_update};

use super::{LAYOUT, p2m};
use crate::hypercall::Hypervisor;
use crate::machine::{Access, FrameSource, MapError};
use crate::vcpu::FIRST;
use crate::{cpuid, image};

const PAGE: u64 = 4096;
const ENTRIES: u64 = 512;
/// What one lowest-level table maps.
const TABLE_SPAN: u64 = PAGE * ENTRIES;

/// Bits of an entry (Intel SDM volume 3, 4.5). Xen wants kernel pages to be user pages, as the
/// kernel is in ring 3 too.
const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const NO_EXECUTE: u64 = 1 << 63;
const FRAME_MASK: u64 = 0x000f_ffff_ffff_f000;
/// Of an entry that points to another table.
const TABLE: u64 = PRESENT | WRITABLE | USER | ACCESSED | DIRTY;

/// Guest frame of each machine frame, read-only and the same for all guests
/// (`MACH2PHYS_VIRT_START` of `xen/include/public/arch-x86/xen-x86_64.h`).
const M2P: u64 = 0xffff_8000_0000_0000;
/// Machine frames that the table has room for: it ends at 0xffff_8040_0000_0000.
const MFN_LIMIT: u64 = 0x40_0000_0000 / 8;

/// The guest frame of machine frame `mfn`, if it is one of ours.
pub(super) fn mfn_to_pfn(mfn: u64) -> Option<u64> {
    if mfn >= MFN_LIMIT {
        return None;
    }
    let pfn = read_word(M2P + mfn * 8);
    // The table says nothing reliable about frames of others: ask our own for its opinion.
    (pfn_to_mfn(pfn)? == mfn).then_some(pfn)
}

/// The machine frame of guest frame `pfn`; `None` beyond the domain's memory.
pub(super) fn pfn_to_mfn(pfn: u64) -> Option<u64> {
    p2m::get(pfn).filter(|mfn| *mfn < MFN_LIMIT) // all ones: no memory there
}

/// Reads a word of a table that Xen laid down.
fn read_word(address: u64) -> u64 {
    // SAFETY: called for the frame lists and for page tables, which are mapped and aligned.
    unsafe { core::ptr::with_exposed_provenance::<u64>(address as usize).read_volatile() }
}

/// Whether `address` is mapped.
pub(super) fn is_mapped(address: u64) -> bool {
    entry_address(address).is_some_and(|entry| read_word(entry.virtual_address) & PRESENT != 0)
}

/// The end of what Xen mapped at start: contiguous from the image on.
pub(super) fn mapped_at_boot() -> u64 {
    let mut address = image::image().range().end;
    while is_mapped(address) {
        address += PAGE;
    }
    address
}

/// Maps a machine address that is no frame of ours at `address`, whose page is thereby lost.
pub(super) fn map_machine_address(address: u64, machine_address: u64) -> Result<(), MapError> {
    let entry = machine_address & FRAME_MASK | rights(Access::ReadWrite, no_execute());
    // SAFETY: the caller gives up the page at `address`.
    unsafe { xen::pv::update_va_mapping(&Hypervisor, address, entry) }.map_err(MapError::Refused)
}

/// Unmaps the page at `address`.
pub(super) fn unmap_page(address: u64) -> Result<(), MapError> {
    // SAFETY: the caller gives up the page at `address`. All of the entry goes: leftovers of an
    // address would cost L1TF's shadow mode.
    unsafe { xen::pv::update_va_mapping(&Hypervisor, address, 0) }.map_err(MapError::Refused)
}

/// Unmaps the guest's own pages at guest frames `pfns`, which nobody uses, on all vCPUs.
pub(super) fn unmap_pages(pfns: &[u64]) -> Result<(), MapError> {
    // All of each entry goes: leftovers of an address would cost L1TF's shadow mode.
    change_pages(pfns, |_| 0)?;
    xen::pv::flush_all_tlbs(&Hypervisor).map_err(MapError::Refused)
}

/// Maps the guest's own pages at guest frames `pfns` where none is mapped.
pub(super) fn map_pages(pfns: &[u64]) -> Result<(), MapError> {
    let no_execute = no_execute();
    change_pages(pfns, |pfn| own_page(pfn * PAGE, no_execute))
}

fn change_pages(pfns: &[u64], entry: impl Fn(u64) -> u64) -> Result<(), MapError> {
    let mut batch = Batch::default();
    for pfn in pfns {
        let place = entry_address(pfn * PAGE).ok_or(MapError::NotOurs(pfn * PAGE))?;
        batch.push(place.machine_address, entry(*pfn))?;
    }
    batch.flush()
}

/// The entry that maps the guest's own frame at `address`; 0 where there is no memory.
fn own_page(address: u64, no_execute: u64) -> u64 {
    pfn_to_mfn(address / PAGE).map_or(0, |mfn| (mfn * PAGE) | rights(Access::ReadWrite, no_execute))
}

/// The machine frame of the top table.
pub(super) fn top_frame() -> Option<u64> {
    Table::top().map(|table| table.mfn)
}

/// Maps all memory, and gives the image the rights that its segments demand.
pub(super) fn map_memory(
    memory: &mut dyn Iterator<Item = Range<u64>>,
    frames: &mut dyn FrameSource,
) -> Result<(), MapError> {
    let mut tables =
        Tables { frames, batch: Batch::default(), mapped: mapped_at_boot(), no_execute: no_execute() };
    tables.restrict_first_map()?;
    let first_map = tables.mapped;
    for range in memory {
        tables.add(range.start.max(first_map)..range.end)?;
    }
    tables.batch.flush()?;
    xen::pv::flush_local_tlb(&Hypervisor).map_err(MapError::Refused)
}

fn no_execute() -> u64 {
    if cpuid::has_no_execute() { NO_EXECUTE } else { 0 }
}

fn rights(access: Access, no_execute: u64) -> u64 {
    PRESENT
        | USER
        | ACCESSED
        | DIRTY
        | match access {
            Access::Read => no_execute,
            Access::ReadWrite => WRITABLE | no_execute,
            Access::ReadExecute => 0,
        }
}

/// Where an entry is: for us, and for Xen.
#[derive(Clone, Copy)]
struct EntryAddress {
    virtual_address: u64,
    machine_address: u64,
}

/// A page table: its machine frame, and thereby where we can read it.
#[derive(Clone, Copy)]
struct Table {
    mfn: u64,
}

impl Table {
    fn top() -> Option<Self> {
        pfn_to_mfn(LAYOUT.get()?.pt_base / PAGE).map(|mfn| Self { mfn })
    }

    /// The entry for `address` in this table of `level` (1 to 4).
    fn entry(self, level: u32, address: u64) -> Option<EntryAddress> {
        let index = address >> (12 + 9 * (level - 1)) & (ENTRIES - 1);
        Some(EntryAddress {
            virtual_address: mfn_to_pfn(self.mfn)? * PAGE + index * 8,
            machine_address: self.mfn * PAGE + index * 8,
        })
    }

    /// The table that `entry` points to.
    fn behind(entry: EntryAddress) -> Option<Self> {
        let value = read_word(entry.virtual_address);
        (value & PRESENT != 0).then_some(Self { mfn: (value & FRAME_MASK) / PAGE })
    }
}

/// The lowest-level entry for `address`, if the tables above it exist.
fn entry_address(address: u64) -> Option<EntryAddress> {
    let mut table = Table::top()?;
    for level in [4, 3, 2] {
        table = Table::behind(table.entry(level, address)?)?;
    }
    table.entry(1, address)
}

/// The rights that the image's layout demands for a page of the first map; `None`: not mapped.
fn rights_by_layout(address: u64) -> Option<Access> {
    let image = image::image();
    let guarded = FIRST.stacks.guards().iter().any(|(guard, _)| guard.contains(&address));
    if address < PAGE || guarded {
        None
    } else if image.text.contains(&address) {
        Some(Access::ReadExecute)
    } else if image.rodata.contains(&address) || image.symbols.contains(&address) {
        Some(Access::Read)
    } else {
        Some(Access::ReadWrite)
    }
}

/// Page tables that are being extended.
struct Tables<'a> {
    frames: &'a mut dyn FrameSource,
    batch: Batch,
    /// Everything below is mapped: new tables must come from there.
    mapped: u64,
    no_execute: u64,
}

impl Tables<'_> {
    /// Xen maps everything executable at first, and all but the page tables writable.
    fn restrict_first_map(&mut self) -> Result<(), MapError> {
        for address in (0..self.mapped).step_by(PAGE as usize) {
            let Some(entry) = entry_address(address) else { continue };
            let old = read_word(entry.virtual_address);
            let new = match rights_by_layout(address) {
                None => 0, // all of it: leftovers of an address would cost L1TF's shadow mode
                Some(_) if old & PRESENT == 0 => continue,
                Some(access) => {
                    let page_table = old & WRITABLE == 0;
                    let access = if page_table { Access::Read } else { access };
                    old & FRAME_MASK | rights(access, self.no_execute)
                }
            };
            self.batch.push(entry.machine_address, new)?;
        }
        self.batch.flush()
    }

    /// Maps `range` beyond the first map.
    fn add(&mut self, range: Range<u64>) -> Result<(), MapError> {
        let mut start = range.start;
        while start < range.end {
            let end = ((start / TABLE_SPAN + 1) * TABLE_SPAN).min(range.end);
            self.add_span(start..end)?;
            start = end;
        }
        Ok(())
    }

    /// Maps pages that share a lowest-level table.
    fn add_span(&mut self, span: Range<u64>) -> Result<(), MapError> {
        let parent = self.table(2, span.start)?;
        let hook = parent.entry(2, span.start).ok_or(MapError::NotOurs(span.start))?;
        if let Some(table) = Table::behind(hook) {
            for address in span.step_by(PAGE as usize) {
                let entry = table.entry(1, address).ok_or(MapError::NotOurs(address))?;
                self.batch.push(entry.machine_address, self.page(address))?;
            }
            return self.batch.flush();
        }
        let mut entries = [0; ENTRIES as usize];
        for address in span.clone().step_by(PAGE as usize) {
            entries[(address / PAGE % ENTRIES) as usize] = self.page(address);
        }
        self.hook(hook, &entries)?;
        self.batch.flush()?;
        // Where there is no memory yet, none can be had for tables.
        self.mapped = span.end.min(LAYOUT.get().map_or(0, |layout| layout.nr_pages * PAGE)).max(self.mapped);
        Ok(())
    }

    /// The entry that maps the guest's own frame at `address`; 0 where there is no memory.
    fn page(&self, address: u64) -> u64 {
        own_page(address, self.no_execute)
    }

    /// The table of `level` for `address`; it and those above it are made if they are missing.
    fn table(&mut self, level: u32, address: u64) -> Result<Table, MapError> {
        let mut table = Table::top().ok_or(MapError::NotOurs(address))?;
        for above in (level + 1..=4).rev() {
            let entry = table.entry(above, address).ok_or(MapError::NotOurs(address))?;
            table = match Table::behind(entry) {
                Some(table) => table,
                None => self.hook(entry, &[0; ENTRIES as usize])?,
            };
        }
        Ok(table)
    }

    /// Makes a table of `entries`, and has `parent` point to it.
    fn hook(&mut self, parent: EntryAddress, entries: &[u64; 512]) -> Result<Table, MapError> {
        let address = self.frames.alloc_frame(self.mapped).ok_or(MapError::OutOfFrames)?;
        let pointer = core::ptr::with_exposed_provenance_mut::<[u64; 512]>(address as usize);
        // SAFETY: the frame is ours from now on, page aligned, and mapped: it is below `mapped`.
        unsafe { pointer.write(*entries) };
        let mfn = pfn_to_mfn(address / PAGE).ok_or(MapError::NotOurs(address))?;
        let own = entry_address(address).ok_or(MapError::NotOurs(address))?;
        self.batch.push(own.machine_address, (mfn * PAGE) | rights(Access::Read, self.no_execute))?;
        self.batch.push(parent.machine_address, (mfn * PAGE) | TABLE)?;
        // Tables further down are found by reading this one's parent.
        self.batch.flush()?;
        Ok(Table { mfn })
    }
}

/// Updates that go to Xen together.
struct Batch {
    updates: [mmu_update; Self::SIZE],
    used: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self { updates: [mmu_update::default(); Self::SIZE], used: 0 }
    }
}

impl Batch {
    /// 2 KiB of the boot stack.
    const SIZE: usize = 128;

    fn push(&mut self, entry: u64, value: u64) -> Result<(), MapError> {
        if self.used == Self::SIZE {
            self.flush()?;
        }
        self.updates[self.used] = mmu_update { ptr: entry | MMU_NORMAL_PT_UPDATE, val: value };
        self.used += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), MapError> {
        let updates = &self.updates[..self.used];
        self.used = 0;
        if updates.is_empty() {
            return Ok(());
        }
        // SAFETY: the callers only add pages, make tables read-only, and take away rights and pages that
        // the image's own layout or their own caller says nobody uses.
        unsafe { xen::pv::mmu_update(&Hypervisor, updates) }.map_err(MapError::Refused)
    }
}
