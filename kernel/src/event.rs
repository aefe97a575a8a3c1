// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event channels, for tasks: a port is an owned value, and its event is awaited.

use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::task::Poll;

use prism_arch::hypercall::Hypervisor;
use spin::Once;
use xen::error::Result;
use xen::event::{self, Bits, Port, Slot, Table};
use xen::shared::Shared;
use xen_sys::xen::{shared_info, vcpu_info};

static TABLE: Table = Table::new();
static BITS: Once<Bits> = Once::new();
static VCPU: Once<Shared<vcpu_info>> = Once::new();

/// Uses the bits in Xen's shared page from now on; every port is masked.
pub(crate) fn begin(page: Shared<shared_info>) {
    let bits = Bits::new(page);
    bits.mask_all();
    BITS.call_once(|| bits);
    if let Some(vcpu) = page.field(core::mem::offset_of!(shared_info, vcpu_info)) {
        VCPU.call_once(|| vcpu);
    }
}

/// Takes every event that has arrived, and wakes the tasks that wait for them.
pub(crate) fn take_all() {
    if let (Some(bits), Some(vcpu)) = (BITS.get(), VCPU.get()) {
        bits.take_all(*vcpu, |port| TABLE.arrived(port));
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
pub struct EventChannel {
    port: Port,
    slot: Arc<Slot>,
    close_on_drop: bool,
}

impl EventChannel {
    /// One of which both ends are `vcpu`.
    ///
    /// # Errors
    ///
    /// What Xen answers; `ENOSPC` when the domain has all the ports it may have.
    pub fn to_self(vcpu: u32) -> Result<Self> {
        event::bind_ipi(&Hypervisor, vcpu).map(|port| Self::new(port, true))
    }

    /// One on which `vcpu`'s virtual interrupt (`VIRQ_*`) arrives.
    ///
    /// # Errors
    ///
    /// What Xen answers; `EEXIST` if it is bound already.
    pub fn virtual_interrupt(virq: u32, vcpu: u32) -> Result<Self> {
        event::bind_virq(&Hypervisor, virq, vcpu).map(|port| Self::new(port, true))
    }

    /// One that domain `remote` may connect to.
    ///
    /// # Errors
    ///
    /// What Xen answers; `ENOSPC` when the domain has all the ports it may have.
    pub fn for_domain(remote: u16) -> Result<Self> {
        event::alloc_unbound(&Hypervisor, remote).map(|port| Self::new(port, true))
    }

    /// One connected to `port` of domain `remote`.
    ///
    /// # Errors
    ///
    /// What Xen answers; `EINVAL` if that port does not wait for us.
    pub fn connect(remote: u16, port: Port) -> Result<Self> {
        event::bind_interdomain(&Hypervisor, remote, port).map(|port| Self::new(port, true))
    }

    /// One that the toolstack opened for us, and that stays open.
    pub(crate) fn of_toolstack(port: Port) -> Self {
        Self::new(port, false)
    }

    fn new(port: Port, close_on_drop: bool) -> Self {
        // A closed port leaves its pending bit behind.
        if let Some(bits) = BITS.get() {
            bits.mask(port);
            bits.take_pending(port);
        }
        Self { port, slot: TABLE.open(port), close_on_drop }
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
        TABLE.close(self.port);
        if self.close_on_drop {
            // Fails only for a port that is not open: then there is nothing to close.
            let _ = event::close(&Hypervisor, self.port);
        }
    }
}
