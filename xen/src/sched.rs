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

use crate::error::Result;
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
