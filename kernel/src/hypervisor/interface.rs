// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a domain and Xen share: `shared_info`, event channels, the rings of console and xenstore, the clock,
//! grants.
//!
//! [`XenInterface::bring_up`] is the one place that says in which order these come. A domain that was
//! suspended and goes on in another place has lost all of it but the memory, and takes the same steps.

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

/// The interface between this domain and Xen, as far as it is up.
#[derive(Clone, Copy)]
pub(crate) struct XenInterface {
    machine: &'static dyn Machine,
    info: &'static BootInfo,
    /// vCPUs that Xen has made for the domain.
    vcpus: u32,
    /// Xen's page. Without it there are neither events nor a paravirtual clock; what needs neither still
    /// works.
    shared_info: Option<Shared<shared_info>>,
    /// The interrupt line by which events are reported, where that is how.
    callback_intx: Option<u8>,
}

impl XenInterface {
    /// Brings up whatever Xen offers, and notes in `capabilities` what that is. Only where Xen is used, and
    /// after memory is there. `has_upcall_vectors` tells whether Xen reports events by vectors of each vCPU's
    /// own.
    pub(crate) fn bring_up(
        machine: &'static dyn Machine,
        info: &'static BootInfo,
        vcpus: u32,
        capabilities: &mut Capabilities,
        has_upcall_vectors: bool,
    ) -> Self {
        let mut xen = Self { machine, info, vcpus, shared_info: None, callback_intx: None };
        // Events, clock and vCPUs live in Xen's page. HVM domains have told Xen their word size before,
        // when they wrote the hypercall page's MSR (`detect`): it decides how Xen lays the page out.
        xen.shared_info = xen.map_shared_info();
        // All ports are masked before Xen is told how to interrupt: nothing is delivered that nobody expects.
        xen.start_events();
        // Only now, as an upcall that comes at once finds its pending bits.
        xen.request_upcalls(capabilities, has_upcall_vectors);
        // Both of these send nothing yet: xenstore is asked for the first time when vCPUs are started, the
        // grant table is set up at its first use.
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

    /// Maps Xen's page: where the guest chooses, in place of a page of its own, as where there is no memory
    /// there may be a device.
    fn map_shared_info(&self) -> Option<Shared<shared_info>> {
        let place = if self.machine.auto_translated() { memory::alloc_zeroed_frame() } else { Some(0) };
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

    /// Masks all events, and has vCPU 0 and the console take theirs.
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

    /// Asks Xen for a one-shot timer and for the best way to be told of events, best first.
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
            // The vector is one of the local APIC's, which has to be on.
            apic::init(self.machine);
            xen.upcall_vector = upcall::set_percpu_vector(0).is_ok();
        }
        let ask_for_line =
            pc && !xen.callback_vector && !xen.upcall_vector && may(UpcallLimit::Intx) && !no_lines;
        self.callback_intx = if ask_for_line { upcall::set_intx() } else { None };
        xen.callback_intx = self.callback_intx.is_some();
        if !xen.callback_vector && self.callback_intx.is_none() {
            // Without a callback the toolstack takes an HVM domain for one that has no PV drivers, and
            // neither asks it to shut down nor tells it of a cancelled suspend. Xen refuses this in PV
            // domains, of which the toolstack knows.
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

/// Maps the pages of the rings that the toolstack set up. In a PV domain they lie in memory, elsewhere beside
/// it. Apart from [`XenInterface::bring_up`], as the console is in use before.
pub(crate) fn map_rings(machine: &dyn Machine, info: &BootInfo) {
    for ring in [info.console, info.store].into_iter().flatten() {
        let frame = machine.mfn_to_pfn(ring.mfn);
        let mapped = frame.map(|frame| machine.ioremap_page(frame * PAGE_SIZE, &mut Frames));
        if !matches!(mapped, Some(Ok(()))) {
            panic::abort_boot(&"a ring that the toolstack set up cannot be mapped");
        }
    }
}
