// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tasks that wait, by port.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::{Poll, Waker};

use spin::Mutex;

use super::atomic::{AtomicBool, Mutex as SlotMutex};
use super::{Binding, FIFO_PORTS, Port};
use crate::error::{Errno, Result};

/// What is known of an open port: whether its event has arrived, and which task waits for it.
#[derive(Default)]
pub struct Slot {
    /// Changes when the domain was restored, while no task runs.
    port: AtomicU32,
    arrived: AtomicBool,
    waiter: SlotMutex<Option<Waker>>,
}

impl Slot {
    /// The port; number 0, which none has, if it is no more since the domain was restored.
    pub fn port(&self) -> Port {
        Port(self.port.load(Ordering::Relaxed))
    }

    pub(super) fn set_port(&self, port: Port) {
        self.port.store(port.0, Ordering::Relaxed);
    }

    /// Takes the event, if it has arrived.
    pub fn take(&self) -> bool {
        self.arrived.swap(false, Ordering::AcqRel)
    }

    /// Takes the event, if it has arrived; else has `waker` woken by it. One task waits for a port; a later
    /// one takes its place. `unmask` then lets the port interrupt, unless its event has arrived meanwhile:
    /// says so.
    pub fn poll(&self, waker: &Waker, unmask: impl FnOnce() -> bool) -> Poll<()> {
        if self.take() {
            return Poll::Ready(());
        }
        self.wait(waker);
        // Another vCPU may have taken it before there was somebody to be woken.
        if unmask() || self.take() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn wait(&self, waker: &Waker) {
        let mut waiter = self.waiter.lock();
        if !waiter.as_ref().is_some_and(|before| before.will_wake(waker)) {
            *waiter = Some(waker.clone());
        }
    }

    /// Notes that the event has arrived, and wakes whoever waits.
    pub(super) fn arrive(&self) {
        // Not a plain store: between two exchanges the model checker would put it before the first.
        self.arrived.swap(true, Ordering::AcqRel);
        let waiter = self.waiter.lock().take();
        if let Some(waker) = waiter {
            waker.wake();
        }
    }
}

/// The open ports of a domain.
#[derive(Default)]
pub struct Table {
    entries: Mutex<Vec<Option<Entry>>>,
}

/// An open port.
pub(super) struct Entry {
    pub(super) slot: Arc<Slot>,
    pub(super) binding: Binding,
    /// The vCPU that takes its events.
    vcpu: u32,
}

impl Entry {
    /// Its events come where its binding says.
    pub(super) fn new(slot: Arc<Slot>, binding: Binding) -> Self {
        Self { slot, binding, vcpu: binding.vcpu() }
    }

    /// Whether its events can be given to another vCPU.
    fn is_movable(&self) -> bool {
        matches!(self.binding, Binding::Toolstack | Binding::Peer)
    }
}

impl Table {
    /// A table without ports.
    pub const fn new() -> Self {
        Self { entries: Mutex::new(Vec::new()) }
    }

    /// Adds a port. Whatever was known of an earlier port of this number is forgotten.
    ///
    /// # Errors
    ///
    /// `INVAL` if there can be no such port; `NOMEM` if there is no memory for it.
    pub fn open(&self, port: Port, binding: Binding) -> Result<Arc<Slot>> {
        let slot = Arc::new(Slot::default());
        self.put(port, Entry::new(Arc::clone(&slot), binding))?;
        Ok(slot)
    }

    /// Adds a port with what is known of it. Its events come where its binding says.
    pub(super) fn put(&self, port: Port, mut entry: Entry) -> Result<()> {
        entry.vcpu = entry.binding.vcpu();
        if port.0 >= FIFO_PORTS {
            return Err(Errno::INVAL);
        }
        let index = port.0 as usize;
        let mut entries = self.entries.lock();
        // Nothing may end in a crash while the table is locked: its report may need the table.
        let more = (index + 1).saturating_sub(entries.len());
        entries.try_reserve(more).map_err(|_| Errno::NOMEM)?;
        if more != 0 {
            entries.resize_with(index + 1, || None);
        }
        entry.slot.set_port(port);
        if let Some(place) = entries.get_mut(index) {
            *place = Some(entry);
        }
        Ok(())
    }

