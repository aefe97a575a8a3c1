// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages, and access to them by copy.

use super::{Error, Frame, Result};
use crate::shared::{Plain, Shared};

/// Bytes of a page.
pub const PAGE_SIZE: usize = 4096;

/// A page's memory.
pub type Memory = Shared<[u8; PAGE_SIZE]>;

/// A page of this domain's that can be granted.
///
/// # Safety
///
/// The value owns the whole page: nothing else in the program uses its memory, and dropping the
/// value is what lets others use it. [`frame`](Self::frame) and [`memory`](Self::memory) name that
/// page, mapped for reading and writing, and never another one.
pub unsafe trait Page: Send {
    /// The frame's number.
    fn frame(&self) -> Frame;

    /// The page's memory.
    ///
    /// # Safety
    ///
    /// What is returned, and what is made of it, is not used after the value is gone, nor while
    /// somebody else may use the value to form references to the memory.
    unsafe fn memory(&self) -> Memory;

    /// The page's contents. Whoever has the value has the page alone: what is granted is inside of a
    /// [`Granted`](super::Granted), which gives it back only when the peer has let go.
    fn bytes(&self) -> &[u8; PAGE_SIZE] {
        // SAFETY: not used after `self`'s borrow, during which nobody writes.
        let memory = unsafe { self.memory() };
        // SAFETY: mapped, and the value's alone, by the trait's contract; borrowed as long as it.
        unsafe { &*memory.as_ptr() }
    }

    /// The page's contents, to be changed; as for [`bytes`](Self::bytes).
    fn bytes_mut(&mut self) -> &mut [u8; PAGE_SIZE] {
        // SAFETY: not used after `self`'s borrow, during which nobody else has the page.
        let memory = unsafe { self.memory() };
        // SAFETY: mapped, and the value's alone, by the trait's contract; borrowed as long as it.
        unsafe { &mut *memory.as_ptr() }
    }
}

/// Bytes that are copied at once, and of what is left then.
const BLOCK: usize = 64;
const WORD: usize = 8;

/// Copies from `memory` at byte `offset`.
pub(super) fn read(memory: Memory, offset: usize, into: &mut [u8]) -> Result<()> {
    check(offset, into.len())?;
    let (blocks, rest) = into.as_chunks_mut::<BLOCK>();
    let offset = copy_each(memory, offset, blocks, |place, block: &mut [u8; BLOCK]| *block = place.read());
    let (words, rest) = rest.as_chunks_mut::<WORD>();
    let offset = copy_each(memory, offset, words, |place, word: &mut [u8; WORD]| *word = place.read());
    copy_each(memory, offset, rest, |place, byte: &mut u8| *byte = place.read());
    Ok(())
}

/// Copies to `memory` at byte `offset`.
pub(super) fn write(memory: Memory, offset: usize, from: &[u8]) -> Result<()> {
    check(offset, from.len())?;
    let (blocks, rest) = from.as_chunks::<BLOCK>();
    let offset = copy_each(memory, offset, blocks, |place, block: &[u8; BLOCK]| place.write(*block));
    let (words, rest) = rest.as_chunks::<WORD>();
    let offset = copy_each(memory, offset, words, |place, word: &[u8; WORD]| place.write(*word));
    copy_each(memory, offset, rest, |place, byte: &u8| place.write(*byte));
    Ok(())
}

/// Pairs each of `items` with its place in memory, and returns the offset behind the last.
fn copy_each<T: Plain, I>(
    memory: Memory,
    mut offset: usize,
    items: impl IntoIterator<Item = I>,
    copy: impl Fn(Shared<T>, I),
) -> usize {
    for item in items {
        if let Some(place) = memory.field::<T>(offset) {
            copy(place, item);
        }
        offset += size_of::<T>();
    }
    offset
}

/// Whether `length` bytes at `offset` lie inside a page.
pub(super) fn check(offset: usize, length: usize) -> Result<()> {
    match offset.checked_add(length) {
        Some(end) if end <= PAGE_SIZE => Ok(()),
        _ => Err(Error::OutsidePage),
    }
}
