// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stacks with a guard page below them.

use core::cell::UnsafeCell;
use core::ops::Range;

use crate::vcpu;

/// Size of a page, and of a guard.
const PAGE: usize = 4096;

/// Usable size of the stack that a vCPU runs its tasks on; the first one also boots on it. Boot, an
/// application's task and one that it starts had 70 KiB of frames in one image: a future is on the stack, up
/// to three times, before it is in its place.
pub const TASK_STACK_BYTES: usize = 128 * 1024;
/// Usable size of each stack that exceptions are reported on (HVM only; a PV kernel has to take
/// them on the stack where they happened).
pub const FAULT_STACK_BYTES: usize = 16 * 1024;

/// Usable size of the stack that non-maskable interrupts are reported on (HVM only).
pub const NMI_STACK_BYTES: usize = 8 * 1024;

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

/// The stacks of a vCPU.
#[repr(C)]
pub struct Stacks {
    /// Where tasks run. First, so that the entry stubs know where it is.
    pub tasks: Stack<TASK_STACK_BYTES>,
    /// Where exceptions are reported (HVM: interrupt stack 1).
    pub fault: Stack<FAULT_STACK_BYTES>,
    /// Where a double fault is reported (HVM: interrupt stack 2).
    pub double_fault: Stack<FAULT_STACK_BYTES>,
    /// Where non-maskable interrupts are reported (HVM: interrupt stack 3).
    pub nmi: Stack<NMI_STACK_BYTES>,
}

impl Stacks {
    /// Offset of the initial stack pointer.
    pub(crate) const TOP: usize = Stack::<TASK_STACK_BYTES>::TOP;

    pub(crate) const fn new() -> Self {
        Self { tasks: Stack::new(), fault: Stack::new(), double_fault: Stack::new(), nmi: Stack::new() }
    }

    /// Every guard page, lowest first, with the name of the stack above it.
    pub fn guards(&self) -> [(Range<u64>, &'static str); 4] {
        [
            (self.tasks.guard(), "task stack"),
            (self.fault.guard(), "fault stack"),
            (self.double_fault.guard(), "double-fault stack"),
            (self.nmi.guard(), "NMI stack"),
        ]
    }

    /// The usable part of the stack that `address` lies in.
    fn containing(&self, address: u64) -> Option<Range<u64>> {
        [self.tasks.range(), self.fault.range(), self.double_fault.range(), self.nmi.range()]
            .into_iter()
            .find(|range| range.contains(&address))
    }
}

/// The name of the stack, of any vCPU, whose guard page `address` lies in.
pub fn guarded(address: u64) -> Option<&'static str> {
    vcpu::all()
        .flat_map(|vcpu| vcpu.stacks.guards())
        .find(|(guard, _)| guard.contains(&address))
        .map(|(_, name)| name)
}

/// The usable part of the stack, of any vCPU, that `address` lies in.
pub fn containing(address: u64) -> Option<Range<u64>> {
    vcpu::all().find_map(|vcpu| vcpu.stacks.containing(address))
}
