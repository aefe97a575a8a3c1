// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory that comes and goes. Machine frames leave the page tables and the list of the domain's frames
//! before Xen takes them, and enter both when Xen has given others. Xen keeps its own table of guest frames
//! by itself.

use xen::Errno;

use super::{p2m, paging, refused};
use crate::hypercall::Hypervisor;
use crate::machine::EXTENTS;

/// Gives pages back to Xen.
///
/// # Safety
///
/// As for [`give_back`](crate::Machine::give_back).
pub(super) unsafe fn give_back(pfns: &[u64], order: u32) -> Result<usize, Errno> {
    if order != 0 {
        return Err(Errno::INVAL);
    }
    let mut mfns = [0; EXTENTS];
    let mut count = 0;
    for (mfn, pfn) in mfns.iter_mut().zip(pfns) {
        // The first one that is not there ends the list.
        let Some(found) = paging::pfn_to_mfn(*pfn) else { break };
        *mfn = found;
        count += 1;
    }
    let (pfns, mfns) = (&pfns[..count], &mfns[..count]);
    let done = match paging::unmap_pages(pfns) {
        // SAFETY: the caller's promise; they are mapped nowhere any more.
        Ok(()) => unsafe { xen::memory::give_back(&Hypervisor, mfns, 0) },
        Err(error) => Err(refused(error)),
    };
    let gone = done.map_or(0, |done| (done as usize).min(count));
    pfns[..gone].iter().for_each(|pfn| p2m::set(*pfn, None));
    if gone < count && paging::map_pages(&pfns[gone..]).is_err() {
        // Without a mapping they are of no more use than if they were gone.
        return Ok(count);
    }
    done.map(|_| gone)
}

/// Has Xen put pages at these frames.
///
/// # Safety
///
/// As for [`populate`](crate::Machine::populate).
pub(super) unsafe fn populate(pfns: &[u64]) -> Result<usize, Errno> {
    let mut mfns = [0; EXTENTS];
    let count = pfns.len().min(EXTENTS);
    mfns[..count].copy_from_slice(&pfns[..count]);
    // SAFETY: the caller's promise.
    let done = unsafe { xen::memory::populate(&Hypervisor, &mut mfns[..count]) }? as usize;
    let (pfns, mfns) = (&pfns[..done.min(count)], &mfns[..done.min(count)]);
    for (pfn, mfn) in pfns.iter().zip(mfns) {
        p2m::set(*pfn, Some(*mfn));
    }
    if let Err(error) = paging::map_pages(pfns) {
        // Without a mapping they are of no use. Those that Xen does not take back are lost.
        let _ = paging::unmap_pages(pfns);
        pfns.iter().for_each(|pfn| p2m::set(*pfn, None));
        // SAFETY: nobody knows of them.
        let _ = unsafe { xen::memory::give_back(&Hypervisor, mfns, 0) };
        return Err(refused(error));
    }
    Ok(pfns.len())
}
