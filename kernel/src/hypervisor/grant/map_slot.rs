// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses to map pages of other domains at.

use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};

use prism_arch::cpuid;
use prism_arch::machine::Machine;
use prism_boot::registers::reach;
use prism_boot::{MemoryMap, PAGE_SIZE};
use spin::Mutex;
use xen::grant::{Addresses, Error, Result, foreign};

use super::MAPPER;
use crate::memory::{self, Frames};

/// An address for one page.
///
/// In a PV domain, where Xen writes the page-table entry, it is the address of a frame of ours, which is
/// unused meanwhile. Elsewhere it is an address without memory and devices.
pub struct MapSlot {
    address: u64,
    machine: &'static dyn Machine,
}

impl MapSlot {
    fn at(address: u64, machine: &'static dyn Machine) -> Self {
        IN_USE.fetch_add(1, Ordering::Relaxed);
        Self { address, machine }
    }

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
            return Ok(Self::at(address, machine));
        }
        let address = memory::alloc_zeroed_frame().ok_or(Error::NoRoom)?;
        // Before the address is used again, every vCPU has to flush it.
        match machine.pfn_to_mfn(address / PAGE_SIZE) {
            Some(_) if machine.unmap_page(address, &mut Frames).is_ok() => Ok(Self::at(address, machine)),
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
unsafe impl foreign::MapSlot for MapSlot {
    fn host_address(&self) -> u64 {
        self.address
    }

    fn virtual_address(&self) -> u64 {
        self.address
    }
}

impl Drop for MapSlot {
    fn drop(&mut self) {
        IN_USE.fetch_sub(1, Ordering::Relaxed);
        if self.machine.auto_translated() {
            return FREE.lock().give_back(self.address);
        }
        let frame = self.machine.pfn_to_mfn(self.address / PAGE_SIZE);
        // A frame that cannot be mapped again is leaked.
        if frame.is_some_and(|frame| self.machine.map_mfn(self.address, frame).is_ok()) {
            memory::free_frame(self.address);
        }
    }
}

/// Slots that there are. While there are any, the domain is not suspended: pages of other domains cannot be
/// saved.
static IN_USE: AtomicU32 = AtomicU32::new(0);

/// How many slots there are.
pub(crate) fn in_use() -> u32 {
    IN_USE.load(Ordering::Relaxed)
}

static FREE: Mutex<Addresses> = Mutex::new(Addresses::new());

/// The lowest address: 32 GiB, above the device memory of small machines.
const FIRST_ADDRESS: u64 = 32 << 30;

/// Size of the range. It is contiguous, as Xen's own page tables for it come out of a pool that the toolstack
/// sizes by the guest's memory.
const SIZE: u64 = 1 << 30;

/// Finds the address range.
fn address_range(map: &MemoryMap) -> Option<Range<u64>> {
    // An address beyond the CPU's width faults, or aliases another one.
    let gap = map.gap(SIZE, FIRST_ADDRESS, reach(cpuid::physical_address_bits()))?;
    Some(gap.start()..gap.end())
}
