// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's memory. Page tables come from a bump allocator; the rest goes to a frame allocator, out of
//! which the heap grows.

pub(crate) mod balloon;
pub(crate) mod dma;
pub(crate) mod platform_device;
pub(crate) mod registers;
pub(crate) mod watermark;

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;

use prism_arch::image::image;
use prism_arch::machine::{FrameSource, Machine, MapError};
use prism_boot::frames::{Absent, required_words};
use prism_boot::{
    BootInfo, FrameAllocator, FrameNumber, MemoryMap, Module, PAGE_SIZE, PhysMemory, PhysRange,
};
use spin::Mutex;
use talc::base::binning::Binning;
use talc::source::Source;
use talc::{TalcLock, base::Talc};

/// Identity-mapped memory up to a limit, for reading boot structures.
pub(crate) struct IdentityMemory {
    /// Addresses from here on are not mapped.
    pub(crate) limit: u64,
}

impl PhysMemory for IdentityMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> bool {
        let end = address.checked_add(buffer.len() as u64);
        // Address 0 means "none" everywhere; the rest of the first page is in use (QEMU puts the
        // memory map there), and still mapped when this is called.
        if address == 0 || end.is_none_or(|end| end > self.limit) {
            return false;
        }
        let start = core::ptr::with_exposed_provenance::<u8>(address as usize);
        for (offset, byte) in buffer.iter_mut().enumerate() {
            // SAFETY: mapped, by the limit; read as plain bytes, whatever they are.
            *byte = unsafe { start.wrapping_add(offset).read_volatile() };
        }
        true
    }
}

/// The bump allocator that serves before the frame allocator exists. It never frees.
struct EarlyFrames {
    free: MemoryMap,
}

impl EarlyFrames {
    fn take(&mut self, bytes: u64, limit: u64) -> Option<PhysRange> {
        let range = self.free.find(bytes, limit)?;
        self.free.subtract(range);
        Some(range)
    }
}

impl FrameSource for EarlyFrames {
    fn alloc_frame(&mut self, limit: u64) -> Option<u64> {
        self.take(PAGE_SIZE, limit).map(PhysRange::start)
    }
}

type Allocator = FrameAllocator<&'static mut [u64]>;

static FRAMES: Mutex<Option<Allocator>> = Mutex::new(None);

/// Does something with the frame allocator, once there is one.
fn with_frames<T>(change: impl FnOnce(&mut Allocator) -> T) -> Option<T> {
    let mut guard = FRAMES.lock();
    let frames = guard.as_mut()?;
    let (done, free) = (change(frames), frames.free_frames());
    drop(guard);
    watermark::note(free);
    Some(done)
}

/// The frame allocator as a source of page tables.
pub(crate) struct Frames;

impl FrameSource for Frames {
    fn alloc_frame(&mut self, limit: u64) -> Option<u64> {
        with_frames(|frames| frames.allocate_below(1, 1, FrameNumber::of(limit)))?.map(FrameNumber::address)
    }
}

/// Allocates a zeroed frame, and returns its address.
pub(crate) fn alloc_zeroed_frame() -> Option<u64> {
    alloc_zeroed(PAGE_SIZE)
}

/// Allocates at least `bytes` of contiguous frames, zeroed, and returns their address. The last frames are
/// reserved for the heap and for page tables.
pub(crate) fn alloc_zeroed(bytes: u64) -> Option<u64> {
    let count = bytes.div_ceil(PAGE_SIZE);
    let start = with_frames(|frames| frames.allocate_spare(count, 1))??.address();
    let pointer = core::ptr::with_exposed_provenance_mut::<u8>(start as usize);
    // SAFETY: the frames are ours, and mapped at their own address.
    unsafe { pointer.write_bytes(0, (count * PAGE_SIZE) as usize) };
    Some(start)
}

/// Allocates a frame below address `limit`.
pub(crate) fn alloc_frame_below(limit: u64) -> Option<u64> {
    Frames.alloc_frame(limit)
}

