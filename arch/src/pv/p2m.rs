// SPDX-License-Identifier: MIT OR Apache-2.0
//! The list of the domain's frames (P2M), and publishing it for the toolstack. Without it `xl dump-core`
//! finds no memory.
//!
//! It is the domain builder's list, or a longer copy where the domain may have more memory later. Mapping a
//! page of Xen's or of another domain in place of one of ours changes only its page-table entry; ballooning
//! changes the list (`struct arch_shared_info` of `xen/include/public/arch-x86/xen.h`).

use core::mem::offset_of;

use spin::Once;
use xen::shared::Shared;
use xen_sys::xen::shared_info;

use super::{LAYOUT, paging};

/// There is no list in the older form, a tree of frames.
const NO_TREE: u64 = u64::MAX;

/// What the list says where there is no memory (`INVALID_P2M_ENTRY` of Linux).
const NO_FRAME: u64 = u64::MAX;

/// A list of frames.
#[derive(Clone, Copy)]
struct List {
    address: u64,
    pfns: u64,
}

/// The list, if it was moved.
static MOVED: Once<List> = Once::new();

fn list() -> Option<List> {
    let of_builder = || LAYOUT.get().map(|layout| List { address: layout.mfn_list, pfns: layout.nr_pages });
    MOVED.get().copied().or_else(of_builder)
}

impl List {
    /// Where the entry for guest frame `pfn` is, if it has one.
    fn entry(self, pfn: u64) -> Option<u64> {
        (pfn < self.pfns).then_some(self.address + pfn * 8)
    }
}

/// What the list has for guest frame `pfn`; `None` beyond its end.
pub(super) fn get(pfn: u64) -> Option<u64> {
    let entry = list()?.entry(pfn)?;
    // SAFETY: an entry of the list, which is mapped and aligned.
    Some(unsafe { core::ptr::with_exposed_provenance::<u64>(entry as usize).read_volatile() })
}

/// Notes that machine frame `mfn`, or none, is at guest frame `pfn`, one of the list's.
pub(super) fn set(pfn: u64, mfn: Option<u64>) {
    if let Some(entry) = list().and_then(|list| list.entry(pfn)) {
        write(entry, mfn);
    }
}

fn write(entry: u64, mfn: Option<u64>) {
    let entry = core::ptr::with_exposed_provenance_mut::<u64>(entry as usize);
    // SAFETY: an entry of a list, which is mapped for reading and writing, and aligned.
    unsafe { entry.write_volatile(mfn.unwrap_or(NO_FRAME)) };
}

/// Goes on with a copy of the list at `address` that has room for `pfns` frames.
///
/// # Safety
///
/// The memory there is mapped, page aligned, and for good nobody else's.
pub(super) unsafe fn move_to(address: u64, pfns: u64) {
    let copy = List { address, pfns };
    for pfn in 0..pfns {
        write(address + pfn * 8, get(pfn));
    }
    MOVED.call_once(|| copy);
}

/// Publishes the list in `page`. The kernel's own page tables, in which it is mapped, are in use.
pub(super) fn publish(page: Shared<shared_info>) {
    let (Some(list), Some(top)) = (list(), paging::top_frame()) else { return };
    let fields = [
        (offset_of!(shared_info, arch.max_pfn), list.pfns),
        (offset_of!(shared_info, arch.pfn_to_mfn_frame_list_list), NO_TREE),
        (offset_of!(shared_info, arch.p2m_vaddr), list.address),
        (offset_of!(shared_info, arch.p2m_generation), 0),
        // This one makes the others count.
        (offset_of!(shared_info, arch.p2m_cr3), top << 12),
    ];
    for (offset, value) in fields {
        if let Some(field) = page.field::<u64>(offset) {
            field.write(value);
        }
    }
}
