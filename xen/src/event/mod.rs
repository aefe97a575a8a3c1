// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event channels: `xen/include/public/event_channel.h`.
//!
//! An event is a bit that another domain, Xen or a vCPU of ours sets, at a [`Port`]. Here events
//! are data, not interrupts: [`Events`] is the memory in which they arrive, a vCPU that has nothing
//! else to do waits for them, and [`Table`] wakes the task that waits for each. [`Dispatch`] is both, for all
//! vCPUs of a domain.
//!
//! # A port's life
//!
//! ```text
//!              send: pending                 send: pending, and the vCPU's flag is set
//!            +---------------+             +---------------+
//!            v               |             v               |
//!  bind -> masked -----------+--- (1) -> unmasked ---------+--- take_all --> masked, taken
//!            |                             |
//!            +--- (2) --> masked, taken    +--- mask --> masked
//!
//!  (1) unmask_or_take: nothing had arrived
//!  (2) unmask_or_take: its event had arrived
//! ```
//!
//! A port is unmasked only while somebody waits for it. Whoever is woken by an event looks at all there is
//! to do before it unmasks the port again: an event that comes meanwhile is found by
//! [`unmask_or_take`](Events::unmask_or_take), and one that comes again and again interrupts nobody. A waiter
//! that finds nothing, again and again, unmasks its port later and later: [`LateEoi`] says when (XSA-332,
//! XSA-391).
//!
//! # Two ways of keeping events
//!
//! | | [2-level](Abi::TwoLevel) | [FIFO](Abi::Fifo) |
//! |---|---|---|
//! | ports | 4096 | 131072 |
//! | order | by number | by [`Priority`], then as they came |
//! | memory | in `shared_info` | a page per 1024 ports and one per 32 vCPUs |
//! | hypercalls per event | none | none |
//! | from | always | Xen 4.4; not QEMU's emulation, not the PV shim |
//!
//! The FIFO way is begun before any port is bound. Both lose nothing, take nothing twice, and are
//! masked at first.
//!
//! # After a restore
//!
//! A domain that was saved and restored finds all ports closed, and the 2-level ABI in use.
//! [`Dispatch::resume`] gives Xen the same pages again, and binds again what [can be](Binding): a [`Slot`]
//! keeps its waiter, and tells the port that it has now.
//!
//! # Examples
//!
//! ```
//! use xen::event::{self, Events, Port, Table};
//! use xen::fake::FakeXen;
//!
//! let xen = FakeXen::new();
//! let events = match Events::fifo(&xen, 1, || Some(xen.page())) {
//!     Ok(events) => events,
//!     Err(errno) if errno.is_unsupported() => Events::two_level(xen.shared_info(), 1),
//!     Err(errno) => return Err(errno.into()),
//! };
//!
//! // A port of which both ends are ours; its event arrives, and wakes nobody: nobody waits.
//! let port = event::bind_ipi(&xen, 0)?;
//! events.grow(&xen, port, || Some(xen.page()))?;
//! event::send(&xen, port)?;
//! assert!(!xen.has_upcall(0));
//!
//! // Whoever wants to wait finds that it has arrived before.
//! assert!(events.unmask_or_take(&xen, port));
//! assert!(!events.unmask_or_take(&xen, port));
//!
//! // Now the port is unmasked, and the next event reaches the vCPU.
//! event::send(&xen, port)?;
//! assert!(xen.has_upcall(0));
//! let mut arrived = Vec::new();
//! events.take_all(0, xen.vcpu_info(0), |port| arrived.push(port));
//! assert_eq!(arrived, [port]);
//!
//! event::close(&xen, port)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod atomic;
mod backoff;
mod binding;
mod dispatch;
mod events;
mod fifo;
mod late_eoi;
#[cfg(all(test, loom))]
mod model;
mod queues;
mod table;
mod two_level;
mod word;

use xen_sys::event_channel::*;
use xen_sys::xen::{__HYPERVISOR_event_channel_op, DOMID_SELF};

use crate::DomainId;
use crate::error::Result;
use crate::hypercall::{Hypercall, command};

pub use backoff::Backoff;
pub use binding::Binding;
pub use dispatch::{Dispatch, Earlier};
pub use events::{Abi, Events};
pub use fifo::{FIFO_PORTS, Fifo};
pub use late_eoi::LateEoi;
pub use table::{Slot, Table};
pub use two_level::{Bits, PORTS, TwoLevel};

/// An event channel of this domain. Port 0 does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub u32);

/// In which order events of the FIFO ABI are taken: 0 first, 15 last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u32);

impl Priority {
    /// Before all others.
    pub const HIGHEST: Self = Self(EVTCHN_FIFO_PRIORITY_MAX);
    /// What every port has at first.
    pub const DEFAULT: Self = Self(EVTCHN_FIFO_PRIORITY_DEFAULT);
    /// After all others.
    pub const LOWEST: Self = Self(EVTCHN_FIFO_PRIORITY_MIN);

    /// The priority of this number; `None` beyond 15.
    pub fn new(number: u32) -> Option<Self> {
        (number <= EVTCHN_FIFO_PRIORITY_MIN).then_some(Self(number))
    }
}

