// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rings of bytes, one for each direction, in a page shared with the other side: xenstore's and the
//! console's.
//!
//! Both ends have an index that runs freely and wraps at 2^32; its low bits are the position in the ring.
//! Ours is kept outside of the page, so that the other side cannot move it, and the other side's is checked:
//! it may not be ahead of what was written, nor by more than the ring holds.

use core::fmt;
use core::sync::atomic::{Ordering, fence};

use crate::shared::Shared;

/// Where a ring of bytes is in a page of type `T`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Offset of the bytes.
    pub(crate) bytes: usize,
    /// Number of bytes, a power of two.
    pub(crate) size: u32,
    /// Offset of the index up to which bytes were written.
    pub(crate) produced: usize,
    /// Offset of the index up to which bytes were read.
    pub(crate) consumed: usize,
}

impl Layout {
    /// Where the byte of this index is. A remainder would be the same, but for a size of zero.
    const fn place(self, index: u32) -> u32 {
        index & self.size.wrapping_sub(1)
    }
}

/// The other side wrote indices that are impossible: more bytes in the ring than it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadIndices;

impl fmt::Display for BadIndices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the other side of the ring wrote impossible indices")
    }
}

impl core::error::Error for BadIndices {}

/// Bytes that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// How many.
    pub count: usize,
    /// The ring was full: the other side waits for room, and wants an event now.
    pub was_full: bool,
}

/// The end of a ring that writes.
pub(crate) struct Writer<T> {
    page: Shared<T>,
    layout: Layout,
    produced: u32,
}

impl<T: Copy> Writer<T> {
    /// The end of the ring at `layout` in `page`, which goes on at the index that is there.
    pub(crate) fn new(page: Shared<T>, layout: Layout) -> Self {
        Self { page, layout, produced: load(page, layout.produced) }
    }

    /// Writes as many of `bytes` as fit, and returns how many.
    ///
    /// # Errors
    ///
    /// [`BadIndices`] if the other side claims to have read what was not written.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize, BadIndices> {
        let mut written = 0;
        for byte in bytes.iter().take(self.room()? as usize) {
            let position = self.layout.place(self.produced.wrapping_add(written)); // a free-running index
            if let Some(slot) = self.page.field::<u8>(self.layout.bytes + position as usize) {
                slot.write(*byte);
            }
            written += 1;
        }
        self.produced = self.produced.wrapping_add(written); // a free-running index
        store(self.page, self.layout.produced, self.produced);
        Ok(written as usize)
    }

    /// Bytes that fit now.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    pub(crate) fn room(&self) -> Result<u32, BadIndices> {
        self.layout.size.checked_sub(self.unread()?).ok_or(BadIndices)
    }

    /// Bytes written that the other side has not read yet.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    pub(crate) fn unread(&self) -> Result<u32, BadIndices> {
        let consumed = load(self.page, self.layout.consumed);
        let unread = self.produced.wrapping_sub(consumed); // free-running indices
        if unread > self.layout.size { Err(BadIndices) } else { Ok(unread) }
    }
}

/// The end of a ring that reads.
pub(crate) struct Reader<T> {
    page: Shared<T>,
    layout: Layout,
    consumed: u32,
}

impl<T: Copy> Reader<T> {
    /// The end of the ring at `layout` in `page`, which goes on at the index that is there.
    pub(crate) fn new(page: Shared<T>, layout: Layout) -> Self {
        Self { page, layout, consumed: load(page, layout.consumed) }
    }

    /// Drops what was not read.
    pub(crate) fn skip_all(&mut self) {
        self.consumed = load(self.page, self.layout.produced);
        store(self.page, self.layout.consumed, self.consumed);
    }

    /// Takes the bytes that have arrived, up to the size of `buffer`.
    ///
    /// # Errors
    ///
    /// [`BadIndices`] if the other side claims to have written more than fits.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<Taken, BadIndices> {
        let ready = self.ahead();
        if ready > self.layout.size {
            return Err(BadIndices);
        }
        let mut count = 0;
        for byte in buffer.iter_mut().take(ready as usize) {
            let position = self.layout.place(self.consumed.wrapping_add(count)); // a free-running index
            if let Some(slot) = self.page.field::<u8>(self.layout.bytes + position as usize) {
                *byte = slot.read();
            }
            count += 1;
        }
        let before = self.consumed;
        self.consumed = before.wrapping_add(count); // a free-running index
        store(self.page, self.layout.consumed, self.consumed);
        // A side that filled the ring since the look above may not have seen the room.
        let was_full = count > 0 && self.ahead().wrapping_add(count) >= self.layout.size;
        Ok(Taken { count: count as usize, was_full })
    }

    /// How far the other side is ahead, as it says.
    fn ahead(&self) -> u32 {
        load(self.page, self.layout.produced).wrapping_sub(self.consumed) // free-running indices
    }
}

fn load<T: Copy>(page: Shared<T>, offset: usize) -> u32 {
    page.field::<u32>(offset).map_or(0, |index| index.atomic().load(Ordering::Acquire))
}

/// Publishes an index. The fence keeps a look at the other side's index behind it, so that of two sides that
/// both publish and then look, one sees the other's news.
fn store<T: Copy>(page: Shared<T>, offset: usize, value: u32) {
    if let Some(index) = page.field::<u32>(offset) {
        index.atomic().store(value, Ordering::Release);
    }
    fence(Ordering::SeqCst);
}
