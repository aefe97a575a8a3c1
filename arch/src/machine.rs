// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interface to the machine, for all privileged operations. There are two implementations.
//!
//! PVH and HVM are the same machine, started by different boot protocols. [`machine`](crate::machine())
//! chooses once; after it no code asks which one it is, except to tell people.

use core::fmt;
use core::ops::Range;

use xen::sched::Resumed;
use xen::shared::Shared;
use xen_sys::xen::shared_info;

/// Access rights of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Read,
    /// Read and write.
    ReadWrite,
    /// Read and execute.
    ReadExecute,
}

/// The most that [`Machine::give_back`] and [`Machine::populate`] do at once.
pub const EXTENTS: usize = 128;

/// A source of frames for page tables.
pub trait FrameSource {
    /// Address of a 4 KiB frame, page aligned and below `limit`, that is nobody else's from now on.
    fn alloc_frame(&mut self, limit: u64) -> Option<u64>;
}

/// Why a mapping failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// No frame was left for a page table.
    OutOfFrames,
    /// Xen refused a page-table update.
    Refused(xen::Errno),
    /// The page is mapped already, by something larger than itself.
    Taken(u64),
    /// There is no memory of this guest's at the address.
    NotOurs(u64),
    /// Nothing can be mapped there: it is no virtual address.
    NotVirtual(u64),
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfFrames => f.write_str("no memory is left for page tables; give the guest more"),
            Self::Refused(errno) => write!(f, "Xen refused a page-table update ({errno})"),
            Self::Taken(address) => write!(f, "{address:#x} is mapped already"),
            Self::NotOurs(address) => write!(f, "this guest has no memory at {address:#x}"),
            Self::NotVirtual(address) => write!(f, "{address:#x} is no virtual address"),
        }
    }
}

impl core::error::Error for MapError {}

/// Why the page shared with Xen could not be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedInfoError {
    /// Xen refused to place it.
    Refused(xen::Errno),
    /// It could not be mapped.
    Map(MapError),
}

impl From<MapError> for SharedInfoError {
    fn from(error: MapError) -> Self {
        Self::Map(error)
    }
}

impl fmt::Display for SharedInfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(errno) => write!(f, "Xen refused to share its page ({errno})"),
            Self::Map(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SharedInfoError {}

/// Why a vCPU did not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// It has no memory of its own.
    NoMemory,
    /// Xen refused.
    Refused(xen::Errno),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMemory => f.write_str("no memory is left for its stacks; give the guest more"),
            Self::Refused(errno) => write!(f, "Xen refused to start it ({errno})"),
        }
    }
}

impl core::error::Error for StartError {}

/// The event channels of the rings that the toolstack set up; 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolstackPorts {
    /// That of the console.
    pub console: u32,
    /// That of xenstore.
    pub store: u32,
}

/// A machine: page tables, exceptions, vCPUs, and waiting.
///
/// Addresses are virtual, and equal to the (pseudo-)physical ones for all of the guest's memory.
pub trait Machine: Sync {
    /// What the boot report calls it.
    fn name(&self) -> &'static str;

    /// Prepares the calling vCPU, which gets number `vcpu`, to run the kernel: from here on it knows its
    /// number and reports exceptions. Its memory is there.
    fn init_vcpu(&self, vcpu: u32);

    /// Starts another vCPU, which has its [memory](crate::vcpu::Vcpu::new_at). It calls the kernel's
    /// `prism_start_secondary`.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    fn start_vcpu(&self, vcpu: u32) -> Result<(), StartError>;

    /// Sleeps until an event or an interrupt arrives; returns at once if one is pending. Events and
    /// interrupts are off before and after: they are found in memory, not handled.
    fn idle(&self);

    /// The memory that can be used before [`map_memory`](Machine::map_memory): addresses below this.
    fn mapped_at_boot(&self) -> u64;

    /// Maps all of `memory` (page aligned, ascending; the image lies inside or outside of it) for
    /// reading and writing, the image as its segments demand, the first page and the stacks'
    /// guard pages not at all, and switches to these tables.
    ///
    /// # Errors
    ///
    /// [`MapError`]; what was mapped before still is.
    fn map_memory(
        &self,
        memory: &mut dyn Iterator<Item = Range<u64>>,
        frames: &mut dyn FrameSource,
    ) -> Result<(), MapError>;

    /// Maps one page that is not in the memory map but has an address of its own: a ring that Xen
    /// placed, the register page of a device.
    ///
    /// # Errors
    ///
    /// [`MapError`].
    fn ioremap_page(&self, address: u64, frames: &mut dyn FrameSource) -> Result<(), MapError>;

