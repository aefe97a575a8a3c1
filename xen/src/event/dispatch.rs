// SPDX-License-Identifier: MIT OR Apache-2.0
//! Dispatch: takes events from memory, and wakes the tasks that wait for them.

use alloc::sync::Arc;
use core::mem::offset_of;
use core::task::{Poll, Waker};

use spin::Once;
use xen_sys::xen::vcpu_info;

use super::table::Entry;
use super::{Abi, Binding, Events, Port, Priority, Slot, Table, bind_vcpu};
use crate::error::{Errno, Result};
use crate::grant::Page;
use crate::hypercall::Hypercall;
use crate::shared::Shared;

/// What an event means that is pending when a port is added here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// Nothing: it was an earlier port of this number, as nobody knows of this one yet.
    Void,
    /// The other end may have raised it before, and it may have been lost: the event has arrived in any case.
    Counts,
}

/// The event channels of a domain: which task waits for which port, and which vCPU takes its events. `VCPUS`
/// is more than the highest number of a vCPU.
///
/// A port is unmasked only while it is waited for: an event that comes again and again costs no more
/// than the task that handles it.
pub struct Dispatch<const VCPUS: usize> {
    events: Once<Events>,
    waiters: Table,
    /// What Xen shares of each vCPU.
    infos: [Once<Shared<vcpu_info>>; VCPUS],
}

impl<const VCPUS: usize> Default for Dispatch<VCPUS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const VCPUS: usize> Dispatch<VCPUS> {
    /// There are no events.
    pub const fn new() -> Self {
        Self { events: Once::new(), waiters: Table::new(), infos: [const { Once::new() }; VCPUS] }
    }

    /// Uses `events` from now on.
    pub fn begin(&self, events: Events) {
        self.events.call_once(|| events);
    }

