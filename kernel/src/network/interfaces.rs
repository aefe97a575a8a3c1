// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interfaces there are, in the order of their numbers.

use alloc::sync::Arc;

use prism_boot::command_line::INTERFACES;
use prism_drivers::net::Slots;

/// An interface as drivers have it.
pub(crate) type Interface = prism_drivers::net::Interface<'static>;

static SLOTS: Slots<INTERFACES> = Slots::new();

/// Interface `index`; `None` if there is none. Waits until that is known.
pub(super) async fn interface(index: usize) -> Option<Arc<Interface>> {
    SLOTS.settled(index).await
}

/// Interface `index`, if there is one, or was.
pub(super) fn get(index: usize) -> Option<Arc<Interface>> {
    SLOTS.get(index)
}

/// The toolstack's interface of this number; `None` if there cannot be so many, or a card has its place.
pub(crate) fn paravirtual(number: u32) -> Option<Arc<Interface>> {
    SLOTS.paravirtual(number)
}

/// The toolstack has given interfaces of these numbers, and no others.
pub(crate) fn set_paravirtual(numbers: &[u32]) {
    SLOTS.set_paravirtual(numbers);
}

/// The interface of one more card; `None` if there cannot be so many.
pub(crate) fn add_nic() -> Option<Arc<Interface>> {
    SLOTS.add_card()
}

/// It is known which interfaces there are at boot.
pub(crate) fn scan_complete() {
    SLOTS.settle();
}
