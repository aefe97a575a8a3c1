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

/// Gives memory of the domain's back to Xen: extents of 2^`order` pages, 9 at most, which begin at these
/// frames (HVM and PVH: the domain's own numbers; PV: the machine's). Returns how many extents Xen has taken,
/// from the first one on; it stops at one that it cannot take.
///
/// # Safety
///
/// Nobody uses the pages any more, and nothing is shared with others that is in them. A PV domain has them
/// mapped nowhere.
///
/// # Errors
///
/// [`Errno::NOSYS`](crate::Errno::NOSYS) in QEMU's Xen emulation; else what Xen answers.
///
/// # Examples
///
/// ```
/// use xen::{fake::FakeXen, memory};
///
/// let xen = FakeXen::new();
/// let frames = xen.populate(3);
/// assert_eq!(memory::current_reservation(&xen)?, 3);
/// // SAFETY: nobody uses them.
/// assert_eq!(unsafe { memory::give_back(&xen, &frames[..2], 0)? }, 2);
/// assert_eq!(memory::current_reservation(&xen)?, 1);
/// # Ok::<(), xen::Errno>(())
/// ```
pub unsafe fn give_back(hypercalls: &(impl Hypercall + ?Sized), extents: &[u64], order: u32) -> Result<u64> {
    let mut argument = reservation(extents.as_ptr().expose_provenance(), extents.len(), order);
    // SAFETY: XENMEM_decrease_reservation takes a xen_memory_reservation, and reads its extents; the rest is
    // the caller's promise.
    unsafe { command(hypercalls, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, &mut argument) }
}

/// Has Xen put a page at each of these frames, in the domain's own numbers, and returns how many it has put
/// there, from the first one on. In a PV domain the machine's numbers of those pages replace them; the
/// domain's own table of them, and page tables, are for the caller. What is in the pages is not told.
///
/// # Safety
///
/// There is nothing at these frames: what is there is lost.
///
/// # Errors
///
/// [`Errno::NOSYS`](crate::Errno::NOSYS) in QEMU's Xen emulation; else what Xen answers. If it has no memory,
/// or the domain has as much as it may, that is no error, but fewer pages.
///
/// # Examples
///
/// ```
/// use xen::{fake::FakeXen, memory};
///
/// let xen = FakeXen::new();
/// xen.set_max_pages(2);
/// let mut frames = [0x5000, 0x5001, 0x5002];
/// // SAFETY: nothing is there.
/// assert_eq!(unsafe { memory::populate(&xen, &mut frames)? }, 2);
/// # Ok::<(), xen::Errno>(())
/// ```
pub unsafe fn populate(hypercalls: &(impl Hypercall + ?Sized), frames: &mut [u64]) -> Result<u64> {
    let mut argument = reservation(frames.as_mut_ptr().expose_provenance(), frames.len(), 0);
    // SAFETY: XENMEM_populate_physmap takes a xen_memory_reservation, and reads and writes its extents; the
    // rest is the caller's promise.
    unsafe { command(hypercalls, __HYPERVISOR_memory_op, XENMEM_populate_physmap, &mut argument) }
}

fn reservation(extents: usize, count: usize, order: u32) -> xen_memory_reservation {
    xen_memory_reservation {
        extent_start: extents as u64,
        nr_extents: count as u64,
        extent_order: order,
        mem_flags: 0,
        domid: DOMID_SELF as _,
        _padding: [0; 3],
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Errno;
    use crate::fake::{Call, Config, FakeXen, Kind};

    #[test]
    fn pages_that_are_given_back_can_be_had_again() {
        let xen = FakeXen::new();
        let mut frames = xen.populate(10);
        // SAFETY: nobody uses them.
        assert_eq!(unsafe { give_back(&xen, &frames, 0) }, Ok(10));
        assert_eq!(current_reservation(&xen), Ok(0));
        let before = frames.clone();
        // SAFETY: they were just given back.
        assert_eq!(unsafe { populate(&xen, &mut frames) }, Ok(10));
        assert_eq!((current_reservation(&xen), frames), (Ok(10), before));
    }

    #[test]
    fn what_cannot_be_taken_back_ends_the_list() {
        let xen = FakeXen::new();
        let frames = xen.populate(3);
        // SAFETY: nobody uses them.
        assert_eq!(unsafe { give_back(&xen, &[frames[0], 0x6666, frames[2]], 0) }, Ok(1));
        assert_eq!(current_reservation(&xen), Ok(2));
    }

    #[test]
    fn large_extents_are_given_back_as_a_whole() {
        let xen = FakeXen::new();
        let frames = xen.populate(8);
        // SAFETY: nobody uses them.
        assert_eq!(unsafe { give_back(&xen, &[frames[0], frames[4]], 2) }, Ok(2));
        assert_eq!(xen.count(Call::memory(XENMEM_decrease_reservation)), 1);
        assert_eq!(current_reservation(&xen), Ok(0));
    }

    #[test]
    fn a_pv_domain_is_told_the_machines_frames() {
        let xen = FakeXen::with(Config { kind: Kind::Pv, ..Config::default() });
        let mut frames = [7, 8];
        // SAFETY: nothing is there.
        assert_eq!(unsafe { populate(&xen, &mut frames) }, Ok(2));
        assert!(frames.iter().all(|frame| xen.frame(crate::grant::Frame(*frame)).is_some()));
        // SAFETY: nobody uses them.
        assert_eq!(unsafe { give_back(&xen, &frames, 0) }, Ok(2));
        assert!(frames.iter().all(|frame| xen.frame(crate::grant::Frame(*frame)).is_none()));
    }

    #[test]
    fn a_limit_is_no_error_but_a_missing_hypercall_is() {
        let xen = FakeXen::new();
        xen.set_max_pages(1);
        // SAFETY: nothing is there.
        assert_eq!(unsafe { populate(&xen, &mut [0x9000, 0x9001]) }, Ok(1));
        // SAFETY: nothing is there.
        assert_eq!(unsafe { populate(&xen, &mut [0x9001]) }, Ok(0));
        xen.remove(Call::memory(XENMEM_populate_physmap), Errno::NOSYS);
        // SAFETY: nothing is there.
        assert_eq!(unsafe { populate(&xen, &mut [0x9001]) }, Err(Errno::NOSYS));
    }
}
