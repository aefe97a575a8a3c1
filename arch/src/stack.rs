// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stacks with a guard page below them.

use core::cell::UnsafeCell;
use core::ops::Range;

/// Size of a page, and of a guard.
const PAGE: usize = 4096;

/// Usable size of the stack that the kernel boots and runs the application's main task on.
pub const BOOT_STACK_BYTES: usize = 64 * 1024;
/// Usable size of each stack that exceptions are reported on (HVM only; a PV kernel has to take
/// them on the stack where they happened).
pub const FAULT_STACK_BYTES: usize = 16 * 1024;

/// A stack of `BYTES`, with a page below it that is unmapped when the page tables are set up.
#[repr(C, align(4096))]
pub struct Stack<const BYTES: usize> {
    guard: [u8; PAGE],
    body: UnsafeCell<[u8; BYTES]>,
}

// SAFETY: the memory is only ever used through the stack pointer of the one CPU that runs on it.
unsafe impl<const BYTES: usize> Sync for Stack<BYTES> {}

impl<const BYTES: usize> Stack<BYTES> {
    /// Offset of the first byte above the stack: the initial stack pointer.
    pub const TOP: usize = PAGE + BYTES;

    const fn new() -> Self {
        Self { guard: [0; PAGE], body: UnsafeCell::new([0; BYTES]) }
    }

    /// Address of the first byte above the stack.
    pub fn top(&self) -> u64 {
        (&raw const *self).addr() as u64 + Self::TOP as u64
    }

    /// Addresses of the guard page.
    pub fn guard(&self) -> Range<u64> {
        let start = (&raw const self.guard).addr() as u64;
        start..start + PAGE as u64
    }

    /// Addresses of the usable part.
    pub fn range(&self) -> Range<u64> {
        self.guard().end..self.top()
    }
}

/// The stack of boot and of the application's main task.
pub static BOOT_STACK: Stack<BOOT_STACK_BYTES> = Stack::new();
/// Where exceptions are reported (HVM: interrupt stack 1).
pub static FAULT_STACK: Stack<FAULT_STACK_BYTES> = Stack::new();
/// Where a double fault is reported (HVM: interrupt stack 2).
pub static DOUBLE_FAULT_STACK: Stack<FAULT_STACK_BYTES> = Stack::new();

/// Every guard page, with the name of the stack above it.
pub fn guards() -> [(Range<u64>, &'static str); 3] {
    [
        (BOOT_STACK.guard(), "boot stack"),
        (FAULT_STACK.guard(), "fault stack"),
        (DOUBLE_FAULT_STACK.guard(), "double-fault stack"),
    ]
}

/// The usable part of the stack that `address` lies in, if it lies in one of ours.
pub fn containing(address: u64) -> Option<Range<u64>> {
    [BOOT_STACK.range(), FAULT_STACK.range(), DOUBLE_FAULT_STACK.range()]
        .into_iter()
        .find(|range| range.contains(&address))
}
