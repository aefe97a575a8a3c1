// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a domain and Xen share: `shared_info`, event channels, the rings of console and xenstore, the clock,
//! grants.
//!
//! [`XenInterface::bring_up`] is the one place that knows in which order these come up. After a suspend, all
//! of it but the memory is gone: a resume has to take the same steps.

use log::warn;
use prism_arch::hypercall::Hypervisor;
use prism_arch::machine::Machine;
use prism_boot::capabilities::{Capabilities, XenCapabilities};
use prism_boot::command_line::{EventAbi, PvLevel, UpcallLimit};
use prism_boot::services::{IrqChips, Services};
use prism_boot::{BootInfo, PAGE_SIZE};
use xen::event::Abi;
use xen::shared::Shared;
use xen::version::Features;
use xen_sys::xen::shared_info;

use crate::console::{self, panic};
use crate::hypervisor::{event, grant, upcall, xenstore};
use crate::irq::apic;
use crate::memory::{self, Frames};
use crate::task::smp;
use crate::time::timer;

/// The interface between this domain and Xen.
#[derive(Clone, Copy)]
pub(crate) struct XenInterface {
    machine: &'static dyn Machine,
    info: &'static BootInfo,
    /// Number of vCPUs that Xen has made for the domain.
    vcpus: u32,
    /// Xen's page. Without it there are no events and no paravirtual clock; what needs neither still works.
    shared_info: Option<Shared<shared_info>>,
    /// The interrupt line by which events are reported, where that is how.
    callback_intx: Option<u8>,
}

impl XenInterface {
    /// Brings up whatever Xen offers, and records it in `capabilities`. Call this only where Xen is used, and
    /// after memory is set up. `has_upcall_vectors` tells whether Xen delivers events by a vector of each
    /// vCPU's own.
    pub(crate) fn bring_up(
        machine: &'static dyn Machine,
        info: &'static BootInfo,
        vcpus: u32,
        capabilities: &mut Capabilities,
        has_upcall_vectors: bool,
    ) -> Self {
        let mut xen = Self { machine, info, vcpus, shared_info: None, callback_intx: None };
        // First `shared_info`: events, the clock and the `vcpu_info` structures are in it. Its layout depends
        // on the word size that an HVM domain told Xen by writing the hypercall page's MSR (`detect`).
        xen.shared_info = xen.map_shared_info();
        // Mask all ports before Xen is told how to interrupt: no event may come that has no handler.
        xen.start_events();
        // Upcalls only after events are set up: the first may come at once.
        xen.request_upcalls(capabilities, has_upcall_vectors);
        // Neither of these calls Xen yet. The first xenstore request is made when vCPUs start; the grant
        // table is set up at its first use.
        xen.open_xenstore();
        grant::init(machine, &info.memory);
        xen
    }

    /// Xen's page, if it could be mapped.
    pub(crate) fn shared_info(&self) -> Option<Shared<shared_info>> {
        self.shared_info
    }

    /// The interrupt line by which events are reported, where that is how.
    pub(crate) fn callback_intx(&self) -> Option<u8> {
        self.callback_intx
    }

    /// Maps Xen's page. An auto-translated guest gives up a page of its own for it: an address without memory
    /// is no choice, as a device may be there.
    fn map_shared_info(&self) -> Option<Shared<shared_info>> {
        let place = if self.machine.auto_translated() { memory::alloc_frame_to_replace() } else { Some(0) };
        let Some(place) = place else {
            warn!("shared_info: out of memory; no events and no paravirtual clock; give the guest more");
            return None;
        };
        self.machine
            .map_shared_info(place, &mut Frames)
            .inspect_err(|error| {
                warn!("shared_info: not mapped; no events and no paravirtual clock: {error}")
            })
            .ok()
    }

    /// Starts events, all masked, and has vCPU 0 and the console take theirs.
    fn start_events(&self) {
        let Some(page) = self.shared_info else { return };
        let wanted = match self.info.command_line.event_abi().ok().flatten() {
            Some(EventAbi::TwoLevel) => Abi::TwoLevel,
            Some(EventAbi::Fifo) | None => Abi::Fifo,
        };
        event::init(page, self.vcpus, wanted);
        smp::take_events(page);
        console::use_events();
    }

    /// Asks Xen for a one-shot timer, and for the best upcall that it and the command line allow.
    fn request_upcalls(&mut self, capabilities: &mut Capabilities, has_upcall_vectors: bool) {
        let pc = capabilities.has_emulated_platform();
        let limit = self.info.command_line.upcall_limit().ok().flatten();
        let no_vectors = pc && capabilities.pv_level.is_some_and(|level| level <= PvLevel::PvDrivers);
        let may = |way| limit.is_none_or(|limit| limit <= way) && !(no_vectors && way < UpcallLimit::Intx);
        let local_apic = capabilities.platform.local_apic;
        let no_lines = Services::choose(capabilities).irqchips.chosen == IrqChips::None;
        let (Some(_), Some(xen)) = (self.shared_info, &mut capabilities.xen) else { return };
        xen.single_shot_timer = timer::stop_xen_timers(0);
        xen.callback_vector =
            may(UpcallLimit::Vector) && offers_callback_vector(xen) && upcall::set_vector().is_ok();
        if !xen.callback_vector && may(UpcallLimit::PerCpuVector) && has_upcall_vectors && local_apic {
            // The vector goes through the local APIC, so enable that first.
            apic::init(self.machine);
            xen.upcall_vector = upcall::set_percpu_vector(0).is_ok();
        }
        let ask_for_line =
            pc && !xen.callback_vector && !xen.upcall_vector && may(UpcallLimit::Intx) && !no_lines;
        self.callback_intx = if ask_for_line { upcall::set_intx() } else { None };
        xen.callback_intx = self.callback_intx.is_some();
        if !xen.callback_vector && self.callback_intx.is_none() {
            // An HVM domain that has set no callback counts as one without PV drivers: the toolstack does not
            // ask it to shut down, and after a cancelled suspend does not tell it so. A PV domain needs none
            // of this, and Xen refuses it there.
            let _ = xen::hvm::announce_drivers(&Hypervisor);
        }
    }

    /// Opens xenstore's ring.
    fn open_xenstore(&self) {
        if let Some(frame) = self.info.store.and_then(|ring| self.machine.mfn_to_pfn(ring.mfn)) {
            xenstore::init(frame);
        }
    }
}

fn offers_callback_vector(xen: &XenCapabilities) -> bool {
    Features::from_bits_truncate(xen.features).contains(Features::HVM_CALLBACK_VECTOR)
}

/// Maps the pages of the toolstack's rings. This is apart from [`XenInterface::bring_up`] and earlier, as the
/// console uses its ring from the first page table on.
pub(crate) fn map_rings(machine: &dyn Machine, info: &BootInfo) {
    for ring in [info.console, info.store].into_iter().flatten() {
        let frame = machine.mfn_to_pfn(ring.mfn);
        let mapped = frame.map(|frame| machine.ioremap_page(frame * PAGE_SIZE, &mut Frames));
        if !matches!(mapped, Some(Ok(()))) {
            panic::abort_boot(&"a ring that the toolstack set up cannot be mapped");
        }
    }
}
