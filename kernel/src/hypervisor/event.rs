// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event channels for tasks. An [`EventChannel`] owns its port; a task awaits its event.

use alloc::sync::Arc;
use core::future::poll_fn;
use core::time::Duration;

use embassy_time::{Instant, Timer};
use prism_arch::hypercall::Hypervisor;
use prism_arch::{cpu, vcpu};
use spin::Mutex;
use xen::DomainId;
use xen::error::Result;
use xen::event::{self, Abi, Binding, Dispatch, Earlier, Events, LateEoi, Port, Slot};
use xen::sched;
use xen::shared::Shared;
use xen_sys::xen::{shared_info, vcpu_info};

use crate::hypervisor::grant::OwnPage;
use crate::time;

static DISPATCH: Dispatch<{ vcpu::MOST }> = Dispatch::new();

/// Starts events for a domain of `vcpus`, with every port masked: by the FIFO ABI if `wanted` and offered,
/// else by the 2-level ABI in Xen's shared page.
pub(crate) fn init(page: Shared<shared_info>, vcpus: u32, wanted: Abi) {
    let fifo = match wanted {
        Abi::Fifo => Events::fifo(&Hypervisor, vcpus, OwnPage::new)
            .inspect_err(|errno| log::debug!("events: FIFO ABI refused ({errno}), using the 2-level ABI"))
            .ok(),
        Abi::TwoLevel => None,
    };
    DISPATCH.begin(fifo.unwrap_or_else(|| Events::two_level(page, vcpus)));
}

/// Goes on in the domain that this one was restored into: see [`Dispatch::resume`]. To be called while all
/// other vCPUs wait.
pub(crate) fn resume(moved: impl Fn(Port) -> Option<Port>) -> Result<()> {
    DISPATCH.resume(&Hypervisor, moved, OwnPage::new)
}

/// The ABI in use; `None` without events.
pub fn abi() -> Option<Abi> {
    DISPATCH.abi()
}

/// Has vCPU `number` take events; `info` is its `vcpu_info`. Events do not interrupt it until it [takes
/// them](take_all).
///
/// # Errors
///
/// `NOENT` if Xen does not deliver events to it.
pub(crate) fn add_vcpu(number: u32, info: Shared<vcpu_info>) -> Result<()> {
    DISPATCH.add_vcpu(number, info)
}

/// Takes every pending event of the calling vCPU, and wakes the tasks that wait for them. Returns how many
/// there were. A port is taken once, or twice if it is raised again meanwhile, so that this always ends.
pub(crate) fn take_all() -> u64 {
    DISPATCH.take_all(vcpu::number())
}

/// Has the boot vCPU take the events of vCPU `number`, which calls this before it stops.
pub(crate) fn move_away(number: u32) {
    DISPATCH.move_away(&Hypervisor, number, 0);
}

/// How many ports are bound to vCPU `number` for good: its virtual interrupts, and channels to itself.
pub(crate) fn bound_to(number: u32) -> usize {
    DISPATCH.bound_to(number)
}

/// Takes the event of `port` out of turn, for a wait outside of the executor. Tasks that wait for it are
/// woken.
pub(crate) fn take_one(port: Port) -> bool {
    DISPATCH.take_one(port)
}

/// Waits up to `limit` for an event of `port`, outside of the executor.
pub(crate) fn poll_port(port: Port, limit: Duration) {
    // Events that are pending and unmasked would end every sleep at once.
    take_all();
    if !take_one(port) {
        sched_poll(port, limit);
    }
}

/// The same for the console, which may have to wait in a crash report: takes no lock and wakes no task. A
/// task that waits for the port may miss an event.
pub(crate) fn poll_port_quietly(port: Port, limit: Duration) {
    if !DISPATCH.take_quietly(port) {
        sched_poll(port, limit);
    }
}

/// Sleeps until the event of `port`, but not longer than `limit`. Where Xen refuses, yields once.
fn sched_poll(port: Port, limit: Duration) {
    let slept = time::xen_deadline(limit.as_nanos() as u64)
        .is_some_and(|deadline| sched::poll(&Hypervisor, port.0, deadline).is_ok());
    if !slept && sched::yield_now(&Hypervisor).is_err() {
        cpu::relax();
    }
}

/// Number of open ports. For leak tests.
pub fn open_ports() -> usize {
    DISPATCH.open_ports()
}

/// An event channel. Dropping it closes it.
///
/// One vCPU takes its events: vCPU 0, unless [`deliver_to`](Self::deliver_to) names another one. The task
/// that waits may run on any vCPU.
///
/// When the domain is saved and restored, channels to itself and virtual interrupts go on, with other ports.
/// A channel to another domain is gone: its [`port`](Self::port) is 0, who waits is woken once, and
/// [`notify`](Self::notify) fails.
pub struct EventChannel {
    slot: Arc<Slot>,
    late_eoi: Mutex<LateEoi>,
    close_on_drop: bool,
}

impl EventChannel {
    /// Opens a channel whose two ends are both `vcpu` (an IPI).
    ///
    /// # Errors
    ///
    /// What Xen answers; `ENOSPC` when the domain has all the ports it may have.
    pub fn to_self(vcpu: u32) -> Result<Self> {
        Self::quiet(event::bind_ipi(&Hypervisor, vcpu)?, Binding::Ipi { vcpu })
    }

