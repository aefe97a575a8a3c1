// SPDX-License-Identifier: MIT OR Apache-2.0
//! Room in the address space for pages of other domains.

use alloc::vec::Vec;

use prism_arch::machine::Machine;
use prism_boot::{MemoryMap, PAGE_SIZE};
use spin::Mutex;
use xen::grant::{Error, Result, foreign};

use super::MAPPER;
use crate::memory::{self, Frames};

/// Room for one page.
///
/// In a PV domain, where Xen writes the page-table entry, it is the address of a frame of ours,
/// which lies idle meanwhile. Elsewhere it is an address behind all memory.
pub struct Place {
    address: u64,
    /// The frame that lies idle.
    idle: Option<u64>,
    machine: &'static dyn Machine,
}

impl Place {
    /// Room for a page.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`] if there is no memory, for a frame or for page tables, or no Xen.
    pub fn new() -> Result<Self> {
        let mapper = MAPPER.get().ok_or(Error::NoRoom)?;
        let machine = mapper.machine;
        if machine.chooses_places() {
            let address = FREE.lock().take(mapper.map);
            machine.map_special_page(address, &mut Frames).map_err(|_| Error::NoRoom)?;
            return Ok(Self { address, idle: None, machine });
        }
        let address = memory::take_zeroed_frame().ok_or(Error::NoRoom)?;
        // What is mapped there must be forgotten by every vCPU, before something else is.
        match machine.machine_frame(address / PAGE_SIZE) {
            Some(frame) if machine.unmap_page(address, &mut Frames).is_ok() => {
                Ok(Self { address, idle: Some(frame), machine })
            }
            _ => {
                memory::give_frame_back(address);
                Err(Error::NoRoom)
            }
        }
    }
}

// SAFETY: the address is that of a frame taken from the allocator and not mapped any more, or one
// behind all memory that is handed out once; it is given back when the value is dropped. All
// memory of a PV domain has page tables; others are made by `map_special_page`, at the same
// address.
unsafe impl foreign::Place for Place {
    fn host_address(&self) -> u64 {
        self.address
    }

    fn virtual_address(&self) -> u64 {
        self.address
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match self.idle {
            None => FREE.lock().give_back(self.address),
            // A frame that cannot be mapped again is no memory any more: it is lost.
            Some(frame) => {
                if self.machine.map_machine_frame(self.address, frame).is_ok() {
                    memory::give_frame_back(self.address);
                }
            }
        }
    }
}

static FREE: Mutex<Behind> = Mutex::new(Behind { next: 0, free: Vec::new() });

/// Addresses behind all memory.
struct Behind {
    next: u64,
    free: Vec<u64>,
}

/// The least address that is handed out: 32 GiB, which the least processors that Xen runs on can
/// address, and behind where firmware puts devices of small machines.
const LEAST: u64 = 32 << 30;

impl Behind {
    fn take(&mut self, map: &MemoryMap) -> u64 {
        if let Some(address) = self.free.pop() {
            return address;
        }
        if self.next == 0 {
            let end = map.iter().map(|region| region.range.end()).max().unwrap_or_default();
            self.next = end.max(LEAST).next_power_of_two();
        }
        let address = self.next;
        self.next += PAGE_SIZE;
        address
    }

    fn give_back(&mut self, address: u64) {
        // Without memory to note it down it is lost; there are plenty.
        if self.free.try_reserve(1).is_ok() {
            self.free.push(address);
        }
    }
}
