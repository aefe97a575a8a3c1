// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine made of hypercalls: a PV domain in ring 3.

mod balloon;
mod p2m;
mod paging;
mod secondary;
mod start_info;
mod traps;

use core::ops::Range;

use spin::Once;
use xen::sched::Resumed;
use xen::shared::Shared;
use xen_sys::xen::shared_info;

use crate::hypercall::{self, Hypervisor};
use crate::machine::{FrameSource, Machine, MapError, SharedInfoError, StartError, ToolstackPorts};
use start_info::{StartInfo, StoreAndConsole};

/// The machine of ring 3.
pub(crate) struct Pv;

/// What the domain builder said of the memory it laid out.
static LAYOUT: Once<xen_sys::xen::start_info> = Once::new();
/// Where it says so. After a restore, what is not about the layout is new there.
static START_INFO: Once<StartInfo> = Once::new();

/// The page that `shared_info` is mapped over; its own frame lies idle.
#[repr(C, align(4096))]
struct SharedInfoPage(core::cell::UnsafeCell<[u8; 4096]>);

// SAFETY: never accessed as itself; only its address is used.
unsafe impl Sync for SharedInfoPage {}

static SHARED_INFO_PAGE: SharedInfoPage = SharedInfoPage(core::cell::UnsafeCell::new([0; 4096]));

impl Pv {
    /// Keeps a copy of `start_info`, which lies at `address`.
    pub(crate) fn remember_layout(address: u64) {
        // SAFETY: the PV entry hands over the address of a mapped, aligned start_info, whose page is
        // reserved.
        let page = START_INFO.call_once(|| unsafe { StartInfo::at(address) });
        LAYOUT.call_once(|| page.read());
    }

    /// Maps `machine_address` where Xen's shared page is found.
    fn map_shared_page(machine_address: u64) -> Result<u64, MapError> {
        let address = SHARED_INFO_PAGE.0.get().expose_provenance() as u64;
        paging::map_machine_address(address, machine_address)?;
        Ok(address)
    }

    /// Maps the frame that is idle otherwise, all zero, where Xen's shared page is found: a save fails if an
    /// entry of a page table leads to a frame that is not the domain's. A clock of zeroes stands still.
    fn unmap_shared_page() -> Result<(), xen::Errno> {
        let address = SHARED_INFO_PAGE.0.get().expose_provenance() as u64;
        let own = paging::pfn_to_mfn(address / PAGE).ok_or(xen::Errno::INVAL)?;
        Self::map_shared_page(own * PAGE).map(drop).map_err(refused)
    }
}

impl Machine for Pv {
    fn name(&self) -> &'static str {
        "PV"
    }

    fn init_vcpu(&self, vcpu: u32) {
        // Xen set the others up like this when they were started.
        if vcpu == 0 {
            traps::install();
        }
    }

    fn start_vcpu(&self, vcpu: u32) -> Result<(), StartError> {
        secondary::start(vcpu)
    }

    fn idle(&self) {
        // The callback returns with events masked again.
        let _ = xen::sched::block(&Hypervisor);
    }

    fn mapped_at_boot(&self) -> u64 {
        paging::mapped_at_boot()
    }

    fn map_memory(
        &self,
        memory: &mut dyn Iterator<Item = Range<u64>>,
        frames: &mut dyn FrameSource,
    ) -> Result<(), MapError> {
        paging::map_memory(memory, frames)
    }

    fn ioremap_page(&self, address: u64, _frames: &mut dyn FrameSource) -> Result<(), MapError> {
        // Pages of Xen's are frames of the domain's own memory here, mapped with all of it.
        if paging::is_mapped(address) { Ok(()) } else { Err(MapError::NotOurs(address)) }
    }

    fn unmap_page(&self, address: u64, _frames: &mut dyn FrameSource) -> Result<(), MapError> {
        paging::unmap_page(address)
    }

    fn flush_translations(&self) {
        // Each change reaches every vCPU (`UVMF_ALL`).
    }

    fn map_shared_info(
        &self,
        _address: u64,
        _frames: &mut dyn FrameSource,
    ) -> Result<Shared<shared_info>, SharedInfoError> {
        let machine_address = START_INFO.get().map_or(0, |info| info.read().shared_info);
        let address = Self::map_shared_page(machine_address)?;
        // SAFETY: just mapped there; the static is never used as what it was.
        let page = unsafe { Shared::at(address) };
        p2m::publish(page);
        Ok(page)
    }

    unsafe fn suspend(&self) -> Result<Resumed, xen::Errno> {
        let info = START_INFO.get().ok_or(xen::Errno::INVAL)?;
        let before = info.read();
        let rings = StoreAndConsole::of(&before);
        // The toolstack gives a restored domain other frames, and finds these by the domain's own numbers.
        let saved = rings.map(|mfn| self.mfn_to_pfn(mfn).unwrap_or(0));
        let own = self.pfn_to_mfn(info.address() / PAGE).ok_or(xen::Errno::INVAL)?;
        Self::unmap_shared_page()?;
        info.set_rings(saved);
        // SAFETY: the caller's promise; nothing that is not the domain's own is mapped.
        let resumed = unsafe { hypercall::suspend_pv(own) }.map(Resumed::of);
        if resumed != Ok(Resumed::Restored) {
            info.set_rings(rings);
            Self::map_shared_page(before.shared_info).map_err(refused)?;
        }
        resumed
    }

    fn toolstack_ports(&self) -> ToolstackPorts {
        let info = START_INFO.get().map(StartInfo::read);
        info.map_or_else(ToolstackPorts::default, |info| ToolstackPorts {
            console: info.console.evtchn,
            store: info.store_evtchn,
        })
    }

    fn map_mfn(&self, address: u64, mfn: u64) -> Result<(), MapError> {
        paging::map_machine_address(address, mfn * 4096)
    }

    unsafe fn move_frame_list(&self, address: u64, pfns: u64) {
        // SAFETY: the caller's promise.
        unsafe { p2m::move_to(address, pfns) };
    }

    unsafe fn give_back(&self, extents: &[u64], order: u32) -> Result<usize, xen::Errno> {
        // SAFETY: the caller's promise.
        unsafe { balloon::give_back(extents, order) }
    }

    unsafe fn populate(&self, pfns: &[u64]) -> Result<usize, xen::Errno> {
        // SAFETY: the caller's promise.
        unsafe { balloon::populate(pfns) }
    }

    fn auto_translated(&self) -> bool {
        false
    }

    fn pfn_to_mfn(&self, pfn: u64) -> Option<u64> {
        paging::pfn_to_mfn(pfn)
    }

    fn max_mfn(&self, pfns: u64) -> u64 {
        (0..pfns).filter_map(paging::pfn_to_mfn).max().unwrap_or(0)
    }

    fn mfn_to_pfn(&self, mfn: u64) -> Option<u64> {
        paging::mfn_to_pfn(mfn)
    }
}

const PAGE: u64 = 4096;

/// Xen's reason not to map a page.
fn refused(error: MapError) -> xen::Errno {
    match error {
        MapError::Refused(errno) => errno,
        _ => xen::Errno::INVAL,
    }
}
