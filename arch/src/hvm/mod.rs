// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine in ring 0, on real or virtual hardware: HVM, PVH, KVM, a bare PC.

mod balloon;
mod paging;
mod secondary;
pub mod startup;
mod traps;

use core::ops::Range;

use x86_64::VirtAddr;
use x86_64::registers::model_specific::GsBase;
use xen::hvm::{Parameter, parameter};
use xen::sched::Resumed;
use xen::shared::Shared;
use xen_sys::xen::shared_info;

use crate::hypercall::Hypervisor;
use crate::machine::{FrameSource, Machine, MapError, SharedInfoError, StartError, ToolstackPorts};
use crate::{sleep, vcpu};

pub(crate) use traps::Descriptors;

/// The machine of ring 0.
pub(crate) struct Hvm;

const PAGE: u64 = 4096;
/// What the entry stub's page tables map.
const BOOT_TABLES_END: u64 = 4 << 30;

impl Machine for Hvm {
    fn name(&self) -> &'static str {
        "HVM"
    }

    fn init_vcpu(&self, vcpu: u32) {
        if let Some(own) = vcpu::of(vcpu) {
            traps::install(own);
        }
        GsBase::write(VirtAddr::new(vcpu::gs_base(vcpu)));
    }

    fn start_vcpu(&self, vcpu: u32) -> Result<(), StartError> {
        secondary::start(vcpu)
    }

    fn idle(&self) {
        sleep::sleep();
    }

    fn mapped_at_boot(&self) -> u64 {
        BOOT_TABLES_END
    }

    fn map_memory(
        &self,
        memory: &mut dyn Iterator<Item = Range<u64>>,
        frames: &mut dyn FrameSource,
    ) -> Result<(), MapError> {
        paging::map_memory(memory, frames)
    }

    fn ioremap_page(&self, address: u64, frames: &mut dyn FrameSource) -> Result<(), MapError> {
        paging::map_page(address, frames)
    }

    fn unmap_page(&self, address: u64, frames: &mut dyn FrameSource) -> Result<(), MapError> {
        paging::unmap_page(address, frames)
    }

    fn flush_translations(&self) {
        x86_64::instructions::tlb::flush_all();
    }

    fn map_shared_info(
        &self,
        address: u64,
        frames: &mut dyn FrameSource,
    ) -> Result<Shared<shared_info>, SharedInfoError> {
        // SAFETY: the caller gives the page up.
        unsafe { xen::memory::add_shared_info(&Hypervisor, address / PAGE) }
            .map_err(SharedInfoError::Refused)?;
        paging::map_page(address, frames)?;
        // SAFETY: just placed and mapped there.
        Ok(unsafe { Shared::at(address) })
    }

    unsafe fn suspend(&self) -> Result<Resumed, xen::Errno> {
        // SAFETY: the caller's promise.
        unsafe { xen::sched::suspend(&Hypervisor) }
    }

    fn toolstack_ports(&self) -> ToolstackPorts {
        let port = |which| parameter(&Hypervisor, which).ok().and_then(|port| u32::try_from(port).ok());
        ToolstackPorts {
            console: port(Parameter::ConsoleEvent).unwrap_or(0),
            store: port(Parameter::StoreEvent).unwrap_or(0),
        }
    }

    fn map_mfn(&self, address: u64, _mfn: u64) -> Result<(), MapError> {
        Err(MapError::Taken(address))
    }

    unsafe fn move_frame_list(&self, _address: u64, _pfns: u64) {
        // Xen keeps that list.
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
        true
    }

    fn pfn_to_mfn(&self, pfn: u64) -> Option<u64> {
        Some(pfn)
    }

    fn max_mfn(&self, pfns: u64) -> u64 {
        pfns
    }

    fn mfn_to_pfn(&self, mfn: u64) -> Option<u64> {
        Some(mfn)
    }
}
