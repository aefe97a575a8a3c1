// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event channels, for tasks: a port is an owned value, and its event is awaited.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::task::Poll;

use prism_arch::hypercall::Hypervisor;
use prism_arch::vcpu;
use spin::Once;
use xen::error::{Errno, Result};
use xen::event::{self, Bits, Port, Ports, Slot, Table};
use xen::shared::Shared;
use xen_sys::xen::{shared_info, vcpu_info};

static TABLE: Table = Table::new();
static BITS: Once<Bits> = Once::new();
static INBOXES: [Once<Box<Inbox>>; vcpu::MOST] = [const { Once::new() }; vcpu::MOST];

/// Where a vCPU finds its events.
struct Inbox {
    info: Shared<vcpu_info>,
    ports: Ports,
}

impl Inbox {
    fn of(number: u32) -> Option<&'static Self> {
        INBOXES.get(number as usize)?.get().map(Box::as_ref)
    }
}

/// Uses the bits in Xen's shared page from now on; every port is masked.
pub(crate) fn begin(page: Shared<shared_info>) {
    let bits = Bits::new(page);
    bits.mask_all();
    BITS.call_once(|| bits);
}

/// Has vCPU `number` take events; `info` is its structure. Until it [takes them](take_all) they do
/// not interrupt it.
pub(crate) fn add_vcpu(number: u32, info: Shared<vcpu_info>) {
    if let Some(mask) = info.field::<u8>(core::mem::offset_of!(vcpu_info, evtchn_upcall_mask)) {
        mask.write(1);
    }
    if let Some(inbox) = INBOXES.get(number as usize) {
        inbox.call_once(|| Box::new(Inbox { info, ports: Ports::none() }));
    }
}

/// Takes every event that has arrived at the vCPU that calls, and wakes the tasks that wait for them.
pub(crate) fn take_all() {
    if let (Some(bits), Some(inbox)) = (BITS.get(), Inbox::of(vcpu::number())) {
        bits.take_all(inbox.info, &inbox.ports, |port| TABLE.arrived(port));
    }
}

/// Takes the event of `port` out of turn, for a wait outside the executor; whoever waits for it
/// inside is told.
pub(crate) fn take_one(port: Port) -> bool {
    let arrived = BITS.get().is_some_and(|bits| bits.take_pending(port));
    if arrived {
        TABLE.arrived(port);
    }
    arrived
}

/// Ports that are open now: a figure for tests of leaks.
pub fn open_ports() -> usize {
    TABLE.open_ports()
}

/// An event channel that is ours: closed when dropped.
///
/// Its events are taken by the vCPU that it is delivered to, the first one unless something else is
/// said, and wake the task that waits wherever that runs.
pub struct EventChannel {
    port: Port,
    slot: Arc<Slot>,
    vcpu: u32,
    close_on_drop: bool,
}

impl EventChannel {
    /// One of which both ends are `vcpu`.
    ///
    /// # Errors
    ///
    /// What Xen answers; `ENOSPC` when the domain has all the ports it may have.
    pub fn to_self(vcpu: u32) -> Result<Self> {
        event::bind_ipi(&Hypervisor, vcpu).map(|port| Self::new(port, vcpu, true))
    }

    /// One on which `vcpu`'s virtual interrupt (`VIRQ_*`) arrives.
    ///
    /// # Errors
    ///
    /// What Xen answers; `EEXIST` if it is bound already.
    pub fn virtual_interrupt(virq: u32, vcpu: u32) -> Result<Self> {
        event::bind_virq(&Hypervisor, virq, vcpu).map(|port| Self::new(port, vcpu, true))
    }

    /// One that domain `remote` may connect to.
    ///
    /// # Errors
    ///
    /// What Xen answers; `ENOSPC` when the domain has all the ports it may have.
    pub fn for_domain(remote: u16) -> Result<Self> {
        event::alloc_unbound(&Hypervisor, remote).map(|port| Self::new(port, 0, true))
    }

