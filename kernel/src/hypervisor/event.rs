// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event channels, for tasks: a port is an owned value, and its event is awaited.

use alloc::sync::Arc;
use core::future::poll_fn;

use embassy_time::{Instant, Timer};
use prism_arch::hypercall::Hypervisor;
use prism_arch::{cpu, vcpu};
use spin::Mutex;
use xen::DomainId;
use xen::error::Result;
use xen::event::{self, Abi, Dispatch, Earlier, Events, Pace, Port, Slot};
use xen::sched;
use xen::shared::Shared;
use xen_sys::xen::{shared_info, vcpu_info};

use crate::hypervisor::grant::OwnPage;
use crate::time;

static DISPATCH: Dispatch<{ vcpu::MOST }> = Dispatch::new();

/// Uses events from now on, in Xen's shared page or, if `wanted` and Xen agrees, in pages of ours;
/// every port is masked. The domain has so many `vcpus`.
pub(crate) fn init(page: Shared<shared_info>, vcpus: u32, wanted: Abi) {
    let fifo = match wanted {
        Abi::Fifo => Events::fifo(&Hypervisor, vcpus, OwnPage::new)
            .inspect_err(|errno| log::debug!("events: FIFO ABI refused ({errno}), using the 2-level ABI"))
            .ok(),
        Abi::TwoLevel => None,
    };
    DISPATCH.begin(fifo.unwrap_or_else(|| Events::two_level(page, vcpus)));
}

/// How events are kept, if there are any.
pub fn abi() -> Option<Abi> {
    DISPATCH.abi()
}

/// Has vCPU `number` take events; `info` is its structure. Until it [takes them](take_all) they do
/// not interrupt it.
///
/// # Errors
///
/// `NOENT` if Xen does not deliver events to it.
pub(crate) fn add_vcpu(number: u32, info: Shared<vcpu_info>) -> Result<()> {
    DISPATCH.add_vcpu(number, info)
}

/// Takes every event that has arrived at the vCPU that calls, and wakes the tasks that wait for them; how
/// many there were. Each port's is taken once, or twice if it is raised again meanwhile: it ends.
pub(crate) fn take_all() -> u64 {
    DISPATCH.take_all(vcpu::number())
}

/// Takes the event of `port` out of turn, for a wait outside the executor; whoever waits for it
/// inside is told.
pub(crate) fn take_one(port: Port) -> bool {
    DISPATCH.take_one(port)
}

/// Gives the other side of `port` some time, up to `nanoseconds`: for waits outside the executor.
pub(crate) fn poll_port(port: Port, nanoseconds: u64) {
    // What is pending and not masked would end the sleep at once, again and again.
    take_all();
    if !take_one(port) {
        sched_poll(port, nanoseconds);
    }
}

/// The same for the console, which may be waited for while the kernel reports its own crash: takes no lock
/// and wakes no task. Whoever waits for the port inside the executor may miss an event.
pub(crate) fn poll_port_quietly(port: Port, nanoseconds: u64) {
    if !DISPATCH.take_quietly(port) {
        sched_poll(port, nanoseconds);
    }
}

/// Sleeps until the event of `port`, or as long; where that cannot be, gives way once.
fn sched_poll(port: Port, nanoseconds: u64) {
    let slept = time::xen_deadline(nanoseconds)
        .is_some_and(|deadline| sched::poll(&Hypervisor, port.0, deadline).is_ok());
    if !slept && sched::yield_now(&Hypervisor).is_err() {
        cpu::relax();
    }
}

/// Ports that are open now: a figure for tests of leaks.
pub fn open_ports() -> usize {
    DISPATCH.open_ports()
}

/// An event channel that is ours: closed when dropped.
///
/// Its events are taken by the vCPU that it is delivered to, the first one unless something else is
/// said, and wake the task that waits wherever that runs.
pub struct EventChannel {
    port: Port,
    slot: Arc<Slot>,
    pace: Mutex<Pace>,
    close_on_drop: bool,
}

impl EventChannel {
    /// One of which both ends are `vcpu`.
    ///
    /// # Errors
    ///
    /// What Xen answers; `ENOSPC` when the domain has all the ports it may have.
    pub fn to_self(vcpu: u32) -> Result<Self> {
        Self::quiet(event::bind_ipi(&Hypervisor, vcpu)?, vcpu)
    }