    /// Unmaps the page at `address`, of the guest's own memory: nobody may use it until something is
    /// mapped there again. Other vCPUs may still reach it until they [flush](Machine::flush_translations).
    ///
    /// # Errors
    ///
    /// [`MapError`].
    fn unmap_page(&self, address: u64, frames: &mut dyn FrameSource) -> Result<(), MapError>;

    /// Flushes the TLB of the calling vCPU.
    fn flush_translations(&self);

    /// Maps the page that Xen shares with the domain. [Auto-translated](Machine::auto_translated) machines
    /// have it at `address`, a page of the guest's own that is given up for it.
    ///
    /// # Errors
    ///
    /// [`SharedInfoError`].
    fn map_shared_info(
        &self,
        address: u64,
        frames: &mut dyn FrameSource,
    ) -> Result<Shared<shared_info>, SharedInfoError>;

    /// Suspends the domain, so that it can be saved or migrated, and returns when it goes on. If that is
    /// [`Resumed::Restored`], the page that Xen shared is to be [mapped](Machine::map_shared_info) again, at
    /// the same address.
    ///
    /// # Safety
    ///
    /// All other vCPUs wait in the kernel, and nothing that Xen or another domain shares with this one is
    /// used before it has been made anew. No page of another domain's is mapped; in a PV domain, nor are the
    /// frames of the grant table.
    ///
    /// # Errors
    ///
    /// What Xen answers; then all is as before.
    unsafe fn suspend(&self) -> Result<Resumed, xen::Errno>;

    /// The event channels of the toolstack's rings, as they are now.
    fn toolstack_ports(&self) -> ToolstackPorts;

    /// Maps machine frame `mfn` at `address`, a page of the guest's own that is given up for it. Not for
    /// [auto-translated](Machine::auto_translated) machines.
    ///
    /// # Errors
    ///
    /// [`MapError`].
    fn map_mfn(&self, address: u64, mfn: u64) -> Result<(), MapError>;

    /// Moves the list of the machine frames of guest frames, 8 bytes for each, to `address`, where it has
    /// room for `pfns` frames: as many as it had, and more in which there is no memory. For machines that are
    /// not [auto-translated](Machine::auto_translated), before there are other vCPUs and before Xen is told
    /// of the list with [its page](Machine::map_shared_info).
    ///
    /// # Safety
    ///
    /// The memory at `address` is mapped, page aligned, and for good nobody else's.
    unsafe fn move_frame_list(&self, address: u64, pfns: u64);

    /// Gives memory back to Xen: extents of 2^`order` pages that begin at guest frames `extents`, of which up
    /// to [`EXTENTS`] are looked at. Returns how many are gone, from the first one on; the others are as
    /// before. `order` is 0 at most where the machine is not [auto-translated](Machine::auto_translated),
    /// else 9.
    ///
    /// # Safety
    ///
    /// The pages are the caller's alone, and nobody uses them before they are [populated](Machine::populate)
    /// again.
    ///
    /// # Errors
    ///
    /// What Xen answers; nothing is gone then.
    unsafe fn give_back(&self, extents: &[u64], order: u32) -> Result<usize, xen::Errno>;

    /// Has Xen put a page at each of guest frames `pfns`, of which up to [`EXTENTS`] are looked at, and
    /// returns how many there are now, from the first one on, mapped for reading and writing. They hold
    /// anything.
    ///
    /// # Safety
    ///
    /// There is no memory at these frames, which [`map_memory`](Machine::map_memory) was told of.
    ///
    /// # Errors
    ///
    /// What Xen answers; none is there then.
    unsafe fn populate(&self, pfns: &[u64]) -> Result<usize, xen::Errno>;

    /// Whether Xen translates guest frames by itself (HVM), so that the guest says where Xen's pages appear
    /// in its address space; else Xen tells which machine frames they are (PV).
    fn auto_translated(&self) -> bool;

    /// The machine frame that Xen knows guest frame `pfn` by; the same number on HVM. `None` if it is not
    /// memory of this guest's.
    fn pfn_to_mfn(&self, pfn: u64) -> Option<u64>;

    /// A number that no machine frame of this guest's is above, if its guest frames are below `pfns`.
    fn max_mfn(&self, pfns: u64) -> u64;

    /// The guest frame of machine frame `mfn`, which a start-of-day structure names; the same number on HVM.
    /// `None` if it is not a frame of this guest's.
    fn mfn_to_pfn(&self, mfn: u64) -> Option<u64>;
}
