// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames that a domain could have and has not.

use super::bitmap::{Bitmap, Frames, Mark};
use super::{BitmapTooSmall, FrameNumber, required_words};

/// A set of frames in which there is no memory now: not populated yet, or given back to the hypervisor.
///
/// ```
/// use prism_boot::FrameNumber;
/// use prism_boot::frames::Absent;
///
/// let mut absent = Absent::new([0; 1], 64 * 4096).unwrap();
/// absent.insert(FrameNumber(7), 1);
/// absent.insert(FrameNumber(3), 1);
/// assert_eq!(absent.run_from(FrameNumber(4)), Some((FrameNumber(7), 1)));
/// assert_eq!(absent.take_lowest(), Some(FrameNumber(3)));
/// assert_eq!(absent.count(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct Absent<B> {
    /// A frame that is absent is marked free.
    bitmap: Bitmap<B>,
    count: u64,
}

impl<B: AsRef<[u64]> + AsMut<[u64]>> Absent<B> {
    /// None, of memory that ends at address `usable_end`. What `bitmap` holds is overwritten.
    ///
    /// # Errors
    ///
    /// If `bitmap` is shorter than [`required_words`].
    pub fn new(bitmap: B, usable_end: u64) -> Result<Self, BitmapTooSmall> {
        let bitmap = Bitmap::new(bitmap);
        let (needed, given) = (required_words(usable_end), bitmap.words());
        if given < needed {
            return Err(BitmapTooSmall { needed, given });
        }
        Ok(Self { bitmap, count: 0 })
    }

    /// Adds `count` frames.
    pub fn insert(&mut self, start: FrameNumber, count: u64) {
        self.count = self.count.saturating_add(self.bitmap.set(run(start, count), Mark::Free));
    }

    /// Removes the lowest frame, and returns it.
    #[must_use = "a frame not inserted again is lost"]
    pub fn take_lowest(&mut self) -> Option<FrameNumber> {
        let frame = FrameNumber(self.bitmap.find(1, 1, u64::MAX)?.start);
        self.count = self.count.saturating_sub(self.bitmap.set(run(frame, 1), Mark::Taken));
        Some(frame)
    }

    /// The first frame from `frame` on, and how many there are in a row.
    #[must_use]
    pub fn run_from(&self, frame: FrameNumber) -> Option<(FrameNumber, u64)> {
        let run = self.bitmap.run_from(frame.0)?;
        Some((FrameNumber(run.start), run.len()))
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }
}

const fn run(start: FrameNumber, count: u64) -> Frames {
    Frames { start: start.0, end: start.0.saturating_add(count) }
}
