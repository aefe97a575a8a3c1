// SPDX-License-Identifier: MIT OR Apache-2.0
//! How Xen interrupts a vCPU for events. Each function asks for one way; Xen may refuse.

use prism_arch::hypercall::Hypervisor;
use prism_drivers::pci::{self, intx};
use xen::{Errno, hvm};

use crate::ports::CpuPorts;

/// Has events delivered by an interrupt vector, the same one on every vCPU.
pub(crate) fn set_vector() -> Result<(), Errno> {
    // SAFETY: the interrupt table has a handler for the vector that returns with interrupts off.
    unsafe { hvm::set_callback_vector(&Hypervisor, prism_arch::traps::EVENT_VECTOR) }
}

/// Has events of `vcpu`, which is the one that calls, delivered by a vector of its local APIC, which is
/// switched on.
pub(crate) fn set_percpu_vector(vcpu: u32) -> Result<(), Errno> {
    // SAFETY: the interrupt table has a handler for the vector that ends the interrupt, and returns
    // with interrupts off.
    unsafe { hvm::set_upcall_vector(&Hypervisor, vcpu, prism_arch::apic::WAKE_VECTOR) }
}

/// Has events delivered by an interrupt line, and returns it: the line of Xen's platform device, or one that
/// nobody has if firmware gave that none.
pub(crate) fn set_intx() -> Option<u8> {
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
