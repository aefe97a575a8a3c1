// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grants: the domain's grant table, pages to grant to others, and mappings of pages that others granted.

mod map_slot;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem::ManuallyDrop;

use prism_arch::hypercall::Hypervisor;
use prism_arch::machine::{Machine, MapError};
use prism_boot::{MemoryMap, PAGE_SIZE};
use spin::{Mutex, Once};
use xen::DomainId;
use xen::grant::copy::bytes::{OwnMemory, Span};
use xen::grant::copy::{self, Foreign as ForeignBytes, Request};
use xen::grant::foreign::{self, Mapping};
use xen::grant::setup::{self, FrameMapper, TableFrame};
use xen::grant::{Access, Error, Frame, Memory, Page, Reference, Table};
use xen::shared::Shared;

pub use map_slot::MapSlot;
pub(crate) use map_slot::in_use as foreign_pages;

use crate::memory::{self, Frames};

static TABLE: Once<Table<OwnPage>> = Once::new();
/// Translates guest frames to machine frames.
static MACHINE: Once<&'static dyn Machine> = Once::new();
/// Maps the table's frames, where Xen is used.
static MAPPER: Once<Mapper> = Once::new();

/// The grant table, where Xen is used. The first call sets it up.
pub fn table() -> Option<&'static Table<OwnPage>> {
    let mapper = *MAPPER.get()?;
    Some(TABLE.call_once(|| {
        // SAFETY: the only table of the domain, and nobody used it before; the mapper maps what it
        // is asked for, for good.
        unsafe { Table::new(&Hypervisor, Box::new(mapper), mapper.highest()) }
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
}

impl OwnPage {
    /// Allocates a page; `None` if there is no memory.
    pub fn new() -> Option<Self> {
        let machine = MACHINE.get()?;
        let address = memory::alloc_zeroed_frame()?;
        if machine.pfn_to_mfn(address / PAGE_SIZE).is_none() {
            memory::free_frame(address);
            return None;
        }
        Some(Self { address })
    }

    /// Unmaps the page, and maps it again: two updates of a page table. Its content stays.
    ///
    /// # Errors
    ///
    /// [`MapError`]; the page is lost then.
    pub fn remapped(self) -> Result<Self, MapError> {
        let machine = *MACHINE.get().ok_or(MapError::NotOurs(self.address))?;
        // Nobody may have a page that is not mapped.
        let page = ManuallyDrop::new(self);
        let address = page.address;
        machine.unmap_page(address, &mut Frames)?;
        if machine.auto_translated() {
            machine.ioremap_page(address, &mut Frames)?;
        } else {
            let frame = machine.pfn_to_mfn(address / PAGE_SIZE).ok_or(MapError::NotOurs(address))?;
            machine.map_mfn(address, frame)?;
        }
        Ok(ManuallyDrop::into_inner(page))
    }
}

// SAFETY: the frame was taken from the allocator and belongs to this value until it is dropped.
unsafe impl Page for OwnPage {
    fn frame(&self) -> Frame {
        // Asked for each time: a PV domain has other machine frames after a restore. There is one, as there
        // was when the page was made; frame 0 is no guest's.
        let frame = MACHINE.get().and_then(|machine| machine.pfn_to_mfn(self.address / PAGE_SIZE));
        Frame(frame.unwrap_or(0))
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
    copy::copy(&Hypervisor, requests)
}

/// Has Xen copy lists of granted bytes, each to a vector of its own; see
/// [`gather`](copy::bytes::gather).
pub fn gather(lists: &[&[Span]]) -> Vec<Option<Vec<u8>>> {
    copy::bytes::gather(&Hypervisor, &Heap, lists)
}

/// Has Xen copy bytes to granted ones; see [`spread`](copy::bytes::spread).
pub fn spread(pieces: &[(&[u8], ForeignBytes)]) -> Vec<bool> {
    copy::bytes::spread(&Hypervisor, &Heap, pieces)
}

/// All memory of ours.
struct Heap;

// SAFETY: all that the program allocates lies in frames of its own, each mapped at its own address.
unsafe impl OwnMemory for Heap {
    fn frame_of(&self, address: u64) -> Option<Frame> {
        // Asked for each time, as for pages.
        MACHINE.get()?.pfn_to_mfn(address / PAGE_SIZE).map(Frame)
    }
}

/// Goes on with the empty table of the domain that this one was restored into.
///
/// # Errors
///
/// Why a frame of the table could not be mapped; it is tried again when it is needed.
///
/// # Safety
///
/// The domain was just restored, and all other vCPUs wait.
pub(crate) unsafe fn resume() -> xen::grant::Result<()> {
    let (Some(table), Some(mapper)) = (TABLE.get(), MAPPER.get()) else { return Ok(()) };
    // SAFETY: the caller's promise. The frames are mapped where they were.
    unsafe { table.resume(&Hypervisor, mapper.highest()) }
}

/// Unmaps the table's frames from a PV domain that is about to be suspended: its page tables may lead to no
/// frame but its own. Nothing may use the table before it is [mapped again](map_frames).
///
/// # Errors
///
/// Why Xen refused; some frames may be unmapped then.
pub(crate) fn unmap_frames() -> Result<(), MapError> {
    let Some(mapper) = MAPPER.get().filter(|mapper| !mapper.machine.auto_translated()) else { return Ok(()) };
    PLACES.lock().iter().try_for_each(|(_, address)| {
        let own = mapper.machine.pfn_to_mfn(address / PAGE_SIZE).ok_or(MapError::NotOurs(*address))?;
        mapper.machine.map_mfn(*address, own)
    })
}

/// Maps the frames again that [`unmap_frames`] has unmapped, in the same domain.
///
/// # Errors
///
/// What Xen answers.
pub(crate) fn map_frames() -> xen::grant::Result<()> {
    let Some(mapper) = MAPPER.get().filter(|mapper| !mapper.machine.auto_translated()) else { return Ok(()) };
    let places = PLACES.lock().clone();
    places.into_iter().try_for_each(|(frame, _)| mapper.map(frame).map(drop))
}

/// Where each frame of the table is mapped, for good: after a restore it is mapped there again.
static PLACES: Mutex<Vec<(TableFrame, u64)>> = Mutex::new(Vec::new());

/// Maps frames of the grant table. A PV domain has them in place of frames of its own, which it keeps,
/// unused; elsewhere they are at pages of [`memory::alloc_xen_page`].
#[derive(Clone, Copy)]
struct Mapper {
    machine: &'static dyn Machine,
    map: &'static MemoryMap,
}

impl Mapper {
    /// A number that no frame which can be granted is above.
    fn highest(self) -> Frame {
        Frame(self.machine.max_mfn(self.map.usable_end() / PAGE_SIZE))
    }

    /// The address for a frame of the table: the same one each time, also if Xen refuses to place the frame,
    /// when the memory may or may not be gone.
    fn place(self, frame: TableFrame) -> xen::grant::Result<u64> {
        let mut places = PLACES.lock();
        if let Some((_, address)) = places.iter().find(|(known, _)| *known == frame) {
            return Ok(*address);
        }
        places.try_reserve(1).map_err(|_| Error::NoRoom)?;
        let alloc =
            if self.machine.auto_translated() { memory::alloc_xen_page } else { memory::alloc_zeroed_frame };
        let address = alloc().ok_or(Error::NoRoom)?;
        places.push((frame, address));
        Ok(address)
    }
}

impl FrameMapper for Mapper {
    fn map(&self, frame: TableFrame) -> xen::grant::Result<Memory> {
        // Asked for first: a frame that Xen does not have takes no memory.
        let mfn =
            if self.machine.auto_translated() { None } else { Some(setup::table_mfn(&Hypervisor, frame)?) };
        let address = self.place(frame)?;
        match mfn {
            Some(mfn) => self.machine.map_mfn(address, mfn.0).map_err(|_| Error::NoRoom)?,
            // SAFETY: a page of `alloc_xen_page`, which nobody else uses, and which is given up for good.
            None => unsafe { setup::place(&Hypervisor, frame, Frame(address / PAGE_SIZE))? },
        }
        // SAFETY: just mapped there, for good, and used through this value only.
        Ok(unsafe { Shared::at(address) })
    }
}
