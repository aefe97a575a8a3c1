// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interfaces there are, in the order of their numbers: those of the toolstack by the numbers that
//! it gave them, and behind them cards in the order of their places.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::{Poll, Waker};

use prism_boot::command_line::INTERFACES;
use spin::Mutex;

/// An interface as drivers have it.
pub(crate) type Interface = prism_drivers::net::Interface<'static>;

static SLOTS: Mutex<Slots> =
    Mutex::new(Slots { slots: [const { Slot::Free }; INTERFACES], is_settled: false, waiting: Vec::new() });

struct Slots {
    slots: [Slot; INTERFACES],
    /// It is known which interfaces there are at boot.
    is_settled: bool,
    waiting: Vec<Waker>,
}

enum Slot {
    Free,
    /// One of the toolstack's, there or unplugged for now.
    Paravirtual(Arc<Interface>, Presence),
    Card(Arc<Interface>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Here,
    Away,
}

impl Slot {
    fn interface(&self) -> Option<&Arc<Interface>> {
        match self {
            Self::Free => None,
            Self::Paravirtual(interface, _) | Self::Card(interface) => Some(interface),
        }
    }

    fn is_here(&self) -> bool {
        matches!(self, Self::Paravirtual(_, Presence::Here) | Self::Card(_))
    }
}

/// Interface `index`; `None` if there is none. Waits until that is known.
pub(super) async fn interface(index: usize) -> Option<Arc<Interface>> {
    poll_fn(|context| {
        let mut slots = SLOTS.lock();
        if !slots.is_settled {
            slots.waiting.push(context.waker().clone());
            return Poll::Pending;
        }
        let slot = slots.slots.get(index).filter(|slot| slot.is_here());
        Poll::Ready(slot.and_then(Slot::interface).cloned())
    })
    .await
}

/// Interface `index`, if there is one, or was.
pub(super) fn get(index: usize) -> Option<Arc<Interface>> {
    SLOTS.lock().slots.get(index)?.interface().cloned()
}

/// The toolstack's interface of this number; `None` if there cannot be so many, or a card has its place.
pub(crate) fn paravirtual(number: u32) -> Option<Arc<Interface>> {
    let mut slots = SLOTS.lock();
    let slot = slots.slots.get_mut(usize::try_from(number).ok()?)?;
    if let Slot::Free = slot {
        *slot = Slot::Paravirtual(Arc::new(Interface::new()), Presence::Here);
    }
    if let Slot::Paravirtual(interface, _) = slot { Some(Arc::clone(interface)) } else { None }
}

/// The toolstack has given interfaces of these numbers, and no others.
pub(crate) fn set_paravirtual(numbers: &[u32]) {
    numbers.iter().for_each(|number| drop(paravirtual(*number)));
    for (index, slot) in (0..).zip(&mut SLOTS.lock().slots) {
        if let Slot::Paravirtual(_, presence) = slot {
            *presence = if numbers.contains(&index) { Presence::Here } else { Presence::Away };
        }
    }
}

/// The interface of one more card; `None` if there cannot be so many.
pub(crate) fn add_card() -> Option<Arc<Interface>> {
    let mut slots = SLOTS.lock();
    let last = slots.slots.iter().rposition(|slot| !matches!(slot, Slot::Free));
    let slot = slots.slots.get_mut(last.map_or(0, |last| last + 1))?;
    let interface = Arc::new(Interface::new());
    *slot = Slot::Card(Arc::clone(&interface));
    Some(interface)
}

/// It is known which interfaces there are at boot.
pub(crate) fn settle() {
    let mut slots = SLOTS.lock();
    slots.is_settled = true;
    let waiting = core::mem::take(&mut slots.waiting);
    drop(slots);
    waiting.into_iter().for_each(Waker::wake);
}