/// The address of a page that the hypervisor may put one of its own in place of: in the memory of Xen's
/// platform device, where no device answers and nobody else looks, or else a frame of ours at the end of
/// memory. What is around that cannot be a large page of the hypervisor's any more, which costs an exit for
/// each page that is used there, and KVM forgets all pages when memory changes.
pub(crate) fn alloc_xen_page() -> Option<u64> {
    let frame = || with_frames(FrameAllocator::allocate_highest)?.map(FrameNumber::address);
    platform_device::take().or_else(frame)
}

/// Frees a frame of [`alloc_zeroed_frame`] or [`alloc_frame_below`].
pub(crate) fn free_frame(address: u64) {
    free(address, PAGE_SIZE);
}

/// Frees what [`alloc_zeroed`] allocated.
pub(crate) fn free(address: u64, bytes: u64) {
    let freed = with_frames(|frames| frames.free(FrameNumber::of(address), bytes.div_ceil(PAGE_SIZE)));
    // Fails only for a frame that is already free, which is a bug of the caller's. The allocator ignores it.
    if let Some(Err(error)) = freed {
        log::error!("frame allocator: double free: {error}");
    }
}

/// Why memory could not be set up.
#[derive(Debug)]
pub(crate) enum MemoryError {
    /// There is no memory map.
    NoMap,
    /// Page tables could not be made.
    Map(MapError),
    /// The memory left after the image is too small for the allocator's own bitmap.
    TooSmall { usable: u64 },
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMap => {
                f.write_str("no memory map: neither the loader nor the hypervisor says what memory there is")
            }
            Self::Map(error) => error.fmt(f),
            Self::TooSmall { usable } => {
                write!(f, "{} KiB of memory are too little; give the guest more", usable / 1024)
            }
        }
    }
}

/// Maps all memory, switches to our page tables, and sets up the allocators.
pub(crate) fn init(info: &BootInfo, machine: &dyn Machine) -> Result<(), MemoryError> {
    if info.memory.is_empty() {
        return Err(MemoryError::NoMap);
    }
    let mut early = EarlyFrames { free: free_memory(info) };
    let mut memory = info.memory.usable().map(|range| range.start()..range.end());
    machine.map_memory(&mut memory, &mut early).map_err(MemoryError::Map)?;
    if info.unpopulated != 0 && !machine.auto_translated() {
        let pages = info.memory.usable_end() / PAGE_SIZE;
        let too_small = MemoryError::TooSmall { usable: info.populated() };
        let list = early.take(pages * 8, u64::MAX).ok_or(too_small)?;
        // SAFETY: memory of ours, mapped, page aligned, taken from the free map for good.
        unsafe { machine.move_frame_list(list.start(), pages) };
    }

    // A bit for each frame that says whether it is free, and one that says whether it is absent.
    let end = early.free.usable_end();
    let words = required_words(end);
    let too_small = || MemoryError::TooSmall { usable: info.populated() };
    let bitmaps = early.take(2 * words * 8, u64::MAX).ok_or_else(too_small)?;
    let start = core::ptr::with_exposed_provenance_mut::<u64>(bitmaps.start() as usize);
    // SAFETY: memory of ours, mapped, page aligned, taken from the free map for good.
    let bitmaps = unsafe { core::slice::from_raw_parts_mut(start, 2 * words as usize) };
    let (free, absent) = bitmaps.split_at_mut(words as usize);
    let mut frames = FrameAllocator::new(free, &early.free).map_err(|_| too_small())?;
    let mut absent = Absent::new(absent, end).map_err(|_| too_small())?;
    for range in early.free.highest(info.unpopulated) {
        absent.insert(FrameNumber::of(range.start()), frames.withdraw_range(range));
    }
    balloon::init(absent, info.memory.total_usable() / PAGE_SIZE, frames.total_frames());
    *FRAMES.lock() = Some(frames);
    Ok(())
}

