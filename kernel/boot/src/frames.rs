// SPDX-License-Identifier: MIT OR Apache-2.0
//! The frame allocator: one bit for each 4 KiB frame.

use core::fmt;

use crate::{
    MemoryMap, PAGE_SIZE, PhysRange,
    bytes::{as_u64, as_usize},
};

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
    usable_end.div_ceil(PAGE_SIZE).div_ceil(WORD)
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

/// Hands out the frames of a memory map.
///
/// The lowest frames that fit are taken. Nothing is ever handed out that is not usable in the map,
/// or twice. Each call takes time proportional to the bitmap at worst; single frames usually take a
/// look at one word.
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
    /// A set bit is a free frame.
    bitmap: B,
    memory: MemoryMap,
    /// No word below this one holds a free frame.
    first_free_word: usize,
    free: u64,
    total: u64,
}

impl<B: AsRef<[u64]> + AsMut<[u64]>> FrameAllocator<B> {
    /// An allocator of the usable frames in `memory`, all free. What `bitmap` holds is overwritten.
    ///
    /// # Errors
    ///
    /// If `bitmap` is shorter than [`required_words`].
    pub fn new(mut bitmap: B, memory: &MemoryMap) -> Result<Self, BitmapTooSmall> {
        let given = as_u64(bitmap.as_ref().len());
        let needed = required_words(memory.usable_end());
        if given < needed {
            return Err(BitmapTooSmall { needed, given });
        }
        bitmap.as_mut().fill(0);
        let mut allocator = Self { bitmap, memory: memory.clone(), first_free_word: 0, free: 0, total: 0 };
        for range in memory.usable() {
            allocator.change(Frames::within(range), Mark::Free);
        }
        allocator.total = allocator.free;
        Ok(allocator)
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
        let found = self.find(count, align.checked_next_power_of_two()?, limit.0)?;
        self.change(found, Mark::Taken);
        Some(FrameNumber(found.start))
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
        match self.first(Mark::Free, frames) {
            Some(frame) => Err(FreeError::NotAllocated { frame: FrameNumber(frame) }),
            None => {
                self.change(frames, Mark::Free);
                Ok(())
            }
        }
    }

    /// Takes the free frames that `range` touches and tells how many there were.
    pub fn reserve(&mut self, range: PhysRange) -> u64 {
        let before = self.free;
        self.change(Frames::within(range.outward()), Mark::Taken);
        before.saturating_sub(self.free)
    }

    /// How many frames are free.
    #[must_use]
    pub const fn free_frames(&self) -> u64 {
        self.free
    }

    /// How many frames there are, free or not.
    #[must_use]
    pub const fn total_frames(&self) -> u64 {
        self.total
    }

    /// Whether this frame is free.
    #[must_use]
    pub fn is_free(&self, frame: FrameNumber) -> bool {
        let only = Frames { start: frame.0, end: frame.0.saturating_add(1) };
        self.first(Mark::Free, only).is_some()
    }

    /// How many free frames in a row there are at most.
    #[must_use]
    pub fn largest_run(&self) -> u64 {
        let mut rest = self.all();
        let mut largest = 0;
        while let Some(start) = self.first(Mark::Free, rest) {
            rest.start = start;
            let end = self.first(Mark::Taken, rest).unwrap_or(rest.end);
            largest = largest.max(end.saturating_sub(start));
            rest.start = end;
        }
        largest
    }

    /// All frames the bitmap has a bit for.
    fn all(&self) -> Frames {
        Frames { start: 0, end: as_u64(self.bitmap.as_ref().len()).saturating_mul(WORD) }
    }

