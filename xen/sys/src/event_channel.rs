// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event channels: one-bit notifications between domains, from devices and from Xen.
//!
//! Commands of [`__HYPERVISOR_event_channel_op`](crate::xen::__HYPERVISOR_event_channel_op), and
//! the two ways events are kept in shared memory: the 2-level bitmaps of
//! [`shared_info`](crate::xen::shared_info) and the queues of the FIFO ABI.
//!
//! Source: `xen/include/public/event_channel.h`.

use crate::arch_x86::xen::xen_ulong_t;
use crate::xen::domid_t;

/// Command: connect to a port another domain left open. Argument: [`evtchn_bind_interdomain`].
pub const EVTCHNOP_bind_interdomain: u32 = 0;
/// Command: get a port for a virtual interrupt. Argument: [`evtchn_bind_virq`].
pub const EVTCHNOP_bind_virq: u32 = 1;
/// Command: get a port for a physical interrupt. Argument: [`evtchn_bind_pirq`].
pub const EVTCHNOP_bind_pirq: u32 = 2;
/// Command: close a port. Argument: [`evtchn_close`].
pub const EVTCHNOP_close: u32 = 3;
/// Command: notify the other end. Argument: [`evtchn_send`].
pub const EVTCHNOP_send: u32 = 4;
/// Command: ask what a port is. Argument: [`evtchn_status`].
pub const EVTCHNOP_status: u32 = 5;
/// Command: get a port another domain may connect to. Argument: [`evtchn_alloc_unbound`].
pub const EVTCHNOP_alloc_unbound: u32 = 6;
/// Command: get a port for interrupts between vCPUs. Argument: [`evtchn_bind_ipi`].
pub const EVTCHNOP_bind_ipi: u32 = 7;
/// Command: choose the vCPU a port notifies. Argument: [`evtchn_bind_vcpu`].
pub const EVTCHNOP_bind_vcpu: u32 = 8;
/// Command: unmask a port, and notify if it is pending. Argument: [`evtchn_unmask`].
pub const EVTCHNOP_unmask: u32 = 9;
/// Command: close all ports and return to the 2-level ABI. Argument: [`evtchn_reset`].
pub const EVTCHNOP_reset: u32 = 10;
/// Command: give a vCPU its control block, and switch to the FIFO ABI. Argument:
/// [`evtchn_init_control`].
pub const EVTCHNOP_init_control: u32 = 11;
/// Command: add a page to the event array of the FIFO ABI. Argument: [`evtchn_expand_array`].
pub const EVTCHNOP_expand_array: u32 = 12;
/// Command: set the priority of a port in the FIFO ABI. Argument: [`evtchn_set_priority`].
pub const EVTCHNOP_set_priority: u32 = 13;

/// A domain's end of an event channel. 0 is never in use.
pub type evtchn_port_t = u32;

/// Argument of [`EVTCHNOP_alloc_unbound`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct evtchn_alloc_unbound {
    /// The domain to get the port; [`DOMID_SELF`](crate::xen::DOMID_SELF) unless privileged.
    pub dom: domid_t,
    /// The domain that may connect.
    pub remote_dom: domid_t,
    /// Result: the port.
    pub port: evtchn_port_t,
}
layout!(evtchn_alloc_unbound: 8 { dom: 0, remote_dom: 2, port: 4 });

/// Argument of [`EVTCHNOP_bind_interdomain`]. The new port starts pending.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct evtchn_bind_interdomain {
    /// The domain to connect to.
    pub remote_dom: domid_t,
    /// Padding.
    pub _padding: u16,
    /// Its port.
    pub remote_port: evtchn_port_t,
    /// Result: the caller's port.
    pub local_port: evtchn_port_t,
}
layout!(evtchn_bind_interdomain: 12 { remote_dom: 0, _padding: 2, remote_port: 4, local_port: 8 });

