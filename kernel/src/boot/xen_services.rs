// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Xen is asked for.

use log::warn;
use prism_arch::hypercall::Hypervisor;
use prism_arch::machine::Machine;
use prism_boot::capabilities::Capabilities;
use prism_boot::command_line::{EventAbi, Rung, UpcallLimit};
use prism_boot::services::{Lines, Services};
use prism_boot::{BootInfo, BootNote, PAGE_SIZE, SharedRing, e820};
use xen::event::Abi;
use xen::hvm::Parameter;
use xen::shared::Shared;
use xen::version::Features;
use xen_sys::xen::shared_info;

use crate::boot::probe;
use crate::console::{self, panic};
use crate::hypervisor::detect::Found;
use crate::hypervisor::event;
use crate::irq::apic;
use crate::memory::{self, Frames};
use crate::task::smp;

/// HVM and PVH domains ask where their rings are; a PV domain is told.
pub(super) fn ask_for_rings(info: &mut BootInfo) {
    let ring = |frame, event| probe::hvm_ring(frame, event).map(|(mfn, port)| SharedRing { mfn, port });
    info.console = ring(Parameter::ConsoleFrame, Parameter::ConsoleEvent);
    info.store = ring(Parameter::StoreFrame, Parameter::StoreEvent);
}

/// Asks Xen what memory there is, where the loader gave no map.
pub(super) fn ask_for_memory_map(info: &mut BootInfo) {
    let mut table = [0; 128 * e820::ENTRY_LENGTH];
    if let Ok(table) = xen::memory::map(&Hypervisor, &mut table) {
        e820::parse(info, table);
    }
}

/// Leaves memory alone that is in the map, but that the domain does not have: an HVM or PVH domain's beyond
/// `memory`, up to `maxmem`, is populated on demand, and Xen destroys a domain that demands more than it has.
pub(super) fn leave_unpopulated(info: &mut BootInfo, capabilities: &Capabilities) {
    /// Pages of a PC that its memory map does not tell of: most are of its graphics card, which has 16 MiB as
    /// `xl` makes it, and can be given more.
    const OF_DEVICES: u64 = 4096 + 256;
    let Ok(pages) = xen::memory::current_reservation(&Hypervisor) else { return };
    let told = info.memory.total_usable();
    if told <= pages.saturating_mul(PAGE_SIZE) {
        return;
    }
    let of_devices = if capabilities.has_emulated_platform() { OF_DEVICES } else { 0 };
    // What the loader has written is there.
    let written = info.modules.iter().map(|module| module.range.end()).max().unwrap_or_default();
    info.memory.keep(pages.saturating_sub(of_devices).saturating_mul(PAGE_SIZE), written);
    info.notes.push(BootNote::Unpopulated { told, used: info.memory.total_usable() });
}

/// Maps the pages that Xen shares with the domain and masks all events; returns `shared_info`.
pub(super) fn join_xen(info: &BootInfo, machine: &dyn Machine, vcpus: u32) -> Option<Shared<shared_info>> {
    for ring in [info.console, info.store].into_iter().flatten() {
        let mapped = machine
            .guest_frame(ring.mfn)
            .map(|frame| machine.map_special_page(frame * PAGE_SIZE, &mut Frames));
        if !matches!(mapped, Some(Ok(()))) {
            panic::give_up(&"a ring that the toolstack set up cannot be mapped");
        }
    }
    let place = if machine.chooses_places() { memory::take_zeroed_frame() } else { Some(0) };
    let Some(place) = place else {
        warn!("no events, no paravirtual clock: no memory is left; give the guest more");
        return None;
    };
    let page = machine
        .map_shared_info(place, &mut Frames)
        .inspect_err(|error| warn!("no events, no paravirtual clock: {error}"))
        .ok()?;
    let wanted = match info.command_line.event_abi().ok().flatten() {
        Some(EventAbi::TwoLevel) => Abi::TwoLevel,
        Some(EventAbi::Fifo) | None => Abi::Fifo,
    };
    event::begin(page, vcpus, wanted);
    smp::take_events(page);
    console::use_events();
    Some(page)
}

/// Asks Xen for each service that needs its shared page.
///
/// Returns the interrupt line by which events are reported, if they are.
pub(super) fn ask_for_services(
    info: &BootInfo,
    machine: &dyn Machine,
    found: &Found,
    capabilities: &mut Capabilities,
    page: Option<Shared<shared_info>>,
) -> Option<u8> {
    let pc = capabilities.has_emulated_platform();
    let limit = info.command_line.upcall_limit().ok().flatten();
    let no_vectors = pc && capabilities.rung.is_some_and(|rung| rung <= Rung::PvDrivers);
    let may = |way| limit.is_none_or(|limit| limit <= way) && !(no_vectors && way < UpcallLimit::Line);
    let local_apic = capabilities.platform.local_apic;
    let no_lines = Services::choose(capabilities).lines.chosen == Lines::None;
    let (Some(_), Some(xen)) = (page, &mut capabilities.xen) else { return None };
    let features = Features::from_bits_truncate(xen.features);
    xen.single_shot_timer = probe::single_shot_timer(0);
    xen.callback_vector = may(UpcallLimit::Vector)
        && features.contains(Features::HVM_CALLBACK_VECTOR)
        && probe::callback_vector().is_ok();
    if !xen.callback_vector && may(UpcallLimit::OwnVector) && found.upcall_vectors && local_apic {
        apic::begin(machine);
        xen.upcall_vector = probe::upcall_vector(0).is_ok();
    }
    let ask_for_line =
        pc && !xen.callback_vector && !xen.upcall_vector && may(UpcallLimit::Line) && !no_lines;
    let line = if ask_for_line { probe::callback_line() } else { None };
    xen.callback_line = line.is_some();
    if !xen.callback_vector && line.is_none() {
        // Refused by Xen in PV domains, of which the toolstack knows it.
        let _ = xen::hvm::announce_drivers(&Hypervisor);
    }
    line
}
