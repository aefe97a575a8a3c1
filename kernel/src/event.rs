// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event channels, for tasks: a port is an owned value, and its event is awaited.

use alloc::sync::Arc;
use core::future::poll_fn;
use core::mem::offset_of;
use core::task::Poll;

use embassy_time::{Instant, Timer};
use prism_arch::hypercall::Hypervisor;
use prism_arch::{cpu, vcpu};
use spin::{Mutex, Once};
use xen::DomainId;
use xen::error::{Errno, Result};
use xen::event::{self, Abi, Backoff, Events, Port, Slot, Table};
use xen::sched;
use xen::shared::Shared;
use xen_sys::xen::{shared_info, vcpu_info};

use crate::grant::OwnPage;
use crate::time;

static TABLE: Table = Table::new();
static EVENTS: Once<Events> = Once::new();
/// What Xen shares of each vCPU.
static INFOS: [Once<Shared<vcpu_info>>; vcpu::MOST] = [const { Once::new() }; vcpu::MOST];

/// Uses events from now on, in Xen's shared page or, if `wanted` and Xen agrees, in pages of ours;
/// every port is masked. The domain has so many `vcpus`.
pub(crate) fn begin(page: Shared<shared_info>, vcpus: u32, wanted: Abi) {
    let fifo = match wanted {
        Abi::Fifo => Events::fifo(&Hypervisor, vcpus, OwnPage::new)
            .inspect_err(|errno| log::debug!("events: no FIFO ABI ({errno})"))
            .ok(),
        Abi::TwoLevel => None,
    };
    EVENTS.call_once(|| fifo.unwrap_or_else(|| Events::two_level(page, vcpus)));
}

/// How events are kept, if there are any.
pub fn abi() -> Option<Abi> {
    EVENTS.get().map(Events::abi)
}

/// Has vCPU `number` take events; `info` is its structure. Until it [takes them](take_all) they do
/// not interrupt it.
///
/// # Errors
///
/// `NOENT` if Xen does not deliver events to it.
pub(crate) fn add_vcpu(number: u32, info: Shared<vcpu_info>) -> Result<()> {
    EVENTS.get().filter(|events| events.reach(number)).ok_or(Errno::NOENT)?;
    if let Some(mask) = info.field::<u8>(offset_of!(vcpu_info, evtchn_upcall_mask)) {
        mask.write(1);
    }
    INFOS.get(number as usize).ok_or(Errno::NOENT)?.call_once(|| info);
    Ok(())
}

/// Takes every event that has arrived at the vCPU that calls, and wakes the tasks that wait for them; how
/// many there were. Each port's is taken once, or twice if it is raised again meanwhile: it ends.
pub(crate) fn take_all() -> u64 {
    let vcpu = vcpu::number();
    let mut count = 0;
    if let (Some(events), Some(info)) = (EVENTS.get(), INFOS.get(vcpu as usize).and_then(Once::get)) {
        events.take_all(vcpu, *info, |port| {
            count += 1;
            TABLE.arrived(port);
        });
    }
    count
}

/// Takes the event of `port` out of turn, for a wait outside the executor; whoever waits for it
/// inside is told.
pub(crate) fn take_one(port: Port) -> bool {
    let arrived = EVENTS.get().is_some_and(|events| events.take_pending(port));
    if arrived {
        TABLE.arrived(port);
    }
    arrived
}

/// Gives the other side of `port` some time, up to `nanoseconds`: for waits outside the executor.
pub(crate) fn nap(port: Port, nanoseconds: u64) {
    // What is pending and not masked would end the sleep at once, again and again.
    take_all();
    if !take_one(port) {
        poll(port, nanoseconds);
    }
}

/// The same for the console, which may be waited for while the kernel reports its own crash: takes no lock
/// and wakes no task. Whoever waits for the port inside the executor may miss an event.
pub(crate) fn nap_quietly(port: Port, nanoseconds: u64) {
    if !EVENTS.get().is_some_and(|events| events.take_pending(port)) {
        poll(port, nanoseconds);
    }
}

/// Sleeps until the event of `port`, or as long; where that cannot be, gives way once.
fn poll(port: Port, nanoseconds: u64) {
    let slept = time::xen_deadline(nanoseconds)
        .is_some_and(|deadline| sched::poll(&Hypervisor, port.0, deadline).is_ok());
    if !slept && sched::yield_now(&Hypervisor).is_err() {
        cpu::relax();
    }
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
    pace: Mutex<Pace>,
    close_on_drop: bool,
}

