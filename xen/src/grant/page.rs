// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages, and access to them by copy.

use super::{Error, Frame, Result};
use crate::shared::Shared;

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

/// Copies from `memory` at byte `offset`.
pub(super) fn read(memory: Memory, offset: usize, into: &mut [u8]) -> Result<()> {
    memory.copy_to(offset, into).ok_or(Error::OutsidePage)
}

/// Copies to `memory` at byte `offset`.
pub(super) fn write(memory: Memory, offset: usize, from: &[u8]) -> Result<()> {
    memory.copy_from(offset, from).ok_or(Error::OutsidePage)
}
