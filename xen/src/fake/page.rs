// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a kernel would implement: pages, places, and the mapping of the grant table.

use alloc::sync::Arc;
use core::fmt;

use super::{Kind, Machine, failing};
use crate::grant::foreign::MapSlot;
use crate::grant::setup::{FrameMapper, TableFrame, place, table_mfn};
use crate::grant::{Error, Frame, Memory, PAGE_SIZE, Page, Result};

/// A page of the domain's memory. Giving it up while another domain may use it panics.
pub struct FakePage {
    machine: Arc<Machine>,
    frame: u64,
}

impl FakePage {
    pub(super) fn new(machine: Arc<Machine>) -> Self {
        let frame = machine.state().memory.add();
        Self { machine, frame }
    }

    /// `N` bytes at `offset`.
    pub fn bytes<const N: usize>(&self, offset: usize) -> [u8; N] {
        bytes(memory_at(&self.machine, self.frame), offset)
    }

    /// Overwrites the bytes at `offset`.
    pub fn set(&mut self, offset: usize, bytes: &[u8]) {
        set(memory_at(&self.machine, self.frame), offset, bytes);
    }
}

// SAFETY: the machine hands each frame out once, and keeps its memory in place.
unsafe impl Page for FakePage {
    fn frame(&self) -> Frame {
        Frame(self.frame)
    }

    unsafe fn memory(&self) -> Memory {
        memory_at(&self.machine, self.frame)
    }
}

impl Drop for FakePage {
    fn drop(&mut self) {
        let mut state = self.machine.state();
        let shared = state.table.shares(&state.memory, self.frame);
        assert!(!shared || failing(), "frame {:#x} was given up while a peer may use it", self.frame);
        let given = state.events.uses(self.frame);
        assert!(!given || failing(), "frame {:#x} was given up while Xen keeps events in it", self.frame);
        state.memory.retire(self.frame);
    }
}

impl fmt::Debug for FakePage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FakePage({:#x})", self.frame)
    }
}

/// Room in the domain's address space for a foreign page. Giving it up while one is there panics.
pub struct FakeMapSlot {
    machine: Arc<Machine>,
    at: u64,
}

impl FakeMapSlot {
    pub(super) fn new(machine: Arc<Machine>) -> Self {
        let at = machine.state().memory.add_hole();
        Self { machine, at }
    }
}

// SAFETY: the machine hands each hole out once, and knows where in this process the page is.
unsafe impl MapSlot for FakeMapSlot {
    fn host_address(&self) -> u64 {
        self.at * PAGE_SIZE as u64
    }

    fn virtual_address(&self) -> u64 {
        self.machine.state().memory.address(self.at).expect("a page at this place")
    }
}

impl Drop for FakeMapSlot {
    fn drop(&mut self) {
        let empty = self.machine.state().memory.remove_hole(self.at);
        assert!(empty || failing(), "place {:#x} was given up while a page is there", self.at);
    }
}

/// Maps the domain's grant table.
pub struct FakeMapper {
    machine: Arc<Machine>,
}

impl FakeMapper {
    pub(super) fn new(machine: Arc<Machine>) -> Self {
        Self { machine }
    }

    fn place(&self, frame: TableFrame) -> Result<u64> {
        let at = self.machine.state().memory.add_hole();
        // SAFETY: nothing is there, and nobody else gets that frame.
        unsafe { place(&*self.machine, frame, Frame(at)) }.map(|()| at)
    }
}

impl FrameMapper for FakeMapper {
    fn map(&self, frame: TableFrame) -> Result<Memory> {
        let at = match self.machine.config.kind {
            Kind::Pv => table_mfn(&*self.machine, frame)?.0,
            Kind::Hvm => self.place(frame)?,
        };
        self.machine.state().memory.at(at).ok_or(Error::NoRoom)
    }
}

pub(super) fn memory_at(machine: &Machine, frame: u64) -> Memory {
    machine.state().memory.at(frame).unwrap_or_else(|| panic!("nothing is at frame {frame:#x}"))
}

pub(super) fn bytes<const N: usize>(memory: Memory, offset: usize) -> [u8; N] {
    core::array::from_fn(|index| memory.field::<u8>(offset + index).expect("inside the page").read())
}

pub(super) fn set(memory: Memory, offset: usize, bytes: &[u8]) {
    for (index, byte) in bytes.iter().enumerate() {
        memory.field(offset + index).expect("inside the page").write(*byte);
    }
}