/// When a port is opened again.
#[derive(Default)]
struct Pace {
    backoff: Backoff,
    /// Not before this time.
    open_at: Option<Instant>,
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
        let channel = Self::new(event::bind_interdomain(&Hypervisor, remote, port)?, 0, true)?;
        // Xen sets it pending; QEMU's emulation doesn't.
        TABLE.arrived(channel.port);
        Ok(channel)
    }

    /// One that the toolstack opened for us, and that stays open. Its event has arrived at once:
    /// what was raised before the kernel ran may have been lost.
    pub(crate) fn of_toolstack(port: Port) -> Result<Self> {
        let channel = Self::new(port, 0, false)?;
        TABLE.arrived(port);
        Ok(channel)
    }

    /// One of which nobody knows yet: what is pending is of an earlier port of this number.
    fn quiet(port: Port, vcpu: u32) -> Result<Self> {
        let channel = Self::new(port, vcpu, true)?;
        if let Some(events) = EVENTS.get() {
            events.take_pending(port);
        }
        Ok(channel)
    }

    fn new(port: Port, vcpu: u32, close_on_drop: bool) -> Result<Self> {
        let channel = Self { port, slot: TABLE.open(port)?, pace: Mutex::default(), close_on_drop };
        if let Some(events) = EVENTS.get() {
            events.grow(&Hypervisor, port, OwnPage::new)?;
            events.mask(port);
            events.give(port, vcpu);
        }
        Ok(channel)
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
        // Nobody waits, as this is the only reference: the port is masked, and looked at when it is
        // waited for again.
        INFOS.get(vcpu as usize).and_then(Once::get).ok_or(Errno::NOENT)?;
        event::bind_vcpu(&Hypervisor, self.port, vcpu)?;
        if let Some(events) = EVENTS.get() {
            events.give(self.port, vcpu);
        }
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
    /// costs no more than the task that handles it. [`found_nothing`](Self::found_nothing) makes
    /// that less.
    pub async fn wait(&self) {
        self.hold().await;
        poll_fn(|context| {
            if self.slot.take() {
                return Poll::Ready(());
            }
            self.slot.wait(context.waker());
            if self.open_and_look() || self.slot.take() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// To be told after an event that came with work.
    pub fn found_work(&self) {
        let mut pace = self.pace.lock();
        pace.backoff.found_work();
        pace.open_at = None;
    }

    /// To be told after an event that came without: when there are many in a row, the next
    /// [`wait`](Self::wait) opens the port later and later, after 128 ms at most. Nothing is lost.
    pub fn found_nothing(&self) {
        let mut pace = self.pace.lock();
        let hold = pace.backoff.found_nothing();
        pace.open_at = (hold != 0).then(|| Instant::now() + embassy_time::Duration::from_nanos(hold));
    }

    /// Waits until the port may be opened.
    async fn hold(&self) {
        let open_at = self.pace.lock().open_at;
        if let Some(at) = open_at {
            Timer::at(at).await;
            self.pace.lock().open_at = None;
        }
    }

    /// Opens the port, or takes the event if it had arrived before.
    fn open_and_look(&self) -> bool {
        EVENTS.get().is_some_and(|events| events.open(&Hypervisor, self.port))
    }

    /// Takes the event if it has arrived, and leaves the port open: the next one ends a sleep.
    pub(crate) fn take_and_open(&self) -> bool {
        let arrived = self.slot.take();
        EVENTS.get().is_some_and(|events| events.reopen(&Hypervisor, self.port)) || arrived
    }

    /// Has the events of this channel taken before or after those of others.
    ///
    /// # Errors
    ///
    /// `NOSYS` where events have no priorities: in the 2-level ABI.
    pub fn set_priority(&self, priority: event::Priority) -> Result<()> {
        let events = EVENTS.get().ok_or(Errno::NOSYS)?;
        events.set_priority(&Hypervisor, self.port, priority)
    }
}

impl Drop for EventChannel {
    fn drop(&mut self) {
        if let Some(events) = EVENTS.get() {
            events.mask(self.port);
        }
        TABLE.close(self.port);
        if self.close_on_drop {
            // Fails only for a port that is not open: then there is nothing to close.
            let _ = event::close(&Hypervisor, self.port);
        }
    }
}
