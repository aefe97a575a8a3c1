// SPDX-License-Identifier: MIT OR Apache-2.0
//! The domain's memory as Xen sees it: `xen/include/public/memory.h`.
//!
//! Frames are counted in the domain's own numbers (`gfn`): guest-physical in HVM and PVH domains,
//! pseudo-physical in PV domains. The memory map is a table of E820 entries, 20 bytes each: where, how
//! long, of what kind (ACPI specification, "Address Range Types"). It is foreign data, and for the
//! caller to parse.
//!
//! # Examples
//!
//! ```
//! use xen::fake::FakeXen;
//! use xen::memory::{self, MAP_ENTRY_BYTES};
//!
//! let mut entry = [0; MAP_ENTRY_BYTES];
//! entry[8..16].copy_from_slice(&(64u64 << 20).to_le_bytes()); // 64 MiB from 0 on
//! entry[16] = 1; // usable
//! let xen = FakeXen::new();
//! xen.set_memory_map(&entry);
//!
//! let mut buffer = [0; 128 * MAP_ENTRY_BYTES];
//! assert_eq!(memory::map(&xen, &mut buffer)?, entry);
//! # Ok::<(), xen::Errno>(())
//! ```

use xen_sys::memory::*;
use xen_sys::xen::{__HYPERVISOR_memory_op, DOMID_SELF};

use crate::error::Result;
use crate::hypercall::{Hypercall, command};

/// Size of an entry of the map that [`map`] fills in: an E820 entry as a BIOS lays it down.
pub const MAP_ENTRY_BYTES: usize = 20;

/// Fills `buffer` with the domain's E820 map, and returns the bytes used.
///
/// # Errors
///
/// [`Errno::NOSYS`](crate::Errno::NOSYS) in QEMU's Xen emulation, and in PV domains that the
/// toolstack gave no map.
pub fn map<'a>(hypercalls: &(impl Hypercall + ?Sized), buffer: &'a mut [u8]) -> Result<&'a [u8]> {
    let mut argument = xen_memory_map {
        nr_entries: (buffer.len() / MAP_ENTRY_BYTES) as _,
        buffer: buffer.as_mut_ptr().expose_provenance() as u64,
        ..Default::default()
    };
    // SAFETY: XENMEM_memory_map takes a xen_memory_map, and writes at most `nr_entries` entries.
    unsafe { command(hypercalls, __HYPERVISOR_memory_op, XENMEM_memory_map, &mut argument)? };
    let used = (argument.nr_entries as usize).saturating_mul(MAP_ENTRY_BYTES).min(buffer.len());
    Ok(buffer.get(..used).unwrap_or_default())
}

/// How many pages the domain has, those of devices among them. Its map may tell of more: memory that is
/// populated on demand (`maxmem` above `memory` in `xl.cfg`) is there from the beginning only as far as that.
///
/// # Errors
///
/// [`Errno::NOSYS`](crate::Errno::NOSYS) in QEMU's Xen emulation.
///
/// # Examples
///
/// ```
/// use xen::{fake::FakeXen, memory};
///
/// let xen = FakeXen::new();
/// xen.set_pages(16384);
/// assert_eq!(memory::current_reservation(&xen)?, 16384);
/// # Ok::<(), xen::Errno>(())
/// ```
pub fn current_reservation(hypercalls: &(impl Hypercall + ?Sized)) -> Result<u64> {
    let mut argument = xen_memory_domain { domid: DOMID_SELF as _ };
    // SAFETY: XENMEM_current_reservation takes a domain's number, as xen_memory_domain has it.
    unsafe { command(hypercalls, __HYPERVISOR_memory_op, XENMEM_current_reservation, &mut argument) }
}

/// Puts Xen's `shared_info` at guest frame `frame` (HVM and PVH).
///
/// # Safety
///
/// What was at that frame before is gone: nothing may use it.
///
/// # Errors
///
/// What Xen answers.
pub unsafe fn add_shared_info(hypercalls: &(impl Hypercall + ?Sized), frame: u64) -> Result<()> {
    let mut argument = xen_add_to_physmap {
        domid: DOMID_SELF as _,
        space: XENMAPSPACE_shared_info as _,
        idx: 0,
        gpfn: frame,
        ..Default::default()
    };
    // SAFETY: XENMEM_add_to_physmap takes a xen_add_to_physmap; the caller gave the frame up.
    unsafe { command(hypercalls, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, &mut argument) }.map(drop)
}