/// All memory without the image and what the loader left for us.
fn free_memory(info: &BootInfo) -> MemoryMap {
    let mut free = info.free_memory();
    let image = image().range();
    if let Some(image) = PhysRange::new(image.start, image.end) {
        free.subtract(image);
    }
    free
}

/// The contents of a module, if it lies in mapped memory.
pub(crate) fn module(map: &MemoryMap, module: &Module) -> Option<&'static [u8]> {
    let range = module.range;
    if !map.usable().any(|usable| usable.encloses(range)) {
        return None;
    }
    let start = core::ptr::with_exposed_provenance::<u8>(range.start() as usize);
    // SAFETY: memory of ours, mapped; the loader's module is reserved, so that nobody else uses it,
    // and nothing in this program writes to it.
    Some(unsafe { core::slice::from_raw_parts(start, range.len() as usize) })
}

/// Memory statistics, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Memory that the allocators manage, without what was given back to the hypervisor.
    pub total: u64,
    /// Free frames. (Free blocks inside the heap count as used.)
    pub free: u64,
}

/// The memory statistics.
pub fn usage() -> Usage {
    FRAMES.lock().as_ref().map_or(Usage { total: 0, free: 0 }, |frames| Usage {
        total: frames.total_frames() * PAGE_SIZE,
        free: frames.free_frames() * PAGE_SIZE,
    })
}

/// Heap statistics, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapUsage {
    /// Memory that the heap has taken from the frames, and never gives back.
    pub total: u64,
    /// Free blocks, and what they are divided by.
    pub free: u64,
    /// Number of allocations.
    pub allocations: u64,
}

/// The heap statistics.
pub fn heap_usage() -> HeapUsage {
    let counters = *HEAP.lock().counters();
    let total = counters.claimed_bytes as u64;
    let free = total.saturating_sub(counters.allocated_bytes as u64);
    HeapUsage { total, free, allocations: counters.allocation_count as u64 }
}

/// The heap. It grows out of the frame allocator.
///
/// Small allocations in Rust are infallible: without memory for one, the domain crashes. So the last frames
/// (a 32nd of all, 1 MiB at most) are reserved for them. Pages, stacks and allocations above 16 KiB fail
/// earlier, and where the code uses `try_reserve` it can handle that.
pub struct Heap;

static HEAP: TalcLock<Mutex<()>, Growth> = TalcLock::new(Growth);

// SAFETY: passes everything on to Talc.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { HEAP.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { HEAP.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { HEAP.realloc(place, layout, size) }
    }
}

/// The heap's source of memory.
#[derive(Debug)]
struct Growth;

/// The heap grows by this much at least, while there is as much.
const STEP: u64 = 64 * 1024;
/// Overhead of the heap for a new region.
const OVERHEAD: u64 = 256;
/// Larger allocations cannot use the reserved frames.
const LARGE: usize = 16 * 1024;
/// The first region also holds the heap's table of free lists.
const TABLE: u64 = 8 * 1024;

// SAFETY: claims frames just allocated, which nobody else knows; never touches the heap's lock.
unsafe impl Source for Growth {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let table = if talc.is_metadata_established() { 0 } else { TABLE };
        let need = (layout.size() as u64)
            .checked_add(layout.align() as u64)
            .and_then(|bytes| bytes.checked_add(OVERHEAD + table))
            .ok_or(())?;
        let (start, bytes) = [need.max(STEP), need]
            .into_iter()
            .find_map(|bytes| {
                let count = bytes.div_ceil(PAGE_SIZE);
                let start = with_frames(|frames| {
                    if layout.size() > LARGE {
                        frames.allocate_spare(count, 1)
                    } else {
                        frames.allocate(count, 1)
                    }
                });
                start.flatten().map(|start| (start, count * PAGE_SIZE))
            })
            .ok_or(())?;
        let pointer = core::ptr::with_exposed_provenance_mut::<u8>(start.address() as usize);
        // SAFETY: the frames are ours, mapped for reading and writing, and never given back.
        unsafe { talc.claim(pointer, bytes as usize) }.map(drop).ok_or(())
    }
}