    /// The lowest free run of `count` frames below `limit`.
    fn find(&self, count: u64, align: u64, limit: u64) -> Option<Frames> {
        if count == 0 || count > self.free {
            return None;
        }
        let mut rest = self.all();
        rest.end = rest.end.min(limit);
        rest.start = as_u64(self.first_free_word).saturating_mul(WORD);
        loop {
            let start = self.first(Mark::Free, rest)?.checked_next_multiple_of(align)?;
            let wanted = Frames { start, end: start.checked_add(count).filter(|end| *end <= rest.end)? };
            match self.first(Mark::Taken, wanted) {
                Some(taken) => rest.start = taken,
                None => return Some(wanted),
            }
        }
    }

    /// The first frame among `frames` with this mark.
    fn first(&self, mark: Mark, frames: Frames) -> Option<u64> {
        let words = self.bitmap.as_ref();
        let mut index = as_usize(frames.start / WORD);
        let mut wanted = u64::MAX.wrapping_shl(bit_in_word(frames.start));
        while as_u64(index).saturating_mul(WORD) < frames.end {
            let matching = words.get(index)? ^ mark.flip();
            let matching = matching & wanted;
            if matching != 0 {
                let frame =
                    as_u64(index).saturating_mul(WORD).saturating_add(matching.trailing_zeros().into());
                return (frame < frames.end).then_some(frame);
            }
            wanted = u64::MAX;
            index = index.saturating_add(1);
        }
        None
    }

    /// Marks all of `frames` and keeps count.
    fn change(&mut self, frames: Frames, mark: Mark) {
        let mut rest = Frames { start: frames.start, end: frames.end.min(self.all().end) };
        if mark == Mark::Free {
            self.first_free_word = self.first_free_word.min(as_usize(rest.start / WORD));
        }
        while rest.start < rest.end {
            let index = as_usize(rest.start / WORD);
            let bits = rest.bits_in_first_word();
            let Some(word) = self.bitmap.as_mut().get_mut(index) else { return };
            match mark {
                Mark::Free => {
                    self.free = self.free.saturating_add((bits & !*word).count_ones().into());
                    *word |= bits;
                }
                Mark::Taken => {
                    self.free = self.free.saturating_sub((bits & *word).count_ones().into());
                    *word &= !bits;
                }
            }
            rest.start = rest.next_word();
        }
        self.skip_empty_words();
    }

    /// Moves the hint past words without a free frame.
    fn skip_empty_words(&mut self) {
        let words = self.bitmap.as_ref().get(self.first_free_word..).unwrap_or(&[]);
        let empty = words.iter().take_while(|word| **word == 0).count();
        self.first_free_word = self.first_free_word.saturating_add(empty);
    }
}

/// Frames to a word of the bitmap.
const WORD: u64 = 64;

/// What a bit of the bitmap says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Free,
    Taken,
}

impl Mark {
    /// A word of bits with this mark, XORed with it, has all bits set.
    const fn flip(self) -> u64 {
        match self {
            Self::Free => 0,
            Self::Taken => u64::MAX,
        }
    }
}

/// Frame numbers, half open.
#[derive(Clone, Copy)]
struct Frames {
    start: u64,
    end: u64,
}

impl Frames {
    /// The frames of a range of whole pages.
    const fn within(range: PhysRange) -> Self {
        Self { start: range.start() / PAGE_SIZE, end: range.end() / PAGE_SIZE }
    }

    const fn encloses(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// The first frame of the word after the one that holds the first.
    const fn next_word(self) -> u64 {
        (self.start / WORD).saturating_add(1).saturating_mul(WORD)
    }

    /// Bits of those frames that share a word with the first one; not for empty ranges.
    fn bits_in_first_word(self) -> u64 {
        let count = self.end.min(self.next_word()).saturating_sub(self.start);
        let ones = u64::MAX.wrapping_shr(u32::try_from(WORD.saturating_sub(count)).unwrap_or(0));
        ones.wrapping_shl(bit_in_word(self.start))
    }
}

/// The frame's bit in its word, 0 to 63.
const fn bit_in_word(frame: u64) -> u32 {
    (frame % WORD) as u32
}