/// Raises an event on the other end of `port`.
///
/// # Errors
///
/// What Xen answers; `EINVAL` for a port that is not connected.
pub fn send(hypercalls: &(impl Hypercall + ?Sized), port: Port) -> Result<()> {
    let mut argument = evtchn_send { port: port.0 };
    // SAFETY: EVTCHNOP_send takes an evtchn_send.
    unsafe { command(hypercalls, __HYPERVISOR_event_channel_op, EVTCHNOP_send, &mut argument) }.map(drop)
}

/// A new port of which both ends are this vCPU: raising it makes it pending here.
///
/// # Errors
///
/// What Xen answers; `ENOSPC` when the domain has all the ports it may have.
pub fn bind_ipi(hypercalls: &(impl Hypercall + ?Sized), vcpu: u32) -> Result<Port> {
    let mut argument = evtchn_bind_ipi { vcpu, port: 0 };
    // SAFETY: EVTCHNOP_bind_ipi takes an evtchn_bind_ipi.
    unsafe { command(hypercalls, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, &mut argument)? };
    Ok(Port(argument.port))
}

/// A new port on which this vCPU's `virq` arrives (`VIRQ_*` of `xen.h`).
///
/// # Errors
///
/// What Xen answers; `EEXIST` if the interrupt is bound already.
pub fn bind_virq(hypercalls: &(impl Hypercall + ?Sized), virq: u32, vcpu: u32) -> Result<Port> {
    let mut argument = evtchn_bind_virq { virq, vcpu, port: 0 };
    // SAFETY: EVTCHNOP_bind_virq takes an evtchn_bind_virq.
    unsafe { command(hypercalls, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, &mut argument)? };
    Ok(Port(argument.port))
}

/// A new port that domain `remote` may connect to.
///
/// # Errors
///
/// What Xen answers; `ENOSPC` when the domain has all the ports it may have.
pub fn alloc_unbound(hypercalls: &(impl Hypercall + ?Sized), remote: DomainId) -> Result<Port> {
    let mut argument = evtchn_alloc_unbound { dom: DOMID_SELF, remote_dom: remote.0, port: 0 };
    // SAFETY: EVTCHNOP_alloc_unbound takes an evtchn_alloc_unbound.
    unsafe { command(hypercalls, __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, &mut argument)? };
    Ok(Port(argument.port))
}

/// A new port connected to `port` of domain `remote`. It is pending at once.
///
/// # Errors
///
/// What Xen answers; `EINVAL` if that port does not wait for us.
pub fn bind_interdomain(
    hypercalls: &(impl Hypercall + ?Sized),
    remote: DomainId,
    port: Port,
) -> Result<Port> {
    let mut argument =
        evtchn_bind_interdomain { remote_dom: remote.0, remote_port: port.0, ..Default::default() };
    // SAFETY: EVTCHNOP_bind_interdomain takes an evtchn_bind_interdomain.
    unsafe { command(hypercalls, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain, &mut argument)? };
    Ok(Port(argument.local_port))
}

/// Has a port delivered to `vcpu`.
///
/// # Errors
///
/// What Xen answers; `EINVAL` for ports of virtual interrupts and IPIs, which stay where they are.
pub fn bind_vcpu(hypercalls: &(impl Hypercall + ?Sized), port: Port, vcpu: u32) -> Result<()> {
    let mut argument = evtchn_bind_vcpu { port: port.0, vcpu };
    // SAFETY: EVTCHNOP_bind_vcpu takes an evtchn_bind_vcpu.
    unsafe { command(hypercalls, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_vcpu, &mut argument) }.map(drop)
}

/// Gives a port up.
///
/// # Errors
///
/// What Xen answers; `EINVAL` for a port that is not open.
pub fn close(hypercalls: &(impl Hypercall + ?Sized), port: Port) -> Result<()> {
    let mut argument = evtchn_close { port: port.0 };
    // SAFETY: EVTCHNOP_close takes an evtchn_close.
    unsafe { command(hypercalls, __HYPERVISOR_event_channel_op, EVTCHNOP_close, &mut argument) }.map(drop)
}

/// Has Xen unmask a port, and raise its event if it has arrived.
///
/// # Errors
///
/// What Xen answers; `EINVAL` for a port that is not open.
pub fn unmask(hypercalls: &(impl Hypercall + ?Sized), port: Port) -> Result<()> {
    let mut argument = evtchn_unmask { port: port.0 };
    // SAFETY: EVTCHNOP_unmask takes an evtchn_unmask.
    unsafe { command(hypercalls, __HYPERVISOR_event_channel_op, EVTCHNOP_unmask, &mut argument) }.map(drop)
}

/// Sets the priority of a port's next events, in the FIFO ABI.
///
/// # Errors
///
/// What Xen answers; `ENOSYS` in the 2-level ABI.
pub fn set_priority(hypercalls: &(impl Hypercall + ?Sized), port: Port, priority: Priority) -> Result<()> {
    let mut argument = evtchn_set_priority { port: port.0, priority: priority.0 };
    // SAFETY: EVTCHNOP_set_priority takes an evtchn_set_priority.
    unsafe { command(hypercalls, __HYPERVISOR_event_channel_op, EVTCHNOP_set_priority, &mut argument) }
        .map(drop)
}
