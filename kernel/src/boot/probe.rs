// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asking for each service whether it is there. "Not here" is an answer, never an error.

use prism_arch::hypercall::Hypervisor;
use prism_arch::{cpu, cpuid};
use prism_boot::capabilities::{Devices, Platform};
use prism_boot::{Acpi, vcpus};
use prism_drivers::irq::pic;
use prism_drivers::pci::intx;
use prism_drivers::supported::Known;
use prism_drivers::timer::pit;
use prism_drivers::{pci, power};
use xen::hvm::{self, Parameter};
use xen::{Errno, vcpu};

use crate::devices::virtio;
use crate::ports::CpuPorts;

/// The port of QEMU's debug-exit device reads as zero; where there is none, as all ones.
const DEBUG_EXIT: u16 = 0xf4;

/// What of a PC there is, and which devices are plugged in. Not for PV domains: they have no
/// ports.
pub(crate) fn platform() -> (Platform, Devices) {
    let mut platform = Platform {
        local_apic: cpuid::has_local_apic(),
        tsc_deadline: cpuid::has_tsc_deadline(),
        debug_port: cpu::debug_port_answers(),
        debug_exit: cpu::read_port_u8(DEBUG_EXIT) == 0,
        ..Platform::default()
    };
    let mut devices = Devices::default();
    for function in pci::functions(&CpuPorts) {
        platform.pci_host_bridge |= function.is_host_bridge();
        platform.xen_platform_device |= function.is_xen_platform();
        platform.acpi_power_off |= power::knows(&function);
        count(&mut devices, &function);
    }
    platform.pic = pic::is_there(&CpuPorts);
    if platform.pic {
        // Firmware leaves the timer's interrupt on.
        pic::silence(&CpuPorts);
    }
    platform.interval_timer = platform.pic && pit::is_there(&CpuPorts);
    (platform, devices)
}

/// Adds a function to the devices of its kind.
fn count(devices: &mut Devices, function: &pci::Function) {
    let counter = match Known::of(function) {
        Some(Known::Virtio(kind)) => return virtio::count(devices, kind),
        Some(Known::Ahci) => &mut devices.ahci,
        Some(Known::Ide) => &mut devices.ide,
        Some(Known::OtherStorage) => &mut devices.storage,
        Some(Known::E1000) => &mut devices.e1000,
        Some(Known::Rtl8139) => &mut devices.rtl8139,
        Some(Known::OtherNetwork) => &mut devices.ethernet,
        None => return,
    };
    *counter += 1;
}

/// The frame and the event channel of a ring that the toolstack set up; `None` if it didn't.
pub(crate) fn hvm_ring(frame: Parameter, event: Parameter) -> Option<(u64, u32)> {
    let frame = hvm::parameter(&Hypervisor, frame).ok()?;
    let port = hvm::parameter(&Hypervisor, event).ok()?;
    (frame != 0 && port != 0).then_some((frame, u32::try_from(port).ok()?))
}

/// Whether a vCPU has a one-shot timer. Asking switches it off, and the 100 Hz timer that those of PV
/// domains are born with.
pub(crate) fn single_shot_timer(vcpu: u32) -> bool {
    let _ = vcpu::stop_periodic_timer(&Hypervisor, vcpu);
    vcpu::stop_singleshot_timer(&Hypervisor, vcpu).is_ok()
}

/// How many vCPUs there are to use: those that Xen has made, but not more than are switched on by firmware's
/// tables (`vcpus` below `maxvcpus` in `xl.cfg`); where one of the two is silent, what the other says; else
/// the one that asks. (CPUID tells how many there is room for.)
pub(crate) fn vcpus(xen: bool, acpi: &Acpi) -> u32 {
    let made = if xen { count_by_xen() } else { None };
    vcpus::count(made, acpi.controllers.cpus.len())
}

/// Xen says for each number whether that vCPU runs, and for the first too large one that it does
/// not exist.
fn count_by_xen() -> Option<u32> {
    /// `HVM_MAX_VCPUS` is 128, a PV domain's limit 8192.
    const MOST: u32 = 8192;
    match (0..MOST).find_map(|vcpu| vcpu::is_up(&Hypervisor, vcpu).err().map(|errno| (vcpu, errno))) {
        Some((count, errno)) if count != 0 && !errno.is_unsupported() => Some(count),
        _ => None,
    }
}

/// Whether event channels can be delivered by an interrupt vector: Xen is asked to.
pub(crate) fn callback_vector() -> Result<(), Errno> {
    // SAFETY: the interrupt table has a handler for the vector that returns with interrupts off.
    unsafe { hvm::set_callback_vector(&Hypervisor, prism_arch::traps::EVENT_VECTOR) }
}

/// Whether events can be delivered by a vector of `vcpu`'s local APIC, which is switched on: Xen is
/// asked to. For the vCPU that calls.
pub(crate) fn upcall_vector(vcpu: u32) -> Result<(), Errno> {
    // SAFETY: the interrupt table has a handler for the vector that ends the interrupt, and returns
    // with interrupts off.
    unsafe { hvm::set_upcall_vector(&Hypervisor, vcpu, prism_arch::apic::WAKE_VECTOR) }
}

/// The interrupt line by which event channels are delivered, if Xen does so: the platform device's, or
/// one that nobody has if firmware gave it none.
pub(crate) fn callback_line() -> Option<u8> {
    /// Register of the line that firmware gave a device.
    const LINE: u8 = 0x3c;
    /// Free on every PC.
    const FREE: u8 = 11;
    let device = pci::functions(&CpuPorts).find(pci::Function::is_xen_platform)?;
    let given = pci::Configuration::new(&CpuPorts, device.place).read(LINE) as u8;
    let line = if (3..=15).contains(&given) { given } else { FREE };
    hvm::set_callback_line(&Hypervisor, line).ok()?;
    // It is up for as long as there is an event: one that comes before the last one's end does not make it
    // rise.
    intx::heed_level(&CpuPorts, line);
    Some(line)
}