    /// Opens the channel of `vcpu`'s virtual interrupt `virq` (`VIRQ_*`).
    ///
    /// # Errors
    ///
    /// What Xen answers; `EEXIST` if it is bound already.
    pub fn virtual_interrupt(virq: u32, vcpu: u32) -> Result<Self> {
        Self::quiet(event::bind_virq(&Hypervisor, virq, vcpu)?, Binding::Virq { virq, vcpu })
    }

    /// Opens a channel that domain `remote` may connect to.
    ///
    /// # Errors
    ///
    /// What Xen answers; `ENOSPC` when the domain has all the ports it may have.
    pub fn for_domain(remote: DomainId) -> Result<Self> {
        Self::quiet(event::alloc_unbound(&Hypervisor, remote)?, Binding::Peer)
    }

    /// Connects to `port` of domain `remote`. The first [`wait`](Self::wait) returns at once, for what the
    /// other end raised before.
    ///
    /// # Errors
    ///
    /// What Xen answers; `EINVAL` if that port does not wait for us.
    pub fn connect(remote: DomainId, port: Port) -> Result<Self> {
        // Xen sets it pending; QEMU's emulation doesn't.
        Self::bound(event::bind_interdomain(&Hypervisor, remote, port)?, Binding::Peer, Earlier::Counts)
    }

    /// A channel that the toolstack opened, and that is never closed. The first [`wait`](Self::wait) returns
    /// at once: events from before the kernel ran may be lost.
    pub(crate) fn of_toolstack(port: Port) -> Result<Self> {
        Self::new(port, Binding::Toolstack, Earlier::Counts, false)
    }

    /// A new channel that no one can have raised yet: a pending event would be of an earlier channel with
    /// this port.
    fn quiet(port: Port, binding: Binding) -> Result<Self> {
        Self::bound(port, binding, Earlier::Void)
    }

    /// A channel that was just bound.
    fn bound(port: Port, binding: Binding, earlier: Earlier) -> Result<Self> {
        Self::new(port, binding, earlier, true).inspect_err(|_| close(port))
    }

    fn new(port: Port, binding: Binding, earlier: Earlier, close_on_drop: bool) -> Result<Self> {
        let slot = DISPATCH.add(&Hypervisor, port, binding, earlier, OwnPage::new)?;
        Ok(Self { slot, late_eoi: Mutex::default(), close_on_drop })
    }

    /// Delivers events to `vcpu` from now on. Best is the vCPU of the task that waits for them: then no other
    /// vCPU is interrupted.
    ///
    /// # Errors
    ///
    /// What Xen answers; `EINVAL` for virtual interrupts of a vCPU and for channels [to
    /// itself](Self::to_self), which stay where they are; `ENOENT` if that vCPU takes no events. The
    /// events then come where they came before.
    pub fn deliver_to(&mut self, vcpu: u32) -> Result<()> {
        // No task waits, as this is the only reference.
        DISPATCH.deliver(&Hypervisor, self.port(), vcpu)
    }

    /// The port's number. It changes when the domain is restored.
    pub fn port(&self) -> Port {
        self.slot.port()
    }

    /// Raises an event at the other end.
    ///
    /// # Errors
    ///
    /// What Xen answers; `EINVAL` if nobody is connected.
    pub fn notify(&self) -> Result<()> {
        event::send(&Hypervisor, self.port())
    }

    /// Waits for an event. Events that arrive before the wait count as one. Only one task may wait for a
    /// channel at a time.
    ///
    /// The port is unmasked only during the wait: a peer that raises events without end costs no more than
    /// the task that handles them. [`found_nothing`](Self::found_nothing) makes that less.
    pub async fn wait(&self) {
        self.moderate().await;
        poll_fn(|context| DISPATCH.poll(&Hypervisor, self.port(), &self.slot, context.waker())).await;
    }

    /// Call this after an event that brought work.
    pub fn found_work(&self) {
        self.late_eoi.lock().found_work();
    }

    /// Call this after an event that brought none. After many such in a row, [`wait`](Self::wait) unmasks the
    /// port later and later, by up to 128 ms. No event is lost.
    pub fn found_nothing(&self) {
        self.late_eoi.lock().found_nothing(time::nanoseconds());
    }

    /// Waits until the port may be unmasked.
    async fn moderate(&self) {
        let unmask_at = self.late_eoi.lock().unmask_at();
        if let Some(at) = unmask_at {
            Timer::at(Instant::from_nanos(at)).await;
            self.late_eoi.lock().waited();
        }
    }

    /// Takes a pending event, and leaves the port unmasked: the next one ends a sleep.
    pub(crate) fn take_and_unmask(&self) -> bool {
        DISPATCH.take_and_unmask(&Hypervisor, self.port(), &self.slot)
    }

    /// Sets the priority of this channel's events.
    ///
    /// # Errors
    ///
    /// `NOSYS` where events have no priorities: in the 2-level ABI.
    pub fn set_priority(&self, priority: event::Priority) -> Result<()> {
        DISPATCH.set_priority(&Hypervisor, self.port(), priority)
    }
}

impl Drop for EventChannel {
    fn drop(&mut self) {
        DISPATCH.remove(self.port());
        // Port 0 is that of a channel which the domain left behind.
        if self.close_on_drop && self.port() != Port(0) {
            close(self.port());
        }
    }
}

fn close(port: Port) {
    // Fails only for a port that is not open: then there is nothing to close.
    let _ = event::close(&Hypervisor, port);
}
