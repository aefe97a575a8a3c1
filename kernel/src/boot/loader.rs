// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the loader tells of the machine, and what Xen has to be asked where the loader is silent.

use core::ops::Range;

use prism_arch::hypercall::Hypervisor;
use prism_arch::{Entry, EntryProtocol, Machine, entry};
use prism_boot::capabilities::Capabilities;
use prism_boot::{BootError, BootInfo, PAGE_SIZE, SharedRing, e820, protocol};
use xen::hvm::{self, Parameter};

use crate::memory::IdentityMemory;

/// Reads the loader's information. Texts and lists are copied; pages stay in place and are reserved.
pub(super) fn read_boot_info(entry: Entry, machine: &dyn Machine) -> Result<BootInfo, BootError> {
    let memory = IdentityMemory { limit: machine.mapped_at_boot() };
    let mut info = match entry.protocol {
        EntryProtocol::Pv => protocol::pv::parse(&memory, entry.information),
        EntryProtocol::Pvh => protocol::pvh::parse(&memory, entry.information),
        EntryProtocol::Multiboot1 => protocol::multiboot1::parse(&memory, entry.information),
        EntryProtocol::Multiboot2 => protocol::multiboot2::parse(&memory, entry.information),
    }?;
    let embedded = entry::embedded_command_line();
    let text = embedded.split(|byte| *byte == 0).next().unwrap_or_default();
    info.command_line.append(core::str::from_utf8(text).unwrap_or_default());
    Ok(info)
}

/// Asks Xen for the rings of console and xenstore. HVM and PVH domains find them in HVM parameters; a PV
/// domain finds them in `start_info`.
pub(super) fn ask_for_rings(info: &mut BootInfo) {
    info.console = ring(Parameter::ConsoleFrame, Parameter::ConsoleEvent);
    info.store = ring(Parameter::StoreFrame, Parameter::StoreEvent);
}

/// The frame and the event channel of a ring; `None` if the toolstack set none up. All bits are set in the
/// number of a frame that is to be told later, when there is a xenstored (`xenbus_init` of Linux's
/// `xenbus_probe.c`).
fn ring(frame: Parameter, event: Parameter) -> Option<SharedRing> {
    /// What page tables can name: addresses have 52 bits.
    const FRAMES: Range<u64> = 1..1 << 40;
    let mfn = hvm::parameter(&Hypervisor, frame).ok()?;
    let port = hvm::parameter(&Hypervisor, event).ok()?;
    (FRAMES.contains(&mfn) && port != 0).then_some(SharedRing { mfn, port: u32::try_from(port).ok()? })
}

/// Asks Xen for the memory map, where the loader gave none.
pub(super) fn ask_for_memory_map(info: &mut BootInfo) {
    let mut table = [0; 128 * e820::ENTRY_LENGTH];
    if let Ok(table) = xen::memory::map(&Hypervisor, &mut table) {
        e820::parse(info, table);
    }
}

/// Finds how much memory is in the map but not populated. Memory of an HVM or PVH domain between `memory` and
/// `maxmem` is populated on demand, and Xen destroys a domain that touches more than it was given.
pub(super) fn find_unpopulated(info: &mut BootInfo, capabilities: &Capabilities) {
    /// Pages of a PC that its memory map does not show. Most belong to its graphics card, which has 16 MiB by
    /// default and can be given more.
    const OF_DEVICES: u64 = 4096 + 256;
    let Ok(pages) = xen::memory::current_reservation(&Hypervisor) else { return };
    let told = info.memory.total_usable();
    if told <= pages.saturating_mul(PAGE_SIZE) {
        return;
    }
    let of_devices = if capabilities.has_emulated_platform() { OF_DEVICES } else { 0 };
    info.leave_unpopulated(pages.saturating_sub(of_devices).saturating_mul(PAGE_SIZE));
}

/// Asks Xen for the memory that a PV domain may be given later.
pub(super) fn find_growth(info: &mut BootInfo) {
    let mut table = [0; 128 * e820::ENTRY_LENGTH];
    if let Ok(table) = xen::memory::map(&Hypervisor, &mut table) {
        protocol::pv::add_growth(info, table);
    }
}