/// Argument of [`EVTCHNOP_bind_virq`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct evtchn_bind_virq {
    /// One of the `VIRQ_*`, see [`VIRQ_TIMER`](crate::xen::VIRQ_TIMER).
    pub virq: u32,
    /// The vCPU to notify; 0 for interrupts that are not per vCPU.
    pub vcpu: u32,
    /// Result: the port.
    pub port: evtchn_port_t,
}
layout!(evtchn_bind_virq: 12 { virq: 0, vcpu: 4, port: 8 });

/// Flag of [`evtchn_bind_pirq`]: other domains may use the interrupt too.
pub const BIND_PIRQ__WILL_SHARE: u32 = 1;

/// Argument of [`EVTCHNOP_bind_pirq`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct evtchn_bind_pirq {
    /// The physical interrupt.
    pub pirq: u32,
    /// 0 or [`BIND_PIRQ__WILL_SHARE`].
    pub flags: u32,
    /// Result: the port.
    pub port: evtchn_port_t,
}
layout!(evtchn_bind_pirq: 12 { pirq: 0, flags: 4, port: 8 });

/// Argument of [`EVTCHNOP_bind_ipi`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct evtchn_bind_ipi {
    /// The vCPU to notify, for good.
    pub vcpu: u32,
    /// Result: the port.
    pub port: evtchn_port_t,
}
layout!(evtchn_bind_ipi: 8 { vcpu: 0, port: 4 });

/// Argument of [`EVTCHNOP_close`]. The other end falls back to waiting for a connection.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct evtchn_close {
    /// The port.
    pub port: evtchn_port_t,
}
layout!(evtchn_close: 4 { port: 0 });

/// Argument of [`EVTCHNOP_send`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct evtchn_send {
    /// The caller's port.
    pub port: evtchn_port_t,
}
layout!(evtchn_send: 4 { port: 0 });

/// Status of a port: not in use.
pub const EVTCHNSTAT_closed: u32 = 0;
/// Status of a port: waits for another domain to connect.
pub const EVTCHNSTAT_unbound: u32 = 1;
/// Status of a port: connected to another domain.
pub const EVTCHNSTAT_interdomain: u32 = 2;
/// Status of a port: bound to a physical interrupt.
pub const EVTCHNSTAT_pirq: u32 = 3;
/// Status of a port: bound to a virtual interrupt.
pub const EVTCHNSTAT_virq: u32 = 4;
/// Status of a port: for interrupts between vCPUs.
pub const EVTCHNSTAT_ipi: u32 = 5;

/// Argument of [`EVTCHNOP_status`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct evtchn_status {
    /// The domain; [`DOMID_SELF`](crate::xen::DOMID_SELF) unless privileged.
    pub dom: domid_t,
    /// Padding.
    pub _padding: u16,
    /// The port.
    pub port: evtchn_port_t,
    /// Result: one of the `EVTCHNSTAT_*`.
    pub status: u32,
    /// Result: the vCPU the port notifies.
    pub vcpu: u32,
    /// Result, as the status says. Unbound: the domain that may connect in the low 16 bits of the
    /// first word. Interdomain: the same for the connected domain, its port in the second word.
    /// Physical or virtual interrupt: its number in the first word.
    pub u: [u32; 2],
}
layout!(evtchn_status: 24 { dom: 0, _padding: 2, port: 4, status: 8, vcpu: 12, u: 16 });

/// Argument of [`EVTCHNOP_bind_vcpu`]. Ports of per-vCPU interrupts cannot be moved.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct evtchn_bind_vcpu {
    /// The port.
    pub port: evtchn_port_t,
    /// The vCPU it shall notify.
    pub vcpu: u32,
}
layout!(evtchn_bind_vcpu: 8 { port: 0, vcpu: 4 });

/// Argument of [`EVTCHNOP_unmask`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct evtchn_unmask {
    /// The port.
    pub port: evtchn_port_t,
}
layout!(evtchn_unmask: 4 { port: 0 });

