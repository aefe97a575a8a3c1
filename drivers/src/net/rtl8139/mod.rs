// SPDX-License-Identifier: MIT OR Apache-2.0
//! Realtek's RTL8139 NICs, which Xen's toolstacks give to HVM domains unless told otherwise
//! (`model` in xl-network-configuration(5); the NIC: RTL8139C(L) datasheet, revision 1.6, whose sections
//! are meant below).
//!
//! A [`Nic`] receives into one large ring of bytes, each frame behind a header, and sends from four
//! buffers in turn. Nothing of its memory is used in place: frames are copied in and out.
//!
//! The driver is for emulated NICs: it does not handle aborted transmissions, or overruns that need a reset.
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

/// Whether a function is such a NIC.
pub fn matches(function: &Function) -> bool {
    function.vendor == 0x10ec && function.device == 0x8139
}
