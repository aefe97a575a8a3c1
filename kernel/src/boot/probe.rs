// SPDX-License-Identifier: MIT OR Apache-2.0
//! Probes what there is, one fact at a time. "Not here" is an answer, never an error.

use prism_arch::hypercall::Hypervisor;
use prism_arch::{cpu, cpuid};
use prism_boot::capabilities::{Devices, Platform};
use prism_boot::{Acpi, PhysRange, vcpus};
use prism_drivers::irq::pic;
use prism_drivers::supported::Known;
use prism_drivers::timer::pit;
use prism_drivers::{pci, power};
use xen::vcpu;

use crate::devices::{pci_functions, virtio};
use crate::ports::CpuPorts;

/// The port of QEMU's debug-exit device. It reads as zero; without the device, as all ones.
const DEBUG_EXIT: u16 = 0xf4;

/// Which parts of a PC exist, and which devices are plugged in. Not for PV domains, which have no ports.
pub(crate) fn platform() -> (Platform, Devices) {
    let mut platform = Platform {
        local_apic: cpuid::has_local_apic(),
        tsc_deadline: cpuid::has_tsc_deadline(),
        debug_port: cpu::debug_port_answers(),
        debug_exit: cpu::read_port_u8(DEBUG_EXIT) == 0,
        ..Platform::default()
    };
    let mut devices = Devices::default();
    for function in pci_functions::all() {
        platform.pci_host_bridge |= function.is_host_bridge();
        if function.is_xen_platform() {
            platform.xen_platform_device = true;
            platform.xen_platform_memory = platform_memory(&function);
        }
        platform.acpi_power_off |= power::knows(&function);
        count(&mut devices, &function);
    }
    platform.pic = pic::is_there(&CpuPorts);
    if platform.pic {
        // Firmware leaves the timer's interrupt unmasked.
        pic::mask_all(&CpuPorts);
    }
    platform.interval_timer = platform.pic && pit::is_there(&CpuPorts);
    (platform, devices)
}

/// The memory of Xen's platform device: its second base address register.
fn platform_memory(function: &pci::Function) -> Option<PhysRange> {
    let memory = pci::Configuration::new(&CpuPorts, function.address).memory(1)?;
    PhysRange::with_length(memory.address, memory.length)
}

/// Counts a PCI function by the kind of its device.
fn count(devices: &mut Devices, function: &pci::Function) {
    let counter = match Known::of(function) {
        Some(Known::Virtio(kind)) => return virtio::count(devices, kind),
        Some(Known::Ahci) => &mut devices.ahci,
        Some(Known::Ide) => &mut devices.ide,
        Some(Known::Nvme) => &mut devices.nvme,
        Some(Known::OtherStorage) => &mut devices.storage,
        Some(Known::E1000) => &mut devices.e1000,
        Some(Known::Rtl8139) => &mut devices.rtl8139,
        Some(Known::OtherNetwork) => &mut devices.ethernet,
        None => return,
    };
    *counter += 1;
}

/// How many vCPUs to use at boot: those that Xen has made, but no more than firmware's tables switch on
/// (`vcpus` below `maxvcpus` in `xl.cfg`). If one of the two is silent, the other one counts; if both are,
/// there is one. (CPUID only tells how many there is room for.) And how many there can be later.
pub(crate) fn vcpus(xen: bool, acpi: &Acpi) -> VcpuCount {
    let made = if xen { count_by_xen() } else { None };
    let at_boot = vcpus::count(made, acpi.controllers.cpus.len());
    VcpuCount { at_boot, most: made.unwrap_or(at_boot) }
}

/// How many vCPUs there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VcpuCount {
    /// At boot.
    pub(crate) at_boot: u32,
    /// At most, with those that are switched on later.
    pub(crate) most: u32,
}

/// Counts the vCPUs: Xen tells of each number whether that vCPU runs, and refuses the first number that does
/// not exist.
fn count_by_xen() -> Option<u32> {
    /// `HVM_MAX_VCPUS` is 128, a PV domain's limit 8192.
    const MOST: u32 = 8192;
    match (0..MOST).find_map(|vcpu| vcpu::is_up(&Hypervisor, vcpu).err().map(|errno| (vcpu, errno))) {
        Some((count, errno)) if count != 0 && !errno.is_unsupported() => Some(count),
        _ => None,
    }
}
