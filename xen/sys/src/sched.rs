// SPDX-License-Identifier: MIT OR Apache-2.0
//! Giving up the CPU, and ending the domain.
//!
//! Commands of [`__HYPERVISOR_sched_op`](crate::xen::__HYPERVISOR_sched_op).
//!
//! Source: `xen/include/public/sched.h`.

use crate::arch_x86::xen::XEN_GUEST_HANDLE;
use crate::xen::domid_t;

/// Command: let others run. No argument.
pub const SCHEDOP_yield: u32 = 0;
/// Command: sleep until an event arrives, unmasking events in the same step. No argument.
pub const SCHEDOP_block: u32 = 1;
/// Command: end the domain, or suspend it. Argument: [`sched_shutdown`]; a PV guest that suspends
/// passes the machine frame of its start info page as a third argument. A suspend returns 1 if it
/// was cancelled and 0 in the new domain.
pub const SCHEDOP_shutdown: u32 = 2;
/// Command: sleep until one of some ports is pending, or a time. Argument: [`sched_poll`].
pub const SCHEDOP_poll: u32 = 3;
/// Command: declare another domain shut down. Argument: [`sched_remote_shutdown`].
pub const SCHEDOP_remote_shutdown: u32 = 4;
/// Command: remember the reason to report when the domain shuts down later. Argument:
/// [`sched_shutdown`].
pub const SCHEDOP_shutdown_code: u32 = 5;
/// Command: set up, reset or remove a watchdog. Argument: [`sched_watchdog`].
pub const SCHEDOP_watchdog: u32 = 6;
/// Command: pin this vCPU to a physical CPU (hardware domain). Argument: [`sched_pin_override`].
pub const SCHEDOP_pin_override: u32 = 7;

/// Argument of [`SCHEDOP_shutdown`] and [`SCHEDOP_shutdown_code`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct sched_shutdown {
    /// One of the `SHUTDOWN_*`.
    pub reason: u32,
}
layout!(sched_shutdown: 4 { reason: 0 });

/// Argument of [`SCHEDOP_poll`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct sched_poll {
    /// Address of an array of [`evtchn_port_t`](crate::event_channel::evtchn_port_t).
    pub ports: XEN_GUEST_HANDLE,
    /// Number of ports in the array.
    pub nr_ports: u32,
    /// Padding.
    pub _padding: u32,
    /// System time in nanoseconds to wake up at; 0 means never.
    pub timeout: u64,
}
layout!(sched_poll: 24 { ports: 0, nr_ports: 8, _padding: 12, timeout: 16 });

/// Argument of [`SCHEDOP_remote_shutdown`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct sched_remote_shutdown {
    /// The domain.
    pub domain_id: domid_t,
    /// Padding.
    pub _padding: u16,
    /// One of the `SHUTDOWN_*`.
    pub reason: u32,
}
layout!(sched_remote_shutdown: 8 { domain_id: 0, _padding: 2, reason: 4 });

/// Argument of [`SCHEDOP_watchdog`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct sched_watchdog {
    /// 0 for a new watchdog, whose number is returned; else the number of one that exists.
    pub id: u32,
    /// Seconds until the domain is shut down; 0 removes the watchdog.
    pub timeout: u32,
}
layout!(sched_watchdog: 8 { id: 0, timeout: 4 });

/// Argument of [`SCHEDOP_pin_override`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct sched_pin_override {
    /// The physical CPU; negative undoes an earlier pin.
    pub pcpu: i32,
}
layout!(sched_pin_override: 4 { pcpu: 0 });

/// Reason of a shutdown: the guest is done.
pub const SHUTDOWN_poweroff: u32 = 0;
/// Reason of a shutdown: start the guest again.
pub const SHUTDOWN_reboot: u32 = 1;
/// Reason of a shutdown: save the guest.
pub const SHUTDOWN_suspend: u32 = 2;
/// Reason of a shutdown: the guest crashed.
pub const SHUTDOWN_crash: u32 = 3;
/// Reason of a shutdown: a watchdog was not reset in time.
pub const SHUTDOWN_watchdog: u32 = 4;
/// Reason of a shutdown: undo everything set up with Xen and go on, memory and vCPUs untouched.
pub const SHUTDOWN_soft_reset: u32 = 5;
/// Largest reason.
pub const SHUTDOWN_MAX: u32 = 5;
