// SPDX-License-Identifier: MIT OR Apache-2.0
//! All network interfaces, by number.

use alloc::sync::Arc;

use prism_boot::command_line::INTERFACES;
use prism_drivers::net::Slots;

/// An interface, as the drivers define it.
pub(crate) type Interface = prism_drivers::net::Interface<'static>;

static SLOTS: Slots<INTERFACES> = Slots::new();

/// Interface `index`, once the scan at boot is complete; `None` if there is none.
pub(super) async fn interface(index: usize) -> Option<Arc<Interface>> {
    SLOTS.settled(index).await
}

/// Interface `index`, if it exists or did.
pub(super) fn get(index: usize) -> Option<Arc<Interface>> {
    SLOTS.get(index)
}

/// The toolstack's interface of this number; `None` if the number is too large, or a NIC has it.
pub(crate) fn paravirtual(number: u32) -> Option<Arc<Interface>> {
    SLOTS.paravirtual(number)
}

/// Sets the numbers of the toolstack's interfaces.
pub(crate) fn set_paravirtual(numbers: &[u32]) {
    SLOTS.set_paravirtual(numbers);
}

/// Adds the interface of a NIC; `None` if there are too many.
pub(crate) fn add_nic() -> Option<Arc<Interface>> {
    SLOTS.add_card()
}

/// Notes that all interfaces of the boot are known.
pub(crate) fn scan_complete() {
    SLOTS.settle();
}