/// Argument of [`EVTCHNOP_reset`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct evtchn_reset {
    /// The domain; [`DOMID_SELF`](crate::xen::DOMID_SELF) unless privileged.
    pub dom: domid_t,
}
layout!(evtchn_reset: 2 { dom: 0 });

/// Argument of [`EVTCHNOP_init_control`]. Events pending before the first one are lost.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct evtchn_init_control {
    /// Frame that holds the control block.
    pub control_gfn: u64,
    /// Byte offset of the [`evtchn_fifo_control_block`] in the frame, a multiple of 8.
    pub offset: u32,
    /// The vCPU it is for.
    pub vcpu: u32,
    /// Result: width of the link field in an event word, in bits.
    pub link_bits: u8,
    /// Unused.
    pub _pad: [u8; 7],
}
layout!(evtchn_init_control: 24 { control_gfn: 0, offset: 8, vcpu: 12, link_bits: 16, _pad: 17 });

/// Argument of [`EVTCHNOP_expand_array`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct evtchn_expand_array {
    /// Frame to add: 1024 event words.
    pub array_gfn: u64,
}
layout!(evtchn_expand_array: 8 { array_gfn: 0 });

/// Argument of [`EVTCHNOP_set_priority`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct evtchn_set_priority {
    /// The port.
    pub port: evtchn_port_t,
    /// From [`EVTCHN_FIFO_PRIORITY_MAX`] (0, first) to [`EVTCHN_FIFO_PRIORITY_MIN`] (15, last).
    pub priority: u32,
}
layout!(evtchn_set_priority: 8 { port: 0, priority: 4 });

/// Number of ports in the 2-level ABI.
pub const EVTCHN_2L_NR_CHANNELS: u32 = (size_of::<xen_ulong_t>() * size_of::<xen_ulong_t>() * 64) as u32;

/// The priority that is served first.
pub const EVTCHN_FIFO_PRIORITY_MAX: u32 = 0;
/// The priority of a port nobody set one for.
pub const EVTCHN_FIFO_PRIORITY_DEFAULT: u32 = 7;
/// The priority that is served last.
pub const EVTCHN_FIFO_PRIORITY_MIN: u32 = 15;
/// Number of queues of a vCPU: one per priority.
pub const EVTCHN_FIFO_MAX_QUEUES: u32 = EVTCHN_FIFO_PRIORITY_MIN + 1;

/// The state of one port in the FIFO ABI.
pub type event_word_t = u32;

/// Bit number in an [`event_word_t`]: an event arrived.
pub const EVTCHN_FIFO_PENDING: u32 = 31;
/// Bit number in an [`event_word_t`]: do not notify.
pub const EVTCHN_FIFO_MASKED: u32 = 30;
/// Bit number in an [`event_word_t`]: the port is on a queue.
pub const EVTCHN_FIFO_LINKED: u32 = 29;
/// Bit number in an [`event_word_t`]: Xen is putting the port on a queue.
pub const EVTCHN_FIFO_BUSY: u32 = 28;
/// Width of the link in an [`event_word_t`]: the next port on the queue.
pub const EVTCHN_FIFO_LINK_BITS: u32 = 17;
/// The bits of the link.
pub const EVTCHN_FIFO_LINK_MASK: u32 = (1 << EVTCHN_FIFO_LINK_BITS) - 1;
/// Number of ports in the FIFO ABI.
pub const EVTCHN_FIFO_NR_CHANNELS: u32 = 1 << EVTCHN_FIFO_LINK_BITS;

/// A vCPU's queues in the FIFO ABI.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct evtchn_fifo_control_block {
    /// One bit per queue that may hold a port.
    pub ready: u32,
    /// Unused.
    pub _rsvd: u32,
    /// First port of each queue; 0 if it is empty.
    pub head: [u32; EVTCHN_FIFO_MAX_QUEUES as usize],
}
layout!(evtchn_fifo_control_block: 72 { ready: 0, _rsvd: 4, head: 8 });
