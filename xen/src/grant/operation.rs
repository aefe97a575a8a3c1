// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hypercall for commands of the grant table.

use xen_sys::xen::__HYPERVISOR_grant_table_op;

use super::Result;
use crate::error::check;
use crate::{Errno, Hypercall};

/// Has Xen work through `arguments`, an array of what `command` (`GNTTABOP_*`) takes. Each holds
/// its own status afterwards.
///
/// # Safety
///
/// As for [`Hypercall::issue`]; `command` must expect elements of type `T`.
pub(super) unsafe fn operate<T>(
    hypercalls: &(impl Hypercall + ?Sized),
    command: u32,
    arguments: &mut [T],
) -> Result<()> {
    let count = u32::try_from(arguments.len()).map_err(|_| Errno::INVAL)?;
    let pointer = arguments.as_mut_ptr().expose_provenance() as u64;
    let arguments = [u64::from(command), pointer, u64::from(count), 0, 0];
    // SAFETY: the pointer is valid for reads and writes of `count` Ts; the rest is the caller's promise.
    check(unsafe { hypercalls.issue(__HYPERVISOR_grant_table_op, arguments) })?;
    Ok(())
}
