// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grants: the domain's grant table, pages to grant to others, and mappings of pages that others granted.

mod map_slot;

use alloc::boxed::Box;

use prism_arch::hypercall::Hypervisor;
use prism_arch::machine::Machine;
use prism_boot::{MemoryMap, PAGE_SIZE};
use spin::{Mutex, Once};
use xen::DomainId;
use xen::grant::copy::Request;
use xen::grant::foreign::{self, Mapping};
use xen::grant::setup::{self, FrameMapper, TableFrame};
use xen::grant::{Access, Error, Frame, Memory, Page, Reference, Table};
use xen::shared::Shared;

pub use map_slot::MapSlot;

use crate::memory;

static TABLE: Once<Table<OwnPage>> = Once::new();
/// Translates guest frames to machine frames.
static MACHINE: Once<&'static dyn Machine> = Once::new();
/// Maps the table's frames, where Xen is used.
static MAPPER: Once<Mapper> = Once::new();

/// The grant table, where Xen is used. The first call sets it up.
pub fn table() -> Option<&'static Table<OwnPage>> {
    let mapper = *MAPPER.get()?;
    Some(TABLE.call_once(|| {
        let highest = mapper.machine.max_mfn(mapper.map.usable_end() / PAGE_SIZE);
        // SAFETY: the only table of the domain, and nobody used it before; the mapper maps what it
        // is asked for, for good.
        unsafe { Table::new(&Hypervisor, Box::new(mapper), Frame(highest)) }
    }))
}

/// Enables [`OwnPage`].
pub(crate) fn init_pages(machine: &'static dyn Machine) {
    MACHINE.call_once(|| machine);
}

/// Enables [`table`] and [`map`].
pub(crate) fn init(machine: &'static dyn Machine, map: &'static MemoryMap) {
    MAPPER.call_once(|| Mapper { machine, map });
}

/// A page of the domain's own, zeroed at first.
pub struct OwnPage {
    address: u64,
    frame: u64,
}

impl OwnPage {
    /// Allocates a page; `None` if there is no memory.
    pub fn new() -> Option<Self> {
        let machine = MACHINE.get()?;
        let address = memory::alloc_zeroed_frame()?;
        match machine.pfn_to_mfn(address / PAGE_SIZE) {
            Some(frame) => Some(Self { address, frame }),
            None => {
                memory::free_frame(address);
                None
            }
        }
    }
}

// SAFETY: the frame was taken from the allocator and belongs to this value until it is dropped.
unsafe impl Page for OwnPage {
    fn frame(&self) -> Frame {
        Frame(self.frame)
    }

    unsafe fn memory(&self) -> Memory {
        // SAFETY: a frame of ours, mapped at its own address, and page aligned.
        unsafe { Shared::at(self.address) }
    }
}

impl Drop for OwnPage {
    fn drop(&mut self) {
        memory::free_frame(self.address);
    }
}

/// A mapping of another domain's page. Dropping it unmaps the page.
pub type Foreign<A> = Mapping<'static, Hypervisor, MapSlot, A>;

/// Maps the page that `domain` granted as `reference`, writable if `A` is
/// [`ReadWrite`](xen::grant::ReadWrite).
///
/// # Errors
///
/// What Xen answers: [`Error::is_unsupported`] in a PV shim and where Xen is emulated;
/// [`Error::NoRoom`] if there is no memory for it.
pub fn map<A: Access>(domain: DomainId, reference: Reference) -> xen::grant::Result<Foreign<A>> {
    foreign::map(&Hypervisor, domain, reference, MapSlot::new()?).map_err(|refused| refused.error)
}

/// Has Xen copy between pages of ours and granted ones (`GNTTABOP_copy`). Afterwards each request holds its
/// own result.
///
/// # Errors
///
/// What Xen answers to the whole; where copying is not offered, [`Error::is_unsupported`].
pub fn copy(requests: &mut [Request<'_>]) -> xen::grant::Result<()> {
    xen::grant::copy::copy(&Hypervisor, requests)
}

/// A frame for the grant table that Xen refused to place.
static SPARE: Mutex<Option<u64>> = Mutex::new(None);

/// Maps frames of the grant table in place of frames of our own. A PV domain keeps those, unused; elsewhere
/// Xen gets them back. Addresses without memory are no choice: a device may be there.
#[derive(Clone, Copy)]
struct Mapper {
    machine: &'static dyn Machine,
    map: &'static MemoryMap,
}

impl FrameMapper for Mapper {
    fn map(&self, frame: TableFrame) -> xen::grant::Result<Memory> {
        let address = if self.machine.auto_translated() {
            // If Xen refuses, the memory may or may not be gone: the next attempt uses the same frame.
            let mut spare = SPARE.lock();
            let address = spare.or_else(memory::alloc_frame_to_replace).ok_or(Error::NoRoom)?;
            *spare = Some(address);
            // SAFETY: a frame of ours, which nobody uses, and which is given up for good.
            unsafe { setup::place(&Hypervisor, frame, Frame(address / PAGE_SIZE))? };
            *spare = None;
            address
        } else {
            let table_mfn = setup::table_mfn(&Hypervisor, frame)?;
            let address = memory::alloc_zeroed_frame().ok_or(Error::NoRoom)?;
            self.machine.map_mfn(address, table_mfn.0).map_err(|_| Error::NoRoom)?;
            address
        };
        // SAFETY: just mapped there, for good, and used through this value only.
        Ok(unsafe { Shared::at(address) })
    }
}