    /// Goes on in a domain that was restored, in which all ports are closed: in the same memory, with every
    /// port masked. What [can be](Binding) is bound again; `moved` tells where the toolstack has put a port
    /// of its own. All slots have an event, so that who waits looks. To be called while no task runs.
    ///
    /// # Errors
    ///
    /// As [`Events::resume`]; what [`Events::grow`] gives; and what Xen refuses to bind again, `NOSPC` where
    /// the domain may have fewer ports than before. It cannot go on then.
    pub fn resume<P: Page + Sync + 'static>(
        &self,
        hypercalls: &(impl Hypercall + ?Sized),
        moved: impl Fn(Port) -> Option<Port>,
        mut pages: impl FnMut() -> Option<P>,
    ) -> Result<()> {
        let Some(events) = self.events.get() else { return Ok(()) };
        self.infos.iter().filter_map(Once::get).for_each(mask_upcalls);
        events.resume(hypercalls)?;
        for (before, entry) in self.waiters.take() {
            let slot = Arc::clone(&entry.slot);
            match entry.binding.renew(hypercalls, before, &moved)? {
                Some(port) => self.put(hypercalls, events, port, entry, &mut pages)?,
                None => slot.set_port(Port(0)),
            }
            slot.arrive();
        }
        Ok(())
    }

    /// Puts a port that was bound again in its place.
    fn put<P: Page + Sync + 'static>(
        &self,
        hypercalls: &(impl Hypercall + ?Sized),
        events: &Events,
        port: Port,
        entry: Entry,
        pages: impl FnMut() -> Option<P>,
    ) -> Result<()> {
        events.grow(hypercalls, port, pages)?;
        events.mask(port);
        events.give(port, entry.binding.vcpu());
        self.waiters.put(port, entry)
    }

    /// How events are kept, if there are any.
    pub fn abi(&self) -> Option<Abi> {
        self.events.get().map(Events::abi)
    }

    /// Has a vCPU take events; `info` is its structure. Until it [takes them](Self::take_all) they do not
    /// interrupt it.
    ///
    /// # Errors
    ///
    /// `NOENT` if Xen does not deliver events to it.
    pub fn add_vcpu(&self, vcpu: u32, info: Shared<vcpu_info>) -> Result<()> {
        self.events.get().filter(|events| events.reach(vcpu)).ok_or(Errno::NOENT)?;
        mask_upcalls(&info);
        self.infos.get(vcpu as usize).ok_or(Errno::NOENT)?.call_once(|| info);
        Ok(())
    }

    /// Takes every event that has arrived at `vcpu`, which calls, and wakes the tasks that wait for them; how
    /// many there were. Each port's is taken once, or twice if it is raised again meanwhile: it ends.
    pub fn take_all(&self, vcpu: u32) -> u64 {
        let mut count = 0;
        if let (Some(events), Some(info)) = (self.events.get(), self.info(vcpu)) {
            events.take_all(vcpu, *info, |port| {
                count += 1;
                self.waiters.arrived(port);
            });
        }
        count
    }

    /// Takes the event of `port` out of turn, for a wait outside of tasks; a task that waits for it is told.
    pub fn take_one(&self, port: Port) -> bool {
        let arrived = self.take_quietly(port);
        if arrived {
            self.waiters.arrived(port);
        }
        arrived
    }

    /// The same, but takes no lock and wakes no task: whoever waits for the port misses an event.
    pub fn take_quietly(&self, port: Port) -> bool {
        self.events.get().is_some_and(|events| events.take_pending(port))
    }

    /// Ports that are waited for here.
    pub fn open_ports(&self) -> usize {
        self.waiters.open_ports()
    }

    /// Adds a port that was just bound, masked; memory for it is from `pages`.
    ///
    /// # Errors
    ///
    /// What [`Table::open`] and [`Events::grow`] give; the port is not here then.
    pub fn add<P: Page + Sync + 'static>(
        &self,
        hypercalls: &(impl Hypercall + ?Sized),
        port: Port,
        binding: Binding,
        earlier: Earlier,
        pages: impl FnMut() -> Option<P>,
    ) -> Result<Arc<Slot>> {
        let slot = self.waiters.open(port, binding)?;
        if let Some(events) = self.events.get() {
            events.grow(hypercalls, port, pages).inspect_err(|_| self.remove(port))?;
            events.mask(port);
            events.give(port, binding.vcpu());
        }
        match earlier {
            Earlier::Void => {
                self.take_quietly(port);
            }
            Earlier::Counts => self.waiters.arrived(port),
        }
        Ok(slot)
    }

    /// Removes a port: late events of it are ignored, and interrupt nobody.
    pub fn remove(&self, port: Port) {
        if let Some(events) = self.events.get() {
            events.mask(port);
        }
        self.waiters.close(port);
    }

    /// Has `vcpu` take the events of a port from now on, for which nobody waits.
    ///
    /// # Errors
    ///
    /// What [`bind_vcpu`] gives; `NOENT` if that vCPU takes no events. They then come where they came before.
    pub fn deliver(&self, hypercalls: &(impl Hypercall + ?Sized), port: Port, vcpu: u32) -> Result<()> {
        // As nobody waits, the port is masked, and looked at when it is waited for again.
        self.info(vcpu).ok_or(Errno::NOENT)?;
        bind_vcpu(hypercalls, port, vcpu)?;
        if let Some(events) = self.events.get() {
            events.give(port, vcpu);
        }
        self.waiters.set_vcpu(port, vcpu);
        Ok(())
    }

    /// Has vCPU `to` take all events that came to vCPU `from`, which calls this before it stops. Who waits
    /// for them looks again, as one may have come meanwhile. What is bound to `from` [for
    /// good](Self::bound_to) stays.
    pub fn move_away(&self, hypercalls: &(impl Hypercall + ?Sized), from: u32, to: u32) {
        let mut next = Port(0);
        while let Some(port) = self.waiters.movable(from, next) {
            next = Port(port.0 + 1);
            if let Some(events) = self.events.get() {
                events.mask(port);
            }
            // One that cannot be moved has just been closed.
            let _ = self.deliver(hypercalls, port, to);
            self.waiters.arrived(port);
        }
        // What Xen has put into this vCPU's queues before.
        self.take_all(from);
    }

    /// How many ports are bound to that vCPU for good: its virtual interrupts, and channels to itself.
    pub fn bound_to(&self, vcpu: u32) -> usize {
        self.waiters.bound_to(vcpu)
    }

    /// Waits for the event of `port`, whose slot is `slot`: unmasks the port, and has the task of `waker`
    /// woken by the event, unless it has arrived. Several that arrive before they are waited for are one.
    pub fn poll(
        &self,
        hypercalls: &(impl Hypercall + ?Sized),
        port: Port,
        slot: &Slot,
        waker: &Waker,
    ) -> Poll<()> {
        slot.poll(waker, || self.events.get().is_some_and(|events| events.unmask_or_take(hypercalls, port)))
    }

    /// Takes the event if it has arrived, and leaves the port unmasked: the next one ends a sleep.
    pub fn take_and_unmask(&self, hypercalls: &(impl Hypercall + ?Sized), port: Port, slot: &Slot) -> bool {
        let arrived = slot.take();
        self.events.get().is_some_and(|events| events.unmask_and_take(hypercalls, port)) || arrived
    }

    /// Has the events of a port taken before or after those of others.
    ///
    /// # Errors
    ///
    /// As [`Events::set_priority`]; `NOSYS` where there are no events.
    pub fn set_priority(
        &self,
        hypercalls: &(impl Hypercall + ?Sized),
        port: Port,
        priority: Priority,
    ) -> Result<()> {
        self.events.get().ok_or(Errno::NOSYS)?.set_priority(hypercalls, port, priority)
    }

    fn info(&self, vcpu: u32) -> Option<&Shared<vcpu_info>> {
        self.infos.get(vcpu as usize)?.get()
    }
}

/// Keeps events from interrupting a vCPU.
fn mask_upcalls(info: &Shared<vcpu_info>) {
    if let Some(mask) = info.field::<u8>(offset_of!(vcpu_info, evtchn_upcall_mask)) {
        mask.write(1);
    }
}
