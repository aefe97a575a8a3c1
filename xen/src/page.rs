// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages of a domain's memory, which it may give to devices and grant to other domains.

use crate::shared::Shared;

/// Number of a 4 KiB frame as Xen takes it: the guest's own frame number in HVM and PVH domains,
/// the machine's in PV domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frame(pub u64);

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
    /// [`Granted`](crate::grant::Granted), which gives it back only when the peer has let go.
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
