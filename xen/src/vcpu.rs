// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations on one vCPU: `xen/include/public/vcpu.h`.
//!
//! Each vCPU has a one-shot timer that raises `VIRQ_TIMER`, in nanoseconds of the paravirtual
//! [clock](crate::time::Clock); a time that is past raises it at once, so none is ever missed. PV vCPUs are
//! born with a periodic timer of 100 Hz besides, which keeps an idle domain awake until it is stopped.
//!
//! # Examples
//!
//! ```
//! use xen::{Errno, fake::FakeXen, vcpu};
//!
//! let xen = FakeXen::new();
//! vcpu::stop_periodic_timer(&xen, 0)?;
//! vcpu::set_singleshot_timer(&xen, 0, 2_000_000)?;
//! assert_eq!(xen.timer(), Some(2_000_000));
//!
//! // How vCPUs are counted: the first that does not exist.
//! let count = (0..).find(|&number| vcpu::is_up(&xen, number).is_err());
//! assert_eq!(count, Some(2));
//! # Ok::<(), Errno>(())
//! ```

use xen_sys::arch_x86::xen::vcpu_guest_context;
use xen_sys::hvm::hvm_vcpu::vcpu_hvm_context_x86_64;
use xen_sys::vcpu::*;
use xen_sys::xen::__HYPERVISOR_vcpu_op;

use crate::error::{Result, check};
use crate::hypercall::Hypercall;

/// Stops the 100 Hz timer that PV vCPUs are born with; harmless on others.
///
/// # Errors
///
/// [`Errno::NOSYS`](crate::Errno::NOSYS) where there are no per-vCPU timers.
pub fn stop_periodic_timer(hypercalls: &(impl Hypercall + ?Sized), vcpu: u32) -> Result<()> {
    operation(hypercalls, VCPUOP_stop_periodic_timer as u64, vcpu)
}

/// Stops the one-shot timer; also the way to ask whether there is one.
///
/// # Errors
///
/// [`Errno::NOSYS`](crate::Errno::NOSYS) where there are no per-vCPU timers.
pub fn stop_singleshot_timer(hypercalls: &(impl Hypercall + ?Sized), vcpu: u32) -> Result<()> {
    operation(hypercalls, VCPUOP_stop_singleshot_timer as u64, vcpu)
}

/// Raises `VIRQ_TIMER` when the paravirtual clock shows `deadline` nanoseconds; at once if that is
/// past. Only for the vCPU that calls.
///
/// # Errors
///
/// [`Errno::NOSYS`](crate::Errno::NOSYS) where there are no per-vCPU timers, `EINVAL` for another
/// vCPU.
pub fn set_singleshot_timer(hypercalls: &(impl Hypercall + ?Sized), vcpu: u32, deadline: u64) -> Result<()> {
    let argument = vcpu_set_singleshot_timer { timeout_abs_ns: deadline, ..Default::default() };
    // SAFETY: VCPUOP_set_singleshot_timer reads a vcpu_set_singleshot_timer.
    unsafe { with_argument(hypercalls, VCPUOP_set_singleshot_timer, vcpu, &argument) }
}

/// Whether the vCPU runs.
///
/// # Errors
///
/// `ENOENT` if the domain has no such vCPU: this is how they are counted.
pub fn is_up(hypercalls: &(impl Hypercall + ?Sized), vcpu: u32) -> Result<bool> {
    // SAFETY: VCPUOP_is_up takes no pointer.
    check(unsafe {
        hypercalls.issue(__HYPERVISOR_vcpu_op, [u64::from(VCPUOP_is_up), u64::from(vcpu), 0, 0, 0])
    })
    .map(|up| up != 0)
}

/// Sets the first state of a vCPU of a PV domain, once.
///
/// # Safety
///
/// The vCPU will run from that state: it must be that of code on a stack of its own.
///
/// # Errors
///
/// `ENOENT` for a vCPU that the domain does not have, `EEXIST` for one that has a state, `EINVAL`
/// for one from 32 on that has no [`vcpu_info`](register_info) yet.
pub unsafe fn initialise_pv(
    hypercalls: &(impl Hypercall + ?Sized),
    vcpu: u32,
    context: &vcpu_guest_context,
) -> Result<()> {
    // SAFETY: in a PV domain VCPUOP_initialise reads a vcpu_guest_context; the rest is the caller's
    // promise.
    unsafe { with_argument(hypercalls, VCPUOP_initialise, vcpu, context) }
}

