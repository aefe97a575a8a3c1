// SPDX-License-Identifier: MIT OR Apache-2.0
//! The frame allocator: one bit for each 4 KiB frame.

mod absent;
mod bitmap;

use core::fmt;

use crate::{MemoryMap, PAGE_SIZE, PhysRange};
pub use absent::Absent;
use bitmap::{Bitmap, Frames, Mark};

/// Number of a 4 KiB frame: its physical address divided by 4096.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameNumber(pub u64);

impl FrameNumber {
    /// The frame that holds `address`.
    #[must_use]
    pub const fn of(address: u64) -> Self {
        Self(address / PAGE_SIZE)
    }

    /// Physical address of its first byte.
    #[must_use]
    pub const fn address(self) -> u64 {
        self.0.saturating_mul(PAGE_SIZE)
    }
}

/// How many 64-bit words of bitmap it takes for memory that ends at address `usable_end`
/// ([`MemoryMap::usable_end`]): 32 KiB of bitmap for each GiB.
#[must_use]
pub const fn required_words(usable_end: u64) -> u64 {
    usable_end.div_ceil(PAGE_SIZE).div_ceil(bitmap::WORD)
}

/// Number of reserved frames out of `total`, for allocations that cannot fail: a 32nd, 1 MiB at most.
#[must_use]
pub const fn reserve_of(total: u64) -> u64 {
    /// 1 MiB.
    const MOST: u64 = 256;
    let share = total / 32;
    if share < MOST { share } else { MOST }
}

/// Number of frames, out of `total`, that are to stay free when memory is given back to the hypervisor: the
/// [reserve](reserve_of), and an eighth of all, 4 MiB at most.
#[must_use]
pub const fn floor_of(total: u64) -> u64 {
    /// 4 MiB.
    const MOST: u64 = 1024;
    let share = total / 8;
    reserve_of(total).saturating_add(if share < MOST { share } else { MOST })
}

/// The bitmap is too small for the memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitmapTooSmall {
    /// Words needed.
    pub needed: u64,
    /// Words given.
    pub given: u64,
}

impl fmt::Display for BitmapTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame bitmap: expected at least {} words, found {}", self.needed, self.given)
    }
}

impl core::error::Error for BitmapTooSmall {}

/// Frames were freed that cannot be. The caller's mistake; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeError {
    /// Some of the frames are not memory that the allocator was given.
    NotMemory {
        /// First frame to be freed.
        start: FrameNumber,
        /// How many.
        count: u64,
    },
    /// A frame is free already.
    NotAllocated {
        /// The first one that is.
        frame: FrameNumber,
    },
}

impl fmt::Display for FreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMemory { start, count } => {
                write!(f, "freed {count} frames from {:#x}, which are not all usable memory", start.address())
            }
            Self::NotAllocated { frame } => {
                write!(f, "freed the frame at {:#x}, which is free", frame.address())
            }
        }
    }
}

impl core::error::Error for FreeError {}

/// Allocates the frames of a memory map.
///
/// First fit, lowest address first. It never hands out a frame that is not usable in the map, or a frame
/// twice. A call takes time proportional to the bitmap at worst; single frames usually need one word.
///
/// Give it the whole map, then [`reserve`](Self::reserve) what the boot structures occupy: those
/// frames can be freed when they have been read.
///
/// ```
/// use prism_boot::{FrameAllocator, Kind, MemoryMap, PhysRange, frames::required_words};
///
/// let mut map = MemoryMap::new();
/// map.add(PhysRange::frames(16, 16), Kind::Usable);
/// assert_eq!(required_words(map.usable_end()), 1);
/// let mut frames = FrameAllocator::new([0; 1], &map).unwrap();
/// let four = frames.allocate(4, 4).unwrap();
/// assert_eq!(four.address(), 16 * 4096);
/// frames.free(four, 4).unwrap();
/// assert!(frames.free(four, 4).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct FrameAllocator<B> {
    bitmap: Bitmap<B>,
    memory: MemoryMap,
    free: u64,
    total: u64,
}

impl<B: AsRef<[u64]> + AsMut<[u64]>> FrameAllocator<B> {
    /// An allocator of the usable frames in `memory`, all free. What `bitmap` holds is overwritten.
    ///
    /// # Errors
    ///
    /// If `bitmap` is shorter than [`required_words`].
    pub fn new(bitmap: B, memory: &MemoryMap) -> Result<Self, BitmapTooSmall> {
        let mut bitmap = Bitmap::new(bitmap);
        let (needed, given) = (required_words(memory.usable_end()), bitmap.words());
        if given < needed {
            return Err(BitmapTooSmall { needed, given });
        }
        let total = memory
            .usable()
            .fold(0_u64, |total, range| total.saturating_add(bitmap.set(Frames::within(range), Mark::Free)));
        Ok(Self { bitmap, memory: memory.clone(), free: total, total })
    }

