// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opens each console as soon as it can work.

use log::debug;
use prism_arch::machine::Machine;
use prism_boot::capabilities::{Capabilities, MachineKind};
use prism_boot::command_line::ConsoleSinks;
use prism_boot::services::{Console, Services};
use prism_boot::{BootInfo, PAGE_SIZE};
use prism_drivers::console::vga::{self, Screen};
use xen::event::Port;
use xen::shared::Shared;

use crate::console::{self, RingEnd};
use crate::devices;
use crate::memory::registers;
use crate::ports::CpuPorts;

/// Opens every console that needs no memory of ours, and uses the best one, or those that the command line
/// names.
pub(super) fn open_console(info: &BootInfo, machine: &dyn Machine, capabilities: &mut Capabilities) {
    let paravirtual = capabilities.paravirtual().is_ok();
    if let Some(ring) = info.console.filter(|_| paravirtual)
        && let Some(frame) = machine.mfn_to_pfn(ring.mfn)
    {
        // SAFETY: the page that Xen or the toolstack set aside for the console: aligned, mapped by
        // the boot page tables and by ours later, and used through this value only.
        let page = unsafe { Shared::at(frame * PAGE_SIZE) };
        console::add_ring(RingEnd::new(page, Port(ring.port)));
    }
    if paravirtual {
        console::add_xen();
    }
    if capabilities.machine == MachineKind::Hvm && !info.initial_domain {
        capabilities.platform.serial_port = console::add_serial();
    }
    if let Some(xen) = &mut capabilities.xen {
        xen.console_ring = console::has(ConsoleSinks::PV);
        xen.console_io = console::has(ConsoleSinks::XEN);
        xen.xenstore = info.store.is_some();
    }
    choose_console(info, capabilities);
}

/// Opens the text screen of a PC, whose memory our page tables have to map.
pub(super) fn open_screen(info: &BootInfo, capabilities: &mut Capabilities) {
    if !capabilities.has_emulated_platform() {
        return;
    }
    let memory = registers::map(vga::MEMORY, vga::MEMORY_BYTES);
    let memory = memory.inspect_err(|error| debug!("VGA text screen not used: {error}"));
    if let Some(screen) = memory.ok().and_then(|memory| Screen::new(memory, CpuPorts)) {
        console::add_screen(screen);
        capabilities.platform.screen = true;
        choose_console(info, capabilities);
    }
}

/// Opens a virtio console, whose queues need memory.
pub(super) fn open_virtio_console(info: &BootInfo, capabilities: &mut Capabilities) {
    if !capabilities.has_emulated_platform() || capabilities.is_pv_limited() {
        return;
    }
    if let Some(port) = devices::virtio::open_console() {
        console::add_virtio(port);
        capabilities.platform.virtio_console = true;
        choose_console(info, capabilities);
    }
}

/// Uses the best console, or those that the command line names. A virtio console is used beside others, as we
/// cannot tell whether someone reads it; but not beside Xen's, where it serves other purposes.
fn choose_console(info: &BootInfo, capabilities: &Capabilities) {
    let best = match Services::choose(capabilities).console.chosen {
        Console::Ring => ConsoleSinks::PV,
        Console::Xen => ConsoleSinks::XEN,
        Console::Serial => ConsoleSinks::SERIAL | ConsoleSinks::VIRTIO,
        Console::DebugPort | Console::None => ConsoleSinks::DEBUG | ConsoleSinks::VIRTIO,
        Console::Vga => ConsoleSinks::VGA | ConsoleSinks::VIRTIO,
        Console::Virtio => ConsoleSinks::VIRTIO,
    };
    console::choose(info.command_line.console_sinks().ok().flatten().unwrap_or(best));
}
