// SPDX-License-Identifier: MIT OR Apache-2.0
//! Yielding the CPU, waiting for events, shutting the domain down: `xen/include/public/sched.h`.
//!
//! There are three ways to wait. [`block`] ends with any event, and unmasks events in the same step: what
//! arrives between the last look and the sleep is not missed. [`poll`] ends with one port's event or at a
//! time, masked or not. [`yield_now`] only lets others run. HVM and PVH domains have a fourth, the
//! instruction `hlt`, which works where Xen is emulated too.
//!
//! # Examples
//!
//! ```
//! use xen::fake::FakeXen;
//! use xen::sched::{self, Shutdown};
//! use xen_sys::sched::SHUTDOWN_poweroff;
//!
//! let xen = FakeXen::new();
//! sched::yield_now(&xen)?;
//! sched::shutdown(&xen, Shutdown::Poweroff)?; // a real one does not return
//! assert_eq!(xen.shutdown_reason(), Some(SHUTDOWN_poweroff as u32));
//! # Ok::<(), xen::Errno>(())
//! ```

use xen_sys::sched::*;
use xen_sys::xen::__HYPERVISOR_sched_op;

use crate::error::{Result, check};
use crate::hypercall::{Hypercall, command};

/// Why a domain ends, as the toolstack sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Shutdown {
    /// Switched off, on purpose.
    Poweroff = SHUTDOWN_poweroff,
    /// Wants to be started again.
    Reboot = SHUTDOWN_reboot,
    /// Failed; the toolstack may keep it for a look.
    Crash = SHUTDOWN_crash,
}

/// Ends this domain. Returns only if Xen refuses.
///
/// # Errors
///
/// What Xen answers.
pub fn shutdown(hypercalls: &(impl Hypercall + ?Sized), reason: Shutdown) -> Result<()> {
    let mut argument = sched_shutdown { reason: reason as _ };
    // SAFETY: SCHEDOP_shutdown takes a sched_shutdown. Only SUSPEND, which is not in `Shutdown`,
    // takes more, or returns in a changed world.
    unsafe { command(hypercalls, __HYPERVISOR_sched_op, SCHEDOP_shutdown, &mut argument) }.map(drop)
}

/// How a domain goes on after it was suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// The same domain: the suspend was cancelled, or a copy of it was saved. All is as before.
    Cancelled,
    /// A new domain, of which only the memory and the vCPUs are as before.
    Restored,
}

impl Resumed {
    /// What the hypercall returns: 1 if the suspend was cancelled.
    pub fn of(result: u64) -> Self {
        if result == 0 { Self::Restored } else { Self::Cancelled }
    }
}

/// The arguments of the hypercall `sched_op` that suspends this domain; returns when it goes on, as
/// [`Resumed::of`] tells. `reason` holds [`SUSPEND_REASON`]. A PV domain passes the machine frame of its
/// `start_info`, others 0.
pub fn suspend_arguments(reason: &sched_shutdown, start_info: u64) -> [u64; 5] {
    [u64::from(SCHEDOP_shutdown), (&raw const *reason).expose_provenance() as u64, start_info, 0, 0]
}

/// What [`suspend_arguments`] points to.
pub const SUSPEND_REASON: sched_shutdown = sched_shutdown { reason: SHUTDOWN_suspend };

/// Suspends this domain, which is no PV domain, so that it can be saved or migrated. Returns when it goes on.
///
/// # Safety
///
/// No other vCPU does anything but wait. If the domain is [restored](Resumed::Restored), what Xen shared with
/// it is no more: `shared_info`, the grant table, pages of other domains, and the rings are fresh.
///
/// # Errors
///
/// What Xen answers.
pub unsafe fn suspend(hypercalls: &(impl Hypercall + ?Sized)) -> Result<Resumed> {
    let reason = SUSPEND_REASON;
    // SAFETY: SCHEDOP_shutdown reads a sched_shutdown; the rest is the caller's promise.
    check(unsafe { hypercalls.issue(__HYPERVISOR_sched_op, suspend_arguments(&reason, 0)) }).map(Resumed::of)
}

/// Gives the rest of the time slice away.
///
/// # Errors
///
/// What Xen answers.
pub fn yield_now(hypercalls: &(impl Hypercall + ?Sized)) -> Result<()> {
    // SAFETY: SCHEDOP_yield takes no argument; the pointer is ignored.
    unsafe { command(hypercalls, __HYPERVISOR_sched_op, SCHEDOP_yield, &mut 0u64) }.map(drop)
}

/// Unmasks this vCPU's events (PV) and sleeps until one is pending that no port mask holds back.
/// Both are one step: what arrives in between ends the sleep at once.
///
/// # Errors
///
/// [`Errno::NOSYS`](crate::Errno::NOSYS) in QEMU's Xen emulation; HVM domains use `hlt`.
pub fn block(hypercalls: &(impl Hypercall + ?Sized)) -> Result<()> {
    // SAFETY: SCHEDOP_block takes no argument; the pointer is ignored.
    unsafe { command(hypercalls, __HYPERVISOR_sched_op, SCHEDOP_block, &mut 0u64) }.map(drop)
}

/// Sleeps until `port` is pending, or until the paravirtual clock shows `deadline` nanoseconds
/// (0: for ever). The port may be masked; other events that are pending and unmasked end the
/// sleep at once.
///
/// # Errors
///
/// [`Errno::NOSYS`](crate::Errno::NOSYS) where Xen is only emulated in part.
pub fn poll(hypercalls: &(impl Hypercall + ?Sized), port: u32, deadline: u64) -> Result<()> {
    let mut ports = port;
    let mut argument = sched_poll {
        ports: (&raw mut ports).expose_provenance() as u64,
        nr_ports: 1,
        timeout: deadline,
        ..Default::default()
    };
    // SAFETY: SCHEDOP_poll takes a sched_poll, and reads `nr_ports` ports through it.
    unsafe { command(hypercalls, __HYPERVISOR_sched_op, SCHEDOP_poll, &mut argument) }.map(drop)
}
