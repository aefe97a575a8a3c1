// SPDX-License-Identifier: MIT OR Apache-2.0
//! Page tables in ring 0: an identity map in the largest pages that fit, W^X.

use core::ops::Range;

use spin::{Mutex, Once};
use x86_64::registers::control::{Cr0, Cr0Flags, Cr3, Cr3Flags};
use x86_64::structures::paging::mapper::{MapToError, MapperFlush};
use x86_64::structures::paging::page_table::{PageTableEntry, PageTableLevel};
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, PageSize, PageTable, PageTableFlags as Flags, PhysFrame,
    Size1GiB, Size2MiB, Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

use crate::machine::{Access, FrameSource, MapError};
use crate::vcpu::FIRST;
use crate::{cpuid, image};

/// Address of the top table in use, or 0 while the entry stub's is.
static TOP: Mutex<u64> = Mutex::new(0);

/// The flag of pages without code, asked for once: CPUID is an exit.
static NO_EXECUTE: Once<Flags> = Once::new();

/// Page tables are below this as long as the entry stub's map is in use; the top one always, as CPUs that
/// local APICs start load it while they are in 32-bit mode.
const BOOT_LIMIT: u64 = super::BOOT_TABLES_END;
/// Page tables may be anywhere once all memory is mapped.
const NO_LIMIT: u64 = u64::MAX;

/// Builds the kernel's page tables and switches to them.
pub(super) fn map_memory(
    memory: &mut dyn Iterator<Item = Range<u64>>,
    frames: &mut dyn FrameSource,
) -> Result<(), MapError> {
    let mut top = TOP.lock();
    let mut tables = Tables::create(frames)?;
    for range in memory {
        for part in without_image(range) {
            tables.map(part, Access::ReadWrite)?;
        }
    }
    tables.map_image()?;
    *top = tables.switch();
    Ok(())
}