    /// Removes all ports, and returns them.
    pub(super) fn take(&self) -> impl Iterator<Item = (Port, Entry)> + use<> {
        let entries = core::mem::take(&mut *self.entries.lock());
        let numbered = entries.into_iter().enumerate();
        numbered.filter_map(|(index, entry)| Some((Port(index as u32), entry?)))
    }

    /// Notes that the events of a port come to `vcpu`.
    pub(super) fn set_vcpu(&self, port: Port, vcpu: u32) {
        if let Some(Some(entry)) = self.entries.lock().get_mut(port.0 as usize) {
            entry.vcpu = vcpu;
        }
    }

    /// The first port from `from` on whose events come to `vcpu`, and can be given to another one.
    pub(super) fn movable(&self, vcpu: u32, from: Port) -> Option<Port> {
        let entries = self.entries.lock();
        let further = (0..).zip(entries.iter()).skip(from.0 as usize);
        let mut ports = further.filter_map(|(port, entry)| Some((Port(port), entry.as_ref()?)));
        ports.find(|(_, entry)| entry.vcpu == vcpu && entry.is_movable()).map(|(port, _)| port)
    }

    /// How many ports are of that vCPU for good.
    pub(super) fn bound_to(&self, vcpu: u32) -> usize {
        let entries = self.entries.lock();
        entries.iter().flatten().filter(|entry| entry.vcpu == vcpu && !entry.is_movable()).count()
    }

    /// Removes a port: late events of it are ignored.
    pub fn close(&self, port: Port) {
        if let Some(place) = self.entries.lock().get_mut(port.0 as usize) {
            *place = None;
        }
    }

    /// Passes an event on to whoever waits for it.
    pub fn arrived(&self, port: Port) {
        let entries = self.entries.lock();
        let entry = entries.get(port.0 as usize).and_then(Option::as_ref);
        let slot = entry.map(|entry| Arc::clone(&entry.slot));
        drop(entries);
        if let Some(slot) = slot {
            slot.arrive();
        }
    }

    /// Ports that are open.
    pub fn open_ports(&self) -> usize {
        self.entries.lock().iter().flatten().count()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn an_event_wakes_its_waiter_and_is_taken_once() {
        let table = Table::new();
        let slot = table.open(Port(3), Binding::Peer).unwrap();
        let count = Arc::new(Count::default());
        assert!(slot.poll(&Waker::from(Arc::clone(&count)), || false).is_pending());
        table.arrived(Port(3));
        table.arrived(Port(3));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(slot.take());
        assert!(!slot.take());
    }

    #[test]
    fn events_of_closed_and_unknown_ports_are_ignored() {
        let table = Table::new();
        let slot = table.open(Port(3), Binding::Peer).unwrap();
        table.close(Port(3));
        table.arrived(Port(3));
        table.arrived(Port(u32::MAX));
        assert!(!slot.take());
        assert_eq!(table.open_ports(), 0);
    }

    #[test]
    fn a_port_that_there_cannot_be_is_refused() {
        let table = Table::new();
        for port in [FIFO_PORTS, u32::MAX] {
            assert_eq!(table.open(Port(port), Binding::Peer).err(), Some(Errno::INVAL));
        }
        assert!(table.open(Port(FIFO_PORTS - 1), Binding::Peer).is_ok());
        assert_eq!(table.open_ports(), 1);
    }

    #[test]
    fn an_event_that_comes_before_its_waiter_is_kept_and_unmasks_nothing() {
        let table = Table::new();
        let slot = table.open(Port(3), Binding::Peer).unwrap();
        table.arrived(Port(3));
        assert!(slot.poll(Waker::noop(), || panic!("it is not waited for")).is_ready());
        assert!(slot.poll(Waker::noop(), || true).is_ready());
        assert!(slot.poll(Waker::noop(), || false).is_pending());
    }
}
