// SPDX-License-Identifier: MIT OR Apache-2.0
//! Upcalls: how Xen interrupts a vCPU for events. Each function requests one method; Xen may refuse.

use prism_arch::hypercall::Hypervisor;
use prism_drivers::pci::{self, intx};
use xen::{Errno, hvm};

use crate::devices::pci_functions;
use crate::ports::CpuPorts;

/// Requests the callback vector: one interrupt vector for all vCPUs.
pub(crate) fn set_vector() -> Result<(), Errno> {
    // SAFETY: the interrupt table has a handler for the vector that returns with interrupts off.
    unsafe { hvm::set_callback_vector(&Hypervisor, prism_arch::traps::EVENT_VECTOR) }
}

/// Requests a vector of the local APIC of `vcpu`, which is the caller and has enabled its APIC.
pub(crate) fn set_percpu_vector(vcpu: u32) -> Result<(), Errno> {
    // SAFETY: the interrupt table has a handler for the vector that ends the interrupt, and returns
    // with interrupts off.
    unsafe { hvm::set_upcall_vector(&Hypervisor, vcpu, prism_arch::apic::WAKE_VECTOR) }
}

/// Requests an interrupt line, and returns it: that of Xen's platform device, or a free one if firmware gave
/// that none.
pub(crate) fn set_intx() -> Option<u8> {
    /// PCI register: the interrupt line that firmware assigned.
    const LINE: u8 = 0x3c;
    /// Free on every PC.
    const FREE: u8 = 11;
    let device = pci_functions::all().find(pci::Function::is_xen_platform)?;
    let given = pci::Configuration::new(&CpuPorts, device.address).read(LINE) as u8;
    let line = if (3..=15).contains(&given) { given } else { FREE };
    hvm::set_callback_line(&Hypervisor, line).ok()?;
    // Xen holds the line up while an event is pending. An edge-triggered line would miss an event that comes
    // before the last one is handled.
    intx::set_level_triggered(&CpuPorts, line);
    Some(line)
}