/// Adds one page of a device, or of Xen's, at its own address.
pub(super) fn map_page(address: u64, frames: &mut dyn FrameSource) -> Result<(), MapError> {
    let top = TOP.lock();
    let mut tables =
        Tables { top: *top, frames: Frames(frames, NO_LIMIT), large_pages: false, no_execute: no_execute() };
    match tables.map_one::<Size4KiB>(address, Access::ReadWrite) {
        // Two users of one page of Xen's (console and store may share) are no conflict.
        Ok(_) | Err(MapError::Taken(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Unmaps the page at `address`. The large page that it is part of is split, which takes frames.
pub(super) fn unmap_page(address: u64, frames: &mut dyn FrameSource) -> Result<(), MapError> {
    let top = TOP.lock();
    let address = VirtAddr::new(address);
    let mut table = table(*top);
    for level in [PageTableLevel::Four, PageTableLevel::Three, PageTableLevel::Two] {
        let entry = &mut table[address.page_table_index(level)];
        if entry.is_unused() {
            return Ok(());
        }
        if entry.flags().contains(Flags::HUGE_PAGE) {
            split(entry, level, frames)?;
        }
        table = self::table(entry.addr().as_u64());
    }
    table[address.p1_index()].set_unused();
    x86_64::instructions::tlb::flush_all();
    Ok(())
}

/// Makes 512 pages out of the large one that `entry`, in a table of `level`, maps.
fn split(
    entry: &mut PageTableEntry,
    level: PageTableLevel,
    frames: &mut dyn FrameSource,
) -> Result<(), MapError> {
    let (start, flags) = (entry.addr().as_u64(), entry.flags());
    let (size, flags) = match level {
        PageTableLevel::Three => (Size2MiB::SIZE, flags),
        _ => (Size4KiB::SIZE, flags - Flags::HUGE_PAGE),
    };
    let parts = Frames(frames, NO_LIMIT).take().ok_or(MapError::OutOfFrames)?;
    for (part, address) in table(parts).iter_mut().zip((start..).step_by(size as usize)) {
        part.set_addr(PhysAddr::new(address), flags);
    }
    entry.set_addr(PhysAddr::new(parts), Flags::PRESENT | Flags::WRITABLE);
    Ok(())
}

/// The parts of `range` below and above the image, without the first page of memory: a null
/// pointer must fault.
fn without_image(range: Range<u64>) -> [Range<u64>; 2] {
    let image = image::image().range();
    [range.start.max(Size4KiB::SIZE)..range.end.min(image.start), range.start.max(image.end)..range.end]
}

/// Page tables under construction, or in use.
struct Tables<'a> {
    top: u64,
    frames: Frames<'a>,
    large_pages: bool,
    no_execute: Flags,
}

impl<'a> Tables<'a> {
    fn create(frames: &'a mut dyn FrameSource) -> Result<Self, MapError> {
        let mut frames = Frames(frames, BOOT_LIMIT);
        let top = frames.take().ok_or(MapError::OutOfFrames)?;
        Ok(Self { top, frames, large_pages: cpuid::has_1gib_pages(), no_execute: no_execute() })
    }

    /// Text executable, constants constant, variables writable, guard pages absent.
    fn map_image(&mut self) -> Result<(), MapError> {
        let image = image::image();
        self.map(image.rodata, Access::Read)?;
        self.map(image.text, Access::ReadExecute)?;
        self.map(image.symbols, Access::Read)?;
        let mut start = image.data.start;
        for (guard, _) in FIRST.stacks.guards() {
            self.map(start..guard.start, Access::ReadWrite)?;
            start = guard.end;
        }
        self.map(start..image.data.end, Access::ReadWrite)
    }

    /// Maps `range` at its own address, in the largest pages that fit.
    fn map(&mut self, range: Range<u64>, access: Access) -> Result<(), MapError> {
        let mut address = range.start;
        while address < range.end {
            let fits = |size: u64| address.is_multiple_of(size) && range.end - address >= size;
            address += match () {
                () if self.large_pages && fits(Size1GiB::SIZE) => {
                    self.map_one::<Size1GiB>(address, access)?
                }
                () if fits(Size2MiB::SIZE) => self.map_one::<Size2MiB>(address, access)?,
                () => self.map_one::<Size4KiB>(address, access)?,
            };
        }
        Ok(())
    }

    /// Maps one page, and returns its size.
    fn map_one<S: PageSize>(&mut self, address: u64, access: Access) -> Result<u64, MapError>
    where
        for<'b> OffsetPageTable<'b>: Mapper<S>,
    {
        // The mapper would panic instead.
        VirtAddr::try_new(address).map_err(|_| MapError::NotVirtual(address))?;
        let frame = PhysFrame::<S>::containing_address(PhysAddr::new(address));
        let mut mapper = mapper(self.top);
        // SAFETY: an identity map of memory that is the guest's, or that the caller of
        // `map_foreign` answers for; the image's own pages get the rights its code needs.
        let mapped = unsafe { mapper.identity_map(frame, flags(access, self.no_execute), &mut self.frames) };
        mapped.map(MapperFlush::flush).map_err(|error| match error {
            MapToError::FrameAllocationFailed => MapError::OutOfFrames,
            MapToError::ParentEntryHugePage | MapToError::PageAlreadyMapped(_) => MapError::Taken(address),
        })?;
        Ok(S::SIZE)
    }

    /// Uses these tables from now on, and returns their top.
    fn switch(self) -> u64 {
        let frame = PhysFrame::containing_address(PhysAddr::new(self.top));
        // SAFETY: the tables map everything that is in use: image, stacks, and all memory.
        unsafe { Cr3::write(frame, Cr3Flags::empty()) };
        // SAFETY: makes read-only pages so for ring 0 too.
        unsafe { Cr0::update(|cr0| cr0.insert(Cr0Flags::WRITE_PROTECT)) };
        self.top
    }
}

fn no_execute() -> Flags {
    *NO_EXECUTE.call_once(|| if cpuid::has_no_execute() { Flags::NO_EXECUTE } else { Flags::empty() })
}

fn flags(access: Access, no_execute: Flags) -> Flags {
    Flags::PRESENT
        | match access {
            Access::Read => no_execute,
            Access::ReadWrite => Flags::WRITABLE | no_execute,
            Access::ReadExecute => Flags::empty(),
        }
}

/// The crate's view of tables whose top is at `top`: physical addresses are virtual ones.
fn mapper(top: u64) -> OffsetPageTable<'static> {
    // SAFETY: memory is mapped at its own address, by the entry stub's tables and by ours.
    unsafe { OffsetPageTable::new(table(top), VirtAddr::zero()) }
}

/// The page table at `address`, one of ours. Only for holders of the lock on [`TOP`], one at a time.
fn table(address: u64) -> &'static mut PageTable {
    let table = core::ptr::with_exposed_provenance_mut::<PageTable>(address as usize);
    // SAFETY: a page table of ours; the lock on TOP keeps others away, and its holder looks at
    // each table through one reference at a time.
    unsafe { &mut *table }
}

/// A source of frames below a limit, in the form that the paging crate asks for.
struct Frames<'a>(&'a mut dyn FrameSource, u64);

impl Frames<'_> {
    /// A zeroed frame.
    fn take(&mut self) -> Option<u64> {
        let address = self.0.alloc_frame(self.1)?;
        let table = core::ptr::with_exposed_provenance_mut::<[u64; 512]>(address as usize);
        // SAFETY: the frame is ours from now on, page aligned, and mapped at its own address.
        unsafe { table.write([0; 512]) };
        Some(address)
    }
}

// SAFETY: every frame is taken from the source once, and never given back.
unsafe impl FrameAllocator<Size4KiB> for Frames<'_> {
    fn allocate_frame(&mut self) -> Option<PhysFrame<Size4KiB>> {
        self.take().map(|address| PhysFrame::containing_address(PhysAddr::new(address)))
    }
}
