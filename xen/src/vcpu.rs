// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations on one vCPU: `xen/include/public/vcpu.h`.

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
    let pointer = (&raw const argument).expose_provenance() as u64;
    // SAFETY: VCPUOP_set_singleshot_timer reads a vcpu_set_singleshot_timer.
    check(unsafe {
        hypercalls.issue(
            __HYPERVISOR_vcpu_op,
            [u64::from(VCPUOP_set_singleshot_timer), u64::from(vcpu), pointer, 0, 0],
        )
    })
    .map(drop)
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

fn operation(hypercalls: &(impl Hypercall + ?Sized), command: u64, vcpu: u32) -> Result<()> {
    // SAFETY: called with commands that take no pointer.
    check(unsafe { hypercalls.issue(__HYPERVISOR_vcpu_op, [command, u64::from(vcpu), 0, 0, 0]) }).map(drop)
}
