// SPDX-License-Identifier: MIT OR Apache-2.0
//! All network interfaces, by number.

use alloc::sync::Arc;

use prism_boot::command_line::INTERFACES;
use prism_drivers::net::Registry;

/// An interface, as the drivers define it.
pub(crate) type Interface = prism_drivers::net::Interface<'static>;

static REGISTRY: Registry<INTERFACES> = Registry::new();

/// Interface `index`, once the scan at boot is complete; `None` if there is none.
pub(super) async fn interface(index: usize) -> Option<Arc<Interface>> {
    REGISTRY.scanned(index).await
}

/// Interface `index`, if it exists or did.
pub(super) fn get(index: usize) -> Option<Arc<Interface>> {
    REGISTRY.get(index)
}

/// The toolstack's interface of this number; `None` if the number is too large, or a NIC has it.
pub(crate) fn paravirtual(number: u32) -> Option<Arc<Interface>> {
    REGISTRY.paravirtual(number)
}

/// Sets the numbers of the toolstack's interfaces.
pub(crate) fn set_paravirtual(numbers: &[u32]) {
    REGISTRY.set_paravirtual(numbers);
}

/// Adds the interface of a NIC; `None` if there are too many.
pub(crate) fn add_nic() -> Option<Arc<Interface>> {
    REGISTRY.add_nic()
}

/// Notes that all interfaces of the boot are known.
pub(crate) fn scan_complete() {
    REGISTRY.scan_complete();
}
