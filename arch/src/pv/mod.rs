// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine made of hypercalls: a PV domain in ring 3.

mod p2m;
mod paging;
mod secondary;
mod traps;

use core::ops::Range;

use spin::Once;
use xen::shared::Shared;
use xen_sys::xen::{shared_info, start_info};

use crate::hypercall::Hypervisor;
use crate::machine::{FrameSource, Machine, MapError, SharedInfoError, StartError};

/// The machine of ring 3.
pub(crate) struct Pv;

/// What the domain builder said of the memory it laid out.
static LAYOUT: Once<start_info> = Once::new();

/// The page that `shared_info` is mapped over; its own frame lies idle.
#[repr(C, align(4096))]
struct SharedInfoPage(core::cell::UnsafeCell<[u8; 4096]>);

// SAFETY: never accessed as itself; only its address is used.
unsafe impl Sync for SharedInfoPage {}

static SHARED_INFO_PAGE: SharedInfoPage = SharedInfoPage(core::cell::UnsafeCell::new([0; 4096]));

impl Pv {
    /// Keeps a copy of `start_info`, which lies at `address`.
    pub(crate) fn remember_layout(address: u64) {
        let pointer = core::ptr::with_exposed_provenance::<start_info>(address as usize);
        // SAFETY: the PV entry hands over the address of a mapped, aligned start_info.
        LAYOUT.call_once(|| unsafe { pointer.read() });
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
        let machine_address = LAYOUT.get().map_or(0, |layout| layout.shared_info);
        let address = SHARED_INFO_PAGE.0.get().expose_provenance() as u64;
        paging::map_machine_address(address, machine_address)?;
        // SAFETY: just mapped there; the static is never used as what it was.
        let page = unsafe { Shared::at(address) };
        p2m::publish(page);
        Ok(page)
    }

    fn map_mfn(&self, address: u64, mfn: u64) -> Result<(), MapError> {
        paging::map_machine_address(address, mfn * 4096)
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
