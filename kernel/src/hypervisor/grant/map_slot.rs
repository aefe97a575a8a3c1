// SPDX-License-Identifier: MIT OR Apache-2.0
//! Room in the address space for pages of other domains.

use core::ops::Range;

use prism_arch::cpuid;
use prism_arch::machine::Machine;
use prism_boot::registers::reach;
use prism_boot::{MemoryMap, PAGE_SIZE};
use spin::Mutex;
use xen::grant::{Addresses, Error, Result, foreign};

use super::MAPPER;
use crate::memory::{self, Frames};

/// Room for one page.
///
/// In a PV domain, where Xen writes the page-table entry, it is the address of a frame of ours,
/// which lies idle meanwhile. Elsewhere it is an address that no memory and no device has.
pub struct MapSlot {
    address: u64,
    /// The frame that lies idle.
    idle: Option<u64>,
    machine: &'static dyn Machine,
}

impl MapSlot {
    /// Room for a page.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`] if there is no memory, for a frame or for page tables, or no Xen.
    pub fn new() -> Result<Self> {
        let mapper = MAPPER.get().ok_or(Error::NoRoom)?;
        let machine = mapper.machine;
        if machine.auto_translated() {
            let address = FREE.lock().take(|| address_range(mapper.map)).ok_or(Error::NoRoom)?;
            machine.ioremap_page(address, &mut Frames).map_err(|_| Error::NoRoom)?;
            return Ok(Self { address, idle: None, machine });
        }
        let address = memory::alloc_zeroed_frame().ok_or(Error::NoRoom)?;
        // What is mapped there must be forgotten by every vCPU, before something else is.
        match machine.pfn_to_mfn(address / PAGE_SIZE) {
            Some(frame) if machine.unmap_page(address, &mut Frames).is_ok() => {
                Ok(Self { address, idle: Some(frame), machine })
            }
            _ => {
                memory::free_frame(address);
                Err(Error::NoRoom)
            }
        }
    }
}

// SAFETY: the address is that of a frame taken from the allocator and not mapped any more, or one
// outside of all memory that is handed out once; it is given back when the value is dropped. All
// memory of a PV domain has page tables; others are made by `ioremap_page`, at the same
// address.
unsafe impl foreign::Place for MapSlot {
    fn host_address(&self) -> u64 {
        self.address
    }

    fn virtual_address(&self) -> u64 {
        self.address
    }
}

impl Drop for MapSlot {
    fn drop(&mut self) {
        match self.idle {
            None => FREE.lock().give_back(self.address),
            // A frame that cannot be mapped again is no memory any more: it is lost.
            Some(frame) => {
                if self.machine.map_mfn(self.address, frame).is_ok() {
                    memory::free_frame(self.address);
                }
            }
        }
    }
}

static FREE: Mutex<Addresses> = Mutex::new(Addresses::new());

/// The least address that is handed out: 32 GiB, behind where firmware puts devices of small machines.
const FIRST_ADDRESS: u64 = 32 << 30;

/// Room for pages that are mapped at the same time; the tables of the hypervisor's that translate them come
/// out of a pool that the toolstack sizes by the guest's memory, so they are to lie together.
const SIZE: u64 = 1 << 30;

/// Where that room is.
fn address_range(map: &MemoryMap) -> Option<Range<u64>> {
    // An address that the processor does not have is a page fault, or worse, another one.
    let gap = map.gap(SIZE, FIRST_ADDRESS, reach(cpuid::physical_address_bits()))?;
    Some(gap.start()..gap.end())
}