    /// Takes `count` frames in a row whose first number is a multiple of `align` (rounded up to a
    /// power of two); `None` if there are none, or if `count` is 0.
    #[must_use = "frames not freed are lost"]
    pub fn allocate(&mut self, count: u64, align: u64) -> Option<FrameNumber> {
        self.allocate_below(count, align, FrameNumber(u64::MAX))
    }

    /// Like [`allocate`](Self::allocate), of frames below `limit` only.
    #[must_use = "frames not freed are lost"]
    pub fn allocate_below(&mut self, count: u64, align: u64, limit: FrameNumber) -> Option<FrameNumber> {
        if count > self.free {
            return None;
        }
        let found = self.bitmap.find(count, align.checked_next_power_of_two()?, limit.0)?;
        self.take(found);
        Some(FrameNumber(found.start))
    }

    /// Like [`allocate`](Self::allocate), but leaves the [reserve](reserve_of) alone: for allocations that
    /// may fail.
    #[must_use = "frames not freed are lost"]
    pub fn allocate_spare(&mut self, count: u64, align: u64) -> Option<FrameNumber> {
        let left = self.free.checked_sub(count)?;
        if left < reserve_of(self.total) {
            return None;
        }
        self.allocate(count, align)
    }

    /// Like [`allocate_spare`](Self::allocate_spare), the highest frame: for pages that the hypervisor
    /// replaces, which splits the large page around them.
    #[must_use = "a frame not freed is lost"]
    pub fn allocate_highest(&mut self) -> Option<FrameNumber> {
        if self.free.checked_sub(1)? < reserve_of(self.total) {
            return None;
        }
        let start = self.bitmap.last_free()?;
        self.take(Frames { start, end: start.checked_add(1)? });
        Some(FrameNumber(start))
    }

    /// Withdraws the highest free frame, so that more than `left` were free before: it is no frame of the
    /// allocator's any more until it is [put back](Self::put_back).
    #[must_use = "a frame not put back is lost"]
    pub fn withdraw(&mut self, left: u64) -> Option<FrameNumber> {
        if self.free <= left {
            return None;
        }
        let start = self.bitmap.last_free()?;
        self.take(Frames { start, end: start.checked_add(1)? });
        self.total = self.total.saturating_sub(1);
        Some(FrameNumber(start))
    }

    /// [Withdraws](Self::withdraw) the free frames in `range`, and tells how many there were.
    pub fn withdraw_range(&mut self, range: PhysRange) -> u64 {
        let withdrawn = self.take(Frames::within(range.inward()));
        self.total = self.total.saturating_sub(withdrawn);
        withdrawn
    }

    /// Puts a frame back that was [withdrawn](Self::withdraw). It is free.
    ///
    /// # Errors
    ///
    /// As for [`free`](Self::free).
    pub fn put_back(&mut self, frame: FrameNumber) -> Result<(), FreeError> {
        self.free(frame, 1)?;
        self.total = self.total.saturating_add(1);
        Ok(())
    }

    /// Gives `count` frames back, which need not have been taken in one piece.
    ///
    /// # Errors
    ///
    /// If some of them is not memory, or is free already. Nothing is freed then.
    pub fn free(&mut self, start: FrameNumber, count: u64) -> Result<(), FreeError> {
        let not_memory = FreeError::NotMemory { start, count };
        let frames = Frames { start: start.0, end: start.0.checked_add(count).ok_or(not_memory)? };
        if !self.memory.usable().any(|range| Frames::within(range).encloses(frames)) {
            return Err(not_memory);
        }
        if let Some(frame) = self.bitmap.first(Mark::Free, frames) {
            return Err(FreeError::NotAllocated { frame: FrameNumber(frame) });
        }
        self.free = self.free.saturating_add(self.bitmap.set(frames, Mark::Free));
        Ok(())
    }

    /// Takes the free frames that `range` touches and tells how many there were.
    pub fn reserve(&mut self, range: PhysRange) -> u64 {
        self.take(Frames::within(range.outward()))
    }

    /// How many frames are free.
    #[must_use]
    pub const fn free_frames(&self) -> u64 {
        self.free
    }

    /// How many frames there are, free or not, without those that were [withdrawn](Self::withdraw).
    #[must_use]
    pub const fn total_frames(&self) -> u64 {
        self.total
    }

    /// Whether this frame is free.
    #[must_use]
    pub fn is_free(&self, frame: FrameNumber) -> bool {
        let only = Frames { start: frame.0, end: frame.0.saturating_add(1) };
        self.bitmap.first(Mark::Free, only).is_some()
    }

    /// How many free frames in a row there are at most.
    #[must_use]
    pub fn largest_run(&self) -> u64 {
        self.bitmap.runs().map(Frames::len).max().unwrap_or(0)
    }

    /// Takes whichever of these frames are free and tells how many were.
    fn take(&mut self, frames: Frames) -> u64 {
        let taken = self.bitmap.set(frames, Mark::Taken);
        self.free = self.free.saturating_sub(taken);
        taken
    }
}
