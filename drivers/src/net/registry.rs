// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interfaces of the system, by number. Those of the toolstack have the numbers that it gave them; NICs
//! follow, in the order of their addresses on PCI.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::task::{Poll, Waker};

use spin::Mutex;

use super::Interface;

/// So many interfaces at most.
pub struct Registry<const MAX: usize>(Mutex<State<MAX>>);

struct State<const MAX: usize> {
    slots: [Slot; MAX],
    /// It is known which interfaces there are at boot.
    is_scanned: bool,
    waiting: Vec<Waker>,
}

enum Slot {
    Free,
    /// One of the toolstack's, there or unplugged for now.
    Paravirtual(Arc<Interface<'static>>, Presence),
    Nic(Arc<Interface<'static>>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Here,
    Away,
}

impl Slot {
    fn interface(&self) -> Option<&Arc<Interface<'static>>> {
        match self {
            Self::Free => None,
            Self::Paravirtual(interface, _) | Self::Nic(interface) => Some(interface),
        }
    }

    fn is_here(&self) -> bool {
        matches!(self, Self::Paravirtual(_, Presence::Here) | Self::Nic(_))
    }
}

impl<const MAX: usize> Default for Registry<MAX> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const MAX: usize> Registry<MAX> {
    /// None is known yet.
    pub const fn new() -> Self {
        let slots = [const { Slot::Free }; MAX];
        Self(Mutex::new(State { slots, is_scanned: false, waiting: Vec::new() }))
    }

    /// Interface `index`; `None` if there is none. Waits until that is known.
    pub fn scanned(&self, index: usize) -> impl Future<Output = Option<Arc<Interface<'static>>>> + '_ {
        poll_fn(move |context| {
            let mut state = self.0.lock();
            if !state.is_scanned {
                state.waiting.push(context.waker().clone());
                return Poll::Pending;
            }
            let slot = state.slots.get(index).filter(|slot| slot.is_here());
            Poll::Ready(slot.and_then(Slot::interface).cloned())
        })
    }

    /// Interface `index`, if there is one, or was.
    pub fn get(&self, index: usize) -> Option<Arc<Interface<'static>>> {
        self.0.lock().slots.get(index)?.interface().cloned()
    }

    /// The toolstack's interface of this number; `None` if there cannot be so many, or a NIC has its place.
    pub fn paravirtual(&self, number: u32) -> Option<Arc<Interface<'static>>> {
        let mut state = self.0.lock();
        let slot = state.slots.get_mut(usize::try_from(number).ok()?)?;
        if let Slot::Free = slot {
            *slot = Slot::Paravirtual(Arc::new(Interface::new()), Presence::Here);
        }
        if let Slot::Paravirtual(interface, _) = slot { Some(Arc::clone(interface)) } else { None }
    }

    /// The toolstack has given interfaces of these numbers, and no others.
    pub fn set_paravirtual(&self, numbers: &[u32]) {
        numbers.iter().for_each(|number| drop(self.paravirtual(*number)));
        for (index, slot) in (0..).zip(&mut self.0.lock().slots) {
            if let Slot::Paravirtual(_, presence) = slot {
                *presence = if numbers.contains(&index) { Presence::Here } else { Presence::Away };
            }
        }
    }

    /// The interface of one more NIC; `None` if there cannot be so many.
    pub fn add_nic(&self) -> Option<Arc<Interface<'static>>> {
        let mut state = self.0.lock();
        let last = state.slots.iter().rposition(|slot| !matches!(slot, Slot::Free));
        let slot = state.slots.get_mut(last.map_or(0, |last| last + 1))?;
        let interface = Arc::new(Interface::new());
        *slot = Slot::Nic(Arc::clone(&interface));
        Some(interface)
    }

    /// It is known which interfaces there are at boot.
    pub fn scan_complete(&self) {
        let mut state = self.0.lock();
        state.is_scanned = true;
        let waiting = core::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::{Context, Wake};

    use super::*;

    fn now(slots: &Registry<4>, index: usize) -> Poll<Option<Arc<Interface<'static>>>> {
        pin!(slots.scanned(index)).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn is(found: Poll<Option<Arc<Interface<'static>>>>, interface: &Arc<Interface<'static>>) -> bool {
        matches!(found, Poll::Ready(Some(found)) if Arc::ptr_eq(&found, interface))
    }

    fn is_none(found: &Poll<Option<Arc<Interface<'static>>>>) -> bool {
        matches!(found, Poll::Ready(None))
    }

    #[test]
    fn the_toolstacks_interfaces_keep_their_numbers_and_nics_follow() {
        let slots = Registry::<4>::new();
        slots.set_paravirtual(&[1]);
        let nic = slots.add_nic().unwrap();
        slots.scan_complete();
        let paravirtual = slots.paravirtual(1).unwrap();
        assert!(is_none(&now(&slots, 0)) && is(now(&slots, 1), &paravirtual));
        assert!(is(now(&slots, 2), &nic) && is_none(&now(&slots, 3)) && is_none(&now(&slots, 4)));
    }

    #[test]
    fn without_interfaces_of_the_toolstack_nics_are_numbered_from_0() {
        let slots = Registry::<4>::new();
        let nics = [(); 5].map(|()| slots.add_nic());
        slots.scan_complete();
        assert!(
            nics[..4].iter().enumerate().all(|(index, nic)| is(now(&slots, index), nic.as_ref().unwrap()))
        );
        assert!(nics[4].is_none(), "there cannot be so many");
    }

    #[test]
    fn an_interface_that_is_unplugged_is_away_and_the_same_when_it_comes_back() {
        let slots = Registry::<4>::new();
        slots.scan_complete();
        slots.set_paravirtual(&[0, 2]);
        let before = slots.get(2).unwrap();
        slots.set_paravirtual(&[0]);
        assert!(is_none(&now(&slots, 2)) && slots.get(2).is_some_and(|kept| Arc::ptr_eq(&kept, &before)));
        assert!(!is_none(&now(&slots, 0)));
        slots.set_paravirtual(&[2]);
        assert!(is(now(&slots, 2), &before) && is_none(&now(&slots, 0)));
    }

    #[test]
    fn a_nic_does_not_take_the_number_of_an_unplugged_interface() {
        let slots = Registry::<4>::new();
        slots.scan_complete();
        slots.set_paravirtual(&[0]);
        slots.set_paravirtual(&[]);
        let nic = slots.add_nic().unwrap();
        assert!(is(now(&slots, 1), &nic));
    }

    #[test]
    fn a_number_out_of_range_or_of_a_nic_is_not_the_toolstacks() {
        let slots = Registry::<4>::new();
        let nic = slots.add_nic().unwrap();
        slots.set_paravirtual(&[0, 3, 4, u32::MAX]);
        slots.scan_complete();
        assert!([0, 4, u32::MAX].map(|number| slots.paravirtual(number)).iter().all(Option::is_none));
        assert!(is(now(&slots, 0), &nic) && slots.paravirtual(3).is_some());
    }

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn asking_before_the_scan_waits_for_its_end() {
        let (slots, count) = (Registry::<4>::new(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let mut waits = [0, 3].map(|index| Box::pin(slots.scanned(index)));
        for wait in &mut waits {
            assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        let interface = slots.paravirtual(0).unwrap();
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        slots.scan_complete();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        let [first, last] = waits.each_mut().map(|wait| wait.as_mut().poll(&mut Context::from_waker(&waker)));
        assert!(is(first, &interface) && is_none(&last));
    }
}
