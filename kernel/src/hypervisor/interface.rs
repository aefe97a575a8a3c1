// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a domain and Xen share: `shared_info`, event channels, the rings of console and xenstore, the clock,
//! grants.
//!
//! [`XenInterface::bring_up`] is the one place that knows in which order these come up. When the domain was
//! saved and restored, all of it but the memory is gone: [`XenInterface::resume`] takes the same steps again,
//! and everything is at the same addresses afterwards.

use core::fmt;

use log::warn;
use prism_arch::hypercall::Hypervisor;
use prism_arch::machine::{Machine, SharedInfoError, ToolstackPorts};
use prism_boot::capabilities::{Capabilities, XenCapabilities};
use prism_boot::command_line::{EventAbi, PvLevel, UpcallLimit};
use prism_boot::services::{IrqChips, Services, Upcall};
use prism_boot::{BootInfo, PAGE_SIZE};
use xen::event::{Abi, Port};
use xen::shared::Shared;
use xen::version::Features;
use xen_sys::xen::shared_info;

use crate::console::{self, panic};
use crate::hypervisor::{event, grant, upcall, xenstore};
use crate::irq::apic;
use crate::memory::{self, Frames};
use crate::task::{executor, smp};
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
    /// Where an auto-translated guest has it.
    place: u64,
    /// The interrupt line by which events are reported, where that is how.
    callback_intx: Option<u8>,
}

/// Why a restored domain cannot go on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NotResumed {
    /// Xen's page cannot be mapped.
    SharedInfo(SharedInfoError),
    /// Xen does not tell of events as it did before.
    Upcall(xen::Errno),
    /// Xen does not keep events as it did before.
    Events(xen::Errno),
}

impl fmt::Display for NotResumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SharedInfo(error) => write!(f, "shared_info: {error}"),
            Self::Upcall(errno) => {
                write!(f, "this Xen does not tell of events as the one before did ({errno})")
            }
            Self::Events(xen::Errno::NOSPC) => {
                f.write_str("it may have fewer event channels than it uses (`max_event_channels`)")
            }
            Self::Events(errno) => write!(f, "this Xen does not keep events as the one before did ({errno})"),
        }
    }
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
        let mut xen = Self { machine, info, vcpus, shared_info: None, place: 0, callback_intx: None };
        // First `shared_info`: events, the clock and the `vcpu_info` structures are in it. Its layout depends
        // on the word size that an HVM domain told Xen by writing the hypercall page's MSR (`detect`).
        xen.shared_info = xen.find_place().and_then(|place| {
            xen.place = place;
            xen.map_shared_info()
        });
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

    /// The machine.
    pub(crate) fn machine(&self) -> &'static dyn Machine {
        self.machine
    }

    /// Xen's page, if it could be mapped.
    pub(crate) fn shared_info(&self) -> Option<Shared<shared_info>> {
        self.shared_info
    }

    /// The interrupt line by which events are reported, where that is how.
    pub(crate) fn callback_intx(&self) -> Option<u8> {
        self.callback_intx
    }

    /// Brings up again what is gone after the domain was restored, in the order of
    /// [`bring_up`](Self::bring_up); `upcall` is how vCPUs are told of events. `ports` holds the event
    /// channels of the rings, those of before and then the new ones. To be called while all other vCPUs wait.
    ///
    /// # Errors
    ///
    /// What cannot be had in the new domain, without which this one cannot go on.
    ///
    /// # Safety
    ///
    /// The domain was just restored.
    pub(crate) unsafe fn resume(&self, upcall: Upcall, ports: &mut ToolstackPorts) -> Result<(), NotResumed> {
        // At the address at which those who use it have it.
        self.machine.map_shared_info(self.place, &mut Frames).map_err(NotResumed::SharedInfo)?;
        // What the toolstack restores of an HVM domain's parameters does not hold this one; by it Xen learns
        // the guest's word size, too.
        self.request_upcall_again(upcall).map_err(NotResumed::Upcall)?;
        let before = core::mem::replace(ports, self.machine.toolstack_ports());
        let now = *ports;
        let moved = |port: Port| {
            let rings = [(before.store, now.store), (before.console, now.console)];
            let ring = rings.into_iter().find(|(before, now)| *before == port.0 && *now != 0);
            ring.map(|(_, now)| Port(now))
        };
        // First, so that somebody is told of what does not come back.
        console::resume(Port(now.console));
        event::resume(moved).map_err(NotResumed::Events)?;
        // PV vCPUs have their periodic timers back.
        for vcpu in executor::online() {
            timer::stop_xen_timers(vcpu);
        }
        // SAFETY: the caller's promise.
        if let Err(error) = unsafe { grant::resume() } {
            warn!("grant table: not as large as before, grows when needed: {error}");
        }
        xenstore::resume();
        Ok(())
    }

    fn request_upcall_again(&self, upcall: Upcall) -> xen::error::Result<()> {
        match upcall {
            Upcall::Vector => upcall::set_vector(),
            Upcall::PerCpuVector => {
                let _ = xen::hvm::announce_drivers(&Hypervisor);
                executor::online().try_for_each(upcall::set_percpu_vector)
            }
            Upcall::Intx => upcall::set_intx().map(drop).ok_or(xen::Errno::NODEV),
            Upcall::Polling => xen::hvm::announce_drivers(&Hypervisor),
            // A PV domain's is part of its vCPUs' state.
            Upcall::Callback | Upcall::None => Ok(()),
        }
    }

    /// Finds a place for Xen's page: in an auto-translated guest a page of [`memory::alloc_xen_page`].
    fn find_place(&self) -> Option<u64> {
        let place = if self.machine.auto_translated() { memory::alloc_xen_page() } else { Some(0) };
        if place.is_none() {
            warn!("shared_info: out of memory; no events and no paravirtual clock; give the guest more");
        }
        place
    }

    /// Maps Xen's page.
    fn map_shared_info(&self) -> Option<Shared<shared_info>> {
        self.machine
            .map_shared_info(self.place, &mut Frames)
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
