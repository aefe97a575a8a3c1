// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event channels: `xen/include/public/event_channel.h`.

use core::sync::atomic::Ordering;

use xen_sys::event_channel::*;
use xen_sys::xen::{__HYPERVISOR_event_channel_op, shared_info};

use crate::error::Result;
use crate::hypercall::{Hypercall, command};
use crate::shared::Shared;

/// An event channel of this domain. Port 0 does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub u32);

/// Ports that the 2-level ABI can tell apart in a 64-bit domain: one bit each in 64 words.
const PORTS: u32 = 4096;

/// Raises an event on the other end of `port`.
///
/// # Errors
///
/// What Xen answers; `EINVAL` for a port that is not connected.
pub fn send(hypercalls: &(impl Hypercall + ?Sized), port: Port) -> Result<()> {
    let mut argument = evtchn_send { port: port.0 };
    // SAFETY: EVTCHNOP_send takes an evtchn_send.
    unsafe { command(hypercalls, __HYPERVISOR_event_channel_op as u64, EVTCHNOP_send as u64, &mut argument) }
        .map(drop)
}

/// A new port of which both ends are this vCPU: raising it makes it pending here.
///
/// # Errors
///
/// What Xen answers; `ENOSPC` when the domain has all the ports it may have.
pub fn bind_ipi(hypercalls: &(impl Hypercall + ?Sized), vcpu: u32) -> Result<Port> {
    let mut argument = evtchn_bind_ipi { vcpu, port: 0 };
    // SAFETY: EVTCHNOP_bind_ipi takes an evtchn_bind_ipi.
    unsafe {
        command(hypercalls, __HYPERVISOR_event_channel_op as u64, EVTCHNOP_bind_ipi as u64, &mut argument)?
    };
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
    unsafe {
        command(hypercalls, __HYPERVISOR_event_channel_op as u64, EVTCHNOP_bind_virq as u64, &mut argument)?
    };
    Ok(Port(argument.port))
}

/// Gives a port up.
///
/// # Errors
///
/// What Xen answers; `EINVAL` for a port that is not open.
pub fn close(hypercalls: &(impl Hypercall + ?Sized), port: Port) -> Result<()> {
    let mut argument = evtchn_close { port: port.0 };
    // SAFETY: EVTCHNOP_close takes an evtchn_close.
    unsafe { command(hypercalls, __HYPERVISOR_event_channel_op as u64, EVTCHNOP_close as u64, &mut argument) }
        .map(drop)
}

/// The pending and mask bits of all ports, in the page that Xen shares with the domain.
#[derive(Clone, Copy)]
pub struct Bits {
    page: Shared<shared_info>,
}

impl Bits {
    /// The bits in `page`.
    pub fn new(page: Shared<shared_info>) -> Self {
        Self { page }
    }

    /// Masks every port: a fresh page is all zero, and would have Xen interrupt for anything.
    pub fn mask_all(self) {
        for word in 0..(PORTS / 64) as usize {
            if let Some(word) = self.word(core::mem::offset_of!(shared_info, evtchn_mask), word) {
                word.write(u64::MAX);
            }
        }
    }

    /// Clears the port's pending bit, and says whether it was set.
    pub fn take_pending(self, port: Port) -> bool {
        let bit = 1 << (port.0 % 64);
        self.word(core::mem::offset_of!(shared_info, evtchn_pending), (port.0 / 64) as usize)
            .is_some_and(|word| word.atomic().fetch_and(!bit, Ordering::AcqRel) & bit != 0)
    }

    fn word(self, array: usize, index: usize) -> Option<Shared<u64>> {
        (index < (PORTS / 64) as usize).then(|| self.page.field(array + index * 8))?
    }
}