/// Sets the first state of a vCPU of an HVM or PVH domain, once.
///
/// # Safety
///
/// As for [`initialise_pv`].
///
/// # Errors
///
/// As for [`initialise_pv`]; [`Errno::NOSYS`](crate::Errno::NOSYS) where vCPUs are started as CPUs
/// of a PC are.
pub unsafe fn initialise_hvm(
    hypercalls: &(impl Hypercall + ?Sized),
    vcpu: u32,
    context: &vcpu_hvm_context_x86_64,
) -> Result<()> {
    // SAFETY: in an HVM domain VCPUOP_initialise reads a vcpu_hvm_context; the rest is the caller's
    // promise.
    unsafe { with_argument(hypercalls, VCPUOP_initialise, vcpu, context) }
}

/// Lets a vCPU run that has a state.
///
/// # Errors
///
/// `EINVAL` for a vCPU without a state.
pub fn up(hypercalls: &(impl Hypercall + ?Sized), vcpu: u32) -> Result<()> {
    operation(hypercalls, u64::from(VCPUOP_up), vcpu)
}

/// Stops a vCPU. The one that calls returns when another one has it go [`up`] again; if all others are
/// down, the domain is switched off.
///
/// # Errors
///
/// `ENOENT` for a vCPU that the domain does not have.
pub fn down(hypercalls: &(impl Hypercall + ?Sized), vcpu: u32) -> Result<()> {
    operation(hypercalls, u64::from(VCPUOP_down), vcpu)
}

/// Sends a vCPU a non-maskable interrupt.
///
/// # Errors
///
/// `ENOENT` for a vCPU that the domain does not have; [`Errno::NOSYS`](crate::Errno::NOSYS) where guests
/// cannot.
pub fn send_nmi(hypercalls: &(impl Hypercall + ?Sized), vcpu: u32) -> Result<()> {
    operation(hypercalls, u64::from(VCPUOP_send_nmi), vcpu)
}

/// Has Xen keep a vCPU's `vcpu_info` at `offset` of frame `frame`: a machine frame in PV domains, the
/// guest's own elsewhere. Only once, by the vCPU itself or while it is down; from vCPU 32 on there
/// is none before (`XEN_LEGACY_MAX_VCPUS`).
///
/// # Safety
///
/// From now on Xen writes the structure there, which must not cross a page: nobody else may use
/// the memory, but as shared.
///
/// # Errors
///
/// `EINVAL` if it was done before.
pub unsafe fn register_info(
    hypercalls: &(impl Hypercall + ?Sized),
    vcpu: u32,
    frame: u64,
    offset: u32,
) -> Result<()> {
    let argument = vcpu_register_vcpu_info { mfn: frame, offset, ..Default::default() };
    // SAFETY: VCPUOP_register_vcpu_info reads a vcpu_register_vcpu_info; the rest is the caller's
    // promise.
    unsafe { with_argument(hypercalls, VCPUOP_register_vcpu_info, vcpu, &argument) }
}

/// A command that reads a structure.
///
/// # Safety
///
/// As for [`Hypercall::issue`]; `command` must read a `T`.
unsafe fn with_argument<T>(
    hypercalls: &(impl Hypercall + ?Sized),
    command: u32,
    vcpu: u32,
    argument: &T,
) -> Result<()> {
    let pointer = (&raw const *argument).expose_provenance() as u64;
    // SAFETY: the pointer is valid for reads of a T; the rest is the caller's promise.
    check(unsafe {
        hypercalls.issue(__HYPERVISOR_vcpu_op, [u64::from(command), u64::from(vcpu), pointer, 0, 0])
    })
    .map(drop)
}

fn operation(hypercalls: &(impl Hypercall + ?Sized), command: u64, vcpu: u32) -> Result<()> {
    // SAFETY: called with commands that take no pointer.
    check(unsafe { hypercalls.issue(__HYPERVISOR_vcpu_op, [command, u64::from(vcpu), 0, 0, 0]) }).map(drop)
}