    /// One on which `vcpu`'s virtual interrupt (`VIRQ_*`) arrives.
    ///
    /// # Errors
    ///
    /// What Xen answers; `EEXIST` if it is bound already.
    pub fn virtual_interrupt(virq: u32, vcpu: u32) -> Result<Self> {
        Self::quiet(event::bind_virq(&Hypervisor, virq, vcpu)?, vcpu)
    }

    /// One that domain `remote` may connect to.
    ///
    /// # Errors
    ///
    /// What Xen answers; `ENOSPC` when the domain has all the ports it may have.
    pub fn for_domain(remote: DomainId) -> Result<Self> {
        Self::quiet(event::alloc_unbound(&Hypervisor, remote)?, 0)
    }

    /// One connected to `port` of domain `remote`. Its event has arrived at once, for what the
    /// other end raised before.
    ///
    /// # Errors
    ///
    /// What Xen answers; `EINVAL` if that port does not wait for us.
    pub fn connect(remote: DomainId, port: Port) -> Result<Self> {
        // Xen sets it pending; QEMU's emulation doesn't.
        Self::bound(event::bind_interdomain(&Hypervisor, remote, port)?, 0, Earlier::Counts)
    }

    /// One that the toolstack opened for us, and that stays open. Its event has arrived at once:
    /// what was raised before the kernel ran may have been lost.
    pub(crate) fn of_toolstack(port: Port) -> Result<Self> {
        Self::new(port, 0, Earlier::Counts, false)
    }

    /// One of which nobody knows yet: what is pending is of an earlier port of this number.
    fn quiet(port: Port, vcpu: u32) -> Result<Self> {
        Self::bound(port, vcpu, Earlier::Void)
    }

    /// One that was just bound.
    fn bound(port: Port, vcpu: u32, earlier: Earlier) -> Result<Self> {
        Self::new(port, vcpu, earlier, true).inspect_err(|_| close(port))
    }

    fn new(port: Port, vcpu: u32, earlier: Earlier, close_on_drop: bool) -> Result<Self> {
        let slot = DISPATCH.add(&Hypervisor, port, vcpu, earlier, OwnPage::new)?;
        Ok(Self { port, slot, pace: Mutex::default(), close_on_drop })
    }

    /// Has vCPU `vcpu` take the events from now on: the one on which the task runs that waits for
    /// them, so that no other has to be interrupted for it.
    ///
    /// # Errors
    ///
    /// What Xen answers; `EINVAL` for virtual interrupts of a vCPU and for channels [to
    /// itself](Self::to_self), which stay where they are; `ENOENT` if that vCPU takes no events. The
    /// events then come where they came before.
    pub fn deliver_to(&mut self, vcpu: u32) -> Result<()> {
        // Nobody waits, as this is the only reference.
        DISPATCH.deliver(&Hypervisor, self.port, vcpu)
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
    /// costs no more than the task that handles it. [`found_nothing`](Self::found_nothing) makes
    /// that less.
    pub async fn wait(&self) {
        self.moderate().await;
        poll_fn(|context| DISPATCH.poll(&Hypervisor, self.port, &self.slot, context.waker())).await;
    }

    /// To be told after an event that came with work.
    pub fn found_work(&self) {
        self.pace.lock().found_work();
    }

    /// To be told after an event that came without: when there are many in a row, the next
    /// [`wait`](Self::wait) opens the port later and later, after 128 ms at most. Nothing is lost.
    pub fn found_nothing(&self) {
        self.pace.lock().found_nothing(time::nanoseconds());
    }

    /// Waits until the port may be opened.
    async fn moderate(&self) {
        let open_at = self.pace.lock().open_at();
        if let Some(at) = open_at {
            Timer::at(Instant::from_nanos(at)).await;
            self.pace.lock().waited();
        }
    }

    /// Takes the event if it has arrived, and leaves the port open: the next one ends a sleep.
    pub(crate) fn take_and_open(&self) -> bool {
        DISPATCH.take_and_open(&Hypervisor, self.port, &self.slot)
    }

    /// Has the events of this channel taken before or after those of others.
    ///
    /// # Errors
    ///
    /// `NOSYS` where events have no priorities: in the 2-level ABI.
    pub fn set_priority(&self, priority: event::Priority) -> Result<()> {
        DISPATCH.set_priority(&Hypervisor, self.port, priority)
    }
}

impl Drop for EventChannel {
    fn drop(&mut self) {
        DISPATCH.remove(self.port);
        if self.close_on_drop {
            close(self.port);
        }
    }
}

fn close(port: Port) {
    // Fails only for a port that is not open: then there is nothing to close.
    let _ = event::close(&Hypervisor, port);
}
