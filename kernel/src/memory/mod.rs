// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's memory: early frames for page tables, then a frame allocator and a heap over all
//! of it.

pub(crate) mod dma;
pub(crate) mod registers;

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;

use prism_arch::image::image;
use prism_arch::machine::{FrameSource, Machine, MapError};
use prism_boot::frames::required_words;
use prism_boot::{
    BootInfo, FrameAllocator, FrameNumber, MemoryMap, Module, PAGE_SIZE, PhysMemory, PhysRange,
};
use spin::Mutex;
use talc::base::binning::Binning;
use talc::source::Source;
use talc::{TalcLock, base::Talc};

/// Memory at its own address, up to a limit: how boot structures are read.
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

/// Memory that has to do before there is a frame allocator: taken once, never given back.
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

static FRAMES: Mutex<Option<FrameAllocator<&'static mut [u64]>>> = Mutex::new(None);

/// The frame allocator as a source of page tables.
pub(crate) struct Frames;

impl FrameSource for Frames {
    fn alloc_frame(&mut self, limit: u64) -> Option<u64> {
        let mut frames = FRAMES.lock();
        frames.as_mut()?.allocate_below(1, 1, FrameNumber::of(limit)).map(FrameNumber::address)
    }
}

/// Takes a frame for a page of its own, and zeroes it; returns its address.
pub(crate) fn alloc_zeroed_frame() -> Option<u64> {
    alloc_zeroed(PAGE_SIZE)
}

/// Takes `bytes` of memory in one piece, whole frames, and zeroes them; returns their address. Not the last
/// frames: those are left to the heap and to page tables.
pub(crate) fn alloc_zeroed(bytes: u64) -> Option<u64> {
    let count = bytes.div_ceil(PAGE_SIZE);
    let start = FRAMES.lock().as_mut()?.allocate_spare(count, 1)?.address();
    let place = core::ptr::with_exposed_provenance_mut::<u8>(start as usize);
    // SAFETY: the frames are ours, and mapped at their own address.
    unsafe { place.write_bytes(0, (count * PAGE_SIZE) as usize) };
    Some(start)
}

/// Takes a frame whose address is below `limit`.
pub(crate) fn alloc_frame_below(limit: u64) -> Option<u64> {
    Frames.alloc_frame(limit)
}

/// Gives back a frame that [`alloc_zeroed_frame`] or [`alloc_frame_below`] took.
pub(crate) fn free_frame(address: u64) {
    free(address, PAGE_SIZE);
}

/// Gives back what [`alloc_zeroed`] took.
pub(crate) fn free(address: u64, bytes: u64) {
    if let Some(frames) = FRAMES.lock().as_mut() {
        // Fails only for a frame that is free already, which would be a bug of the caller's: the
        // allocator is left as it is.
        if let Err(error) = frames.free(FrameNumber::of(address), bytes.div_ceil(PAGE_SIZE)) {
            log::error!("frame allocator: double free: {error}");
        }
    }
}

/// Why there is no memory to run in.
#[derive(Debug)]
pub(crate) enum MemoryError {
    /// Nobody told us what memory there is.
    NoMap,
    /// Page tables could not be made.
    Map(MapError),
    /// What is left after the image does not hold the allocator's own table.
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

/// Maps all memory and sets the allocators up.
pub(crate) fn init(info: &BootInfo, machine: &dyn Machine) -> Result<(), MemoryError> {
    if info.memory.is_empty() {
        return Err(MemoryError::NoMap);
    }
    let mut early = EarlyFrames { free: free_memory(info) };
    let mut memory = info.memory.usable().map(|range| range.start()..range.end());
    machine.map_memory(&mut memory, &mut early).map_err(MemoryError::Map)?;

    let words = required_words(early.free.usable_end());
    let too_small = MemoryError::TooSmall { usable: info.memory.total_usable() };
    let Some(bitmap) = early.take(words * 8, u64::MAX) else { return Err(too_small) };
    let start = core::ptr::with_exposed_provenance_mut::<u64>(bitmap.start() as usize);
    // SAFETY: memory of ours, mapped, page aligned, taken from the free map for good.
    let bitmap = unsafe { core::slice::from_raw_parts_mut(start, words as usize) };
    *FRAMES.lock() = Some(FrameAllocator::new(bitmap, &early.free).map_err(|_| too_small)?);
    Ok(())
}

/// All memory but the image and what the loader left for us.
fn free_memory(info: &BootInfo) -> MemoryMap {
    let mut free = info.free_memory();
    let image = image().range();
    if let Some(image) = PhysRange::new(image.start, image.end) {
        free.subtract(image);
    }
    free
}

/// The bytes of a module, if they lie in memory that is mapped.
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

/// How much memory there is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// What the allocators manage.
    pub total: u64,
    /// What is not in use: free frames. (The heap's own reserves count as used.)
    pub free: u64,
}

/// How much memory there is, and how much is free.
pub fn usage() -> Usage {
    FRAMES.lock().as_ref().map_or(Usage { total: 0, free: 0 }, |frames| Usage {
        total: frames.total_frames() * PAGE_SIZE,
        free: frames.free_frames() * PAGE_SIZE,
    })
}

/// The heap: grows out of the frame allocator as long as there are frames.
///
/// Rust's small allocations cannot fail: where there is no memory for one, the domain ends with a crash.
/// That is why pages, stacks, and allocations of more than 16 KiB get none of the last frames (a 32nd of all,
/// but 1 MiB at most): those fail, where they can (`try_reserve`), while there is memory to handle it with.
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

/// How the heap grows.
#[derive(Debug)]
struct Growth;

/// The heap grows by at least this much, as long as there is that much.
const STEP: u64 = 64 * 1024;
/// What the heap itself needs of a region besides the block asked for.
const OVERHEAD: u64 = 256;
/// What is larger does not get the last frames: few such allocations are made by code that cannot do without.
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
        let mut frames = FRAMES.lock();
        let frames = frames.as_mut().ok_or(())?;
        let (start, bytes) = [need.max(STEP), need]
            .into_iter()
            .find_map(|bytes| {
                let count = bytes.div_ceil(PAGE_SIZE);
                let start = if layout.size() > LARGE {
                    frames.allocate_spare(count, 1)
                } else {
                    frames.allocate(count, 1)
                };
                start.map(|start| (start, count * PAGE_SIZE))
            })
            .ok_or(())?;
        let place = core::ptr::with_exposed_provenance_mut::<u8>(start.address() as usize);
        // SAFETY: the frames are ours, mapped for reading and writing, and never given back.
        unsafe { talc.claim(place, bytes as usize) }.map(drop).ok_or(())
    }
}