    /// One connected to `port` of domain `remote`.
    ///
    /// # Errors
    ///
    /// What Xen answers; `EINVAL` if that port does not wait for us.
    pub fn connect(remote: u16, port: Port) -> Result<Self> {
        event::bind_interdomain(&Hypervisor, remote, port).map(|port| Self::new(port, 0, true))
    }

    /// One that the toolstack opened for us, and that stays open.
    pub(crate) fn of_toolstack(port: Port) -> Self {
        Self::new(port, 0, false)
    }

    fn new(port: Port, vcpu: u32, close_on_drop: bool) -> Self {
        // A closed port leaves its pending bit behind.
        if let Some(bits) = BITS.get() {
            bits.mask(port);
            bits.take_pending(port);
        }
        let slot = TABLE.open(port);
        if let Some(inbox) = Inbox::of(vcpu) {
            inbox.ports.add(port);
        }
        Self { port, slot, vcpu, close_on_drop }
    }

    /// Has vCPU `vcpu` take the events from now on: the one on which the task runs that waits for
    /// them, so that no other has to be interrupted for it.
    ///
    /// # Errors
    ///
    /// What Xen answers; `EINVAL` for virtual interrupts of a vCPU and for channels [to
    /// itself](Self::to_self), which stay where they are. The events then come where they came before.
    pub fn deliver_to(&mut self, vcpu: u32) -> Result<()> {
        // Nobody waits, as this is the only reference: the port is masked, and looked at when it is
        // waited for again.
        let Some(inbox) = Inbox::of(vcpu) else { return Err(Errno::NOENT) };
        event::bind_vcpu(&Hypervisor, self.port, vcpu)?;
        if let Some(before) = Inbox::of(self.vcpu) {
            before.ports.remove(self.port);
        }
        inbox.ports.add(self.port);
        self.vcpu = vcpu;
        Ok(())
    }

    /// The port's number.
    pub fn port(&self) -> Port {
        self.port
    }

    /// Raises an event at the other end.
    ///
    /// # Errors
    ///
    /// What Xen answers; `EINVAL` if nobody is connected.
    pub fn notify(&self) -> Result<()> {
        event::send(&Hypervisor, self.port)
    }

    /// Waits for the event. Several that arrive before they are waited for are one. One task waits
    /// for a channel at a time.
    ///
    /// The port is open (unmasked) only while it is waited for: an event that comes again and again
    /// costs no more than the task that handles it.
    pub fn wait(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|context| {
            if self.slot.take() {
                return Poll::Ready(());
            }
            self.slot.wait(context.waker());
            if self.open_and_look() || self.slot.take() { Poll::Ready(()) } else { Poll::Pending }
        })
    }

    /// Opens the port, and takes the event if it had arrived before.
    fn open_and_look(&self) -> bool {
        let Some(bits) = BITS.get() else { return false };
        bits.unmask(self.port);
        let arrived = bits.take_pending(self.port);
        if arrived {
            bits.mask(self.port);
        }
        arrived
    }

    /// Takes the event if it has arrived, and leaves the port open: the next one ends a sleep.
    pub(crate) fn take_and_open(&self) -> bool {
        let arrived = self.slot.take();
        let Some(bits) = BITS.get() else { return arrived };
        bits.unmask(self.port);
        bits.take_pending(self.port) || arrived
    }
}

impl Drop for EventChannel {
    fn drop(&mut self) {
        if let Some(bits) = BITS.get() {
            bits.mask(self.port);
        }
        if let Some(inbox) = Inbox::of(self.vcpu) {
            inbox.ports.remove(self.port);
        }
        TABLE.close(self.port);
        if self.close_on_drop {
            // Fails only for a port that is not open: then there is nothing to close.
            let _ = event::close(&Hypervisor, self.port);
        }
    }
}
