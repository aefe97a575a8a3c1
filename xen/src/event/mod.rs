// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event channels: `xen/include/public/event_channel.h`.
//!
//! An event is a bit that another domain, Xen or a vCPU of ours sets. Here events are data, not
//! interrupts: [`Bits`] is the memory in which they arrive, a vCPU that has nothing else to do
//! waits for them, and [`Table`] wakes the task that waits for each.

mod table;
mod two_level;

use xen_sys::event_channel::*;
use xen_sys::xen::{__HYPERVISOR_event_channel_op, DOMID_SELF};

use crate::error::Result;
use crate::hypercall::{Hypercall, command};

pub use table::{Slot, Table};
pub use two_level::{Bits, PORTS, Ports};

/// An event channel of this domain. Port 0 does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub u32);

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
pub fn alloc_unbound(hypercalls: &(impl Hypercall + ?Sized), remote: u16) -> Result<Port> {
    let mut argument = evtchn_alloc_unbound { dom: DOMID_SELF, remote_dom: remote, port: 0 };
    // SAFETY: EVTCHNOP_alloc_unbound takes an evtchn_alloc_unbound.
    unsafe { command(hypercalls, __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, &mut argument)? };
    Ok(Port(argument.port))
}

/// A new port connected to `port` of domain `remote`. It is pending at once.
///
/// # Errors
///
/// What Xen answers; `EINVAL` if that port does not wait for us.
pub fn bind_interdomain(hypercalls: &(impl Hypercall + ?Sized), remote: u16, port: Port) -> Result<Port> {
    let mut argument =
        evtchn_bind_interdomain { remote_dom: remote, remote_port: port.0, ..Default::default() };
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
