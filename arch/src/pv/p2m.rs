// SPDX-License-Identifier: MIT OR Apache-2.0
//! Publishes the list of the domain's frames (P2M) for the toolstack. Without it `xl dump-core` finds no
//! memory.
//!
//! It is the domain builder's list, and never changes: mapping a page of Xen's or of another domain in place
//! of one of ours changes only its page-table entry (`struct arch_shared_info` of
//! `xen/include/public/arch-x86/xen.h`).

use core::mem::offset_of;

use xen::shared::Shared;
use xen_sys::xen::shared_info;

use super::{LAYOUT, paging};

/// There is no list in the older form, a tree of frames.
const NO_TREE: u64 = u64::MAX;

/// Publishes the list in `page`. The kernel's own page tables, in which it is mapped, are in use.
pub(super) fn publish(page: Shared<shared_info>) {
    let (Some(layout), Some(top)) = (LAYOUT.get(), paging::top_frame()) else { return };
    let fields = [
        (offset_of!(shared_info, arch.max_pfn), layout.nr_pages),
        (offset_of!(shared_info, arch.pfn_to_mfn_frame_list_list), NO_TREE),
        (offset_of!(shared_info, arch.p2m_vaddr), layout.mfn_list),
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
