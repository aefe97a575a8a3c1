// SPDX-License-Identifier: MIT OR Apache-2.0
//! Intel's 8254x NICs, of which hypervisors emulate the 82540EM (PCI/PCI-X Family of Gigabit
//! Ethernet Controllers Software Developer's Manual, 317453; sections below are its).
//!
//! A [`Nic`] has a ring of descriptors for each direction, and a piece of memory of its own for each
//! descriptor, into which and from which frames are copied. None of the NIC's offloads is used.
//!
//! What the NIC writes is not trusted: whatever it is, the worst is a lost frame, or that the NIC is
//! disabled.

#[cfg(test)]
mod fake;
mod nic;
mod registers;
#[cfg(test)]
mod tests;

pub use nic::{MEMORY, Nic};
pub use registers::LENGTH;

use crate::pci::Function;

/// Whether a function is such a NIC: 82544GC, 82540EM, 82545EM; or an 82574L (QEMU's `e1000e`), which has
/// the same registers and descriptors for those who use no more (82574 Datasheet, 7.1.4 and 7.2.10).
pub fn matches(function: &Function) -> bool {
    function.vendor == 0x8086 && matches!(function.device, 0x100c | 0x100e | 0x100f | 0x10d3)
}
