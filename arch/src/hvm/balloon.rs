// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory that comes and goes. The page tables stay as they are: they map addresses, with or without memory.

use crate::hypercall::Hypervisor;
use crate::machine::EXTENTS;

/// Gives memory back to Xen.
///
/// # Safety
///
/// As for [`give_back`](crate::Machine::give_back).
pub(super) unsafe fn give_back(extents: &[u64], order: u32) -> Result<usize, xen::Errno> {
    let extents = &extents[..extents.len().min(EXTENTS)];
    // SAFETY: the caller's promise.
    unsafe { xen::memory::give_back(&Hypervisor, extents, order) }.map(|done| done as usize)
}

/// Has Xen put memory at these frames.
///
/// # Safety
///
/// As for [`populate`](crate::Machine::populate).
pub(super) unsafe fn populate(pfns: &[u64]) -> Result<usize, xen::Errno> {
    let mut extents = [0; EXTENTS];
    let count = pfns.len().min(EXTENTS);
    extents[..count].copy_from_slice(&pfns[..count]);
    // SAFETY: the caller's promise.
    unsafe { xen::memory::populate(&Hypervisor, &mut extents[..count]) }.map(|done| done as usize)
}
