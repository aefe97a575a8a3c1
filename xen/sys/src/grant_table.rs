// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grant tables: how a domain lets others into some of its pages.
//!
//! The granter fills entries of its table, which Xen reads and marks in use; the grantee maps or
//! copies by commands of [`__HYPERVISOR_grant_table_op`](crate::xen::__HYPERVISOR_grant_table_op),
//! each of which takes an array of its argument.
//!
//! Source: `xen/include/public/grant_table.h`.

use crate::arch_x86::xen::{XEN_GUEST_HANDLE, xen_pfn_t};
use crate::xen::domid_t;

/// Index of an entry in a domain's grant table.
pub type grant_ref_t = u32;

/// An entry of a version 1 table. Write `flags` last, and take it back by compare-and-exchange.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct grant_entry_v1 {
    /// `GTF_*`: type and permissions from the guest, use marks from Xen.
    pub flags: u16,
    /// The domain let in.
    pub domid: domid_t,
    /// The frame it may use: guest-physical, for PV machine.
    pub frame: u32,
}
layout!(grant_entry_v1: 8 { flags: 0, domid: 2, frame: 4 });

/// Number of entries at the start of a table that the tools may fill before the guest starts.
pub const GNTTAB_NR_RESERVED_ENTRIES: u32 = 8;
/// The entry of the console page.
pub const GNTTAB_RESERVED_CONSOLE: grant_ref_t = 0;
/// The entry of the xenstore page.
pub const GNTTAB_RESERVED_XENSTORE: grant_ref_t = 1;

/// Type of an entry: not in use.
pub const GTF_invalid: u16 = 0;
/// Type of an entry: the domain may use the frame.
pub const GTF_permit_access: u16 = 1;
/// Type of an entry: the domain may hand over a page of its own (PV).
pub const GTF_accept_transfer: u16 = 2;
/// Type of an entry: the domain may use what another domain granted to this one (version 2).
pub const GTF_transitive: u16 = 3;
/// The bits of an entry's flags that hold the type.
pub const GTF_type_mask: u16 = 3;

/// Bit number of [`GTF_readonly`].
pub const _GTF_readonly: u16 = 2;
/// Flag of an entry, by the guest: reading only.
pub const GTF_readonly: u16 = 1 << _GTF_readonly;
/// Bit number of [`GTF_reading`].
pub const _GTF_reading: u16 = 3;
/// Flag of an entry, by Xen: in use for reading.
pub const GTF_reading: u16 = 1 << _GTF_reading;
/// Bit number of [`GTF_writing`].
pub const _GTF_writing: u16 = 4;
/// Flag of an entry, by Xen: in use for writing.
pub const GTF_writing: u16 = 1 << _GTF_writing;
/// Bit number of [`GTF_PWT`].
pub const _GTF_PWT: u16 = 5;
/// Flag of an entry, by the guest: mappings get this cache attribute bit.
pub const GTF_PWT: u16 = 1 << _GTF_PWT;
/// Bit number of [`GTF_PCD`].
pub const _GTF_PCD: u16 = 6;
/// Flag of an entry, by the guest: mappings get this cache attribute bit.
pub const GTF_PCD: u16 = 1 << _GTF_PCD;
/// Bit number of [`GTF_PAT`].
pub const _GTF_PAT: u16 = 7;
/// Flag of an entry, by the guest: mappings get this cache attribute bit.
pub const GTF_PAT: u16 = 1 << _GTF_PAT;
/// Bit number of [`GTF_sub_page`].
pub const _GTF_sub_page: u16 = 8;
/// Flag of an entry, by the guest: part of the page, for copying only (version 2).
pub const GTF_sub_page: u16 = 1 << _GTF_sub_page;

/// Bit number of [`GTF_transfer_committed`].
pub const _GTF_transfer_committed: u16 = 2;
/// Flag of a [`GTF_accept_transfer`] entry, by Xen: a transfer is under way, hands off.
pub const GTF_transfer_committed: u16 = 1 << _GTF_transfer_committed;
/// Bit number of [`GTF_transfer_completed`].
pub const _GTF_transfer_completed: u16 = 3;
/// Flag of a [`GTF_accept_transfer`] entry, by Xen: the page is here, its machine frame in the
/// entry.
pub const GTF_transfer_completed: u16 = 1 << _GTF_transfer_completed;

/// What every version 2 entry starts with.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct grant_entry_header {
    /// `GTF_*`: type and permissions. Use marks are in a [`grant_status_t`] instead.
    pub flags: u16,
    /// The domain let in.
    pub domid: domid_t,
}
layout!(grant_entry_header: 4 { flags: 0, domid: 2 });

/// An entry of a version 2 table, as 16 bytes; in C a union. What they mean is in
/// [`grant_entry_v2_full_page`], [`grant_entry_v2_sub_page`] and [`grant_entry_v2_transitive`].
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct grant_entry_v2 {
    /// The bytes. The low half of the first word is the flags, the high half the domain.
    pub __spacer: [u32; 4],
}
layout!(grant_entry_v2: 16 { __spacer: 0 });

/// A version 2 entry for a whole page.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct grant_entry_v2_full_page {
    /// Type, permissions, domain.
    pub hdr: grant_entry_header,
    /// Unused.
    pub pad0: u32,
    /// The frame, as in version 1.
    pub frame: u64,
}
layout!(grant_entry_v2_full_page: 16 { hdr: 0, pad0: 4, frame: 8 });

/// A version 2 entry for part of a page, with [`GTF_sub_page`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct grant_entry_v2_sub_page {
    /// Type, permissions, domain.
    pub hdr: grant_entry_header,
    /// Where the part begins, in bytes.
    pub page_off: u16,
    /// Size of the part in bytes.
    pub length: u16,
    /// The frame.
    pub frame: u64,
}
layout!(grant_entry_v2_sub_page: 16 { hdr: 0, page_off: 4, length: 6, frame: 8 });

/// A version 2 entry of type [`GTF_transitive`]; the last 4 of the 16 bytes are unused.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct grant_entry_v2_transitive {
    /// Type, permissions, domain.
    pub hdr: grant_entry_header,
    /// The domain that owns the page.
    pub trans_domid: domid_t,
    /// Unused.
    pub pad0: u16,
    /// Its grant to this domain.
    pub gref: grant_ref_t,
}
layout!(grant_entry_v2_transitive: 12 { hdr: 0, trans_domid: 4, pad0: 6, gref: 8 });

/// Use marks of a version 2 entry, by Xen: [`GTF_reading`] and [`GTF_writing`].
pub type grant_status_t = u16;

/// Command: map a granted page. Argument: [`gnttab_map_grant_ref`].
pub const GNTTABOP_map_grant_ref: u32 = 0;
/// Command: undo a mapping. Argument: [`gnttab_unmap_grant_ref`].
pub const GNTTABOP_unmap_grant_ref: u32 = 1;
/// Command: make the caller's table larger, and learn its frames. Argument: [`gnttab_setup_table`].
pub const GNTTABOP_setup_table: u32 = 2;
/// Command: print a table on Xen's console. Argument: [`gnttab_dump_table`].
pub const GNTTABOP_dump_table: u32 = 3;
/// Command: hand a page over (PV). Argument: [`gnttab_transfer`].
pub const GNTTABOP_transfer: u32 = 4;
/// Command: copy within one page to another. Argument: [`gnttab_copy`].
pub const GNTTABOP_copy: u32 = 5;
/// Command: ask for a table's size. Argument: [`gnttab_query_size`].
pub const GNTTABOP_query_size: u32 = 6;
/// Command: undo a mapping and put another in its place (PV). Argument:
/// [`gnttab_unmap_and_replace`].
pub const GNTTABOP_unmap_and_replace: u32 = 7;
/// Command: choose the version of the caller's table. Argument: [`gnttab_set_version`].
pub const GNTTABOP_set_version: u32 = 8;
/// Command: learn the frames of a version 2 table's use marks. Argument:
/// [`gnttab_get_status_frames`].
pub const GNTTABOP_get_status_frames: u32 = 9;
/// Command: ask for a table's version. Argument: [`gnttab_get_version`].
pub const GNTTABOP_get_version: u32 = 10;
/// Command: swap two entries of the caller's table. Argument: [`gnttab_swap_grant_ref`].
pub const GNTTABOP_swap_grant_ref: u32 = 11;
/// Command: clean or drop cache lines of a granted page. Argument: [`gnttab_cache_flush`].
pub const GNTTABOP_cache_flush: u32 = 12;

/// Number of a mapping, as [`GNTTABOP_map_grant_ref`] returns it.
pub type grant_handle_t = u32;

/// Argument of [`GNTTABOP_map_grant_ref`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct gnttab_map_grant_ref {
    /// Where to map: virtual address (PV) or guest-physical address, or with
    /// [`GNTMAP_contains_pte`] the machine address of a page-table entry.
    pub host_addr: u64,
    /// `GNTMAP_*` flags.
    pub flags: u32,
    /// The granter's entry.
    pub r#ref: grant_ref_t,
    /// The granter.
    pub dom: domid_t,
    /// Result: one of the `GNTST_*`.
    pub status: i16,
    /// Result: number of the mapping.
    pub handle: grant_handle_t,
    /// Result: address of the page for devices, with [`GNTMAP_device_map`].
    pub dev_bus_addr: u64,
}
layout!(gnttab_map_grant_ref: 32 {
    host_addr: 0, flags: 8, r#ref: 12, dom: 16, status: 18, handle: 20, dev_bus_addr: 24,
});

/// Argument of [`GNTTABOP_unmap_grant_ref`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct gnttab_unmap_grant_ref {
    /// The address it was mapped at; 0 to keep that.
    pub host_addr: u64,
    /// The address for devices; 0 to keep that.
    pub dev_bus_addr: u64,
    /// Number of the mapping.
    pub handle: grant_handle_t,
    /// Result: one of the `GNTST_*`.
    pub status: i16,
    /// Padding.
    pub _padding: u16,
}
layout!(gnttab_unmap_grant_ref: 24 { host_addr: 0, dev_bus_addr: 8, handle: 16, status: 20, _padding: 22 });

/// Argument of [`GNTTABOP_setup_table`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct gnttab_setup_table {
    /// The domain; [`DOMID_SELF`](crate::xen::DOMID_SELF) unless privileged.
    pub dom: domid_t,
    /// Padding.
    pub _padding: u16,
    /// Frames the table shall have at least.
    pub nr_frames: u32,
    /// Result: one of the `GNTST_*`.
    pub status: i16,
    /// Padding.
    pub _padding2: [u16; 3],
    /// Address of an array of [`xen_pfn_t`] for the table's frames.
    pub frame_list: XEN_GUEST_HANDLE,
}
layout!(gnttab_setup_table: 24 {
    dom: 0, _padding: 2, nr_frames: 4, status: 8, _padding2: 10, frame_list: 16,
});

/// Argument of [`GNTTABOP_dump_table`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct gnttab_dump_table {
    /// The domain; [`DOMID_SELF`](crate::xen::DOMID_SELF) unless privileged.
    pub dom: domid_t,
    /// Result: one of the `GNTST_*`.
    pub status: i16,
}
layout!(gnttab_dump_table: 4 { dom: 0, status: 2 });

/// Argument of [`GNTTABOP_transfer`]. The page is lost even on failure, except on
/// [`GNTST_bad_page`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct gnttab_transfer {
    /// Machine frame of the page.
    pub mfn: xen_pfn_t,
    /// The domain to get it.
    pub domid: domid_t,
    /// Padding.
    pub _padding: u16,
    /// Its entry of type [`GTF_accept_transfer`].
    pub r#ref: grant_ref_t,
    /// Result: one of the `GNTST_*`.
    pub status: i16,
    /// Padding.
    pub _padding2: [u16; 3],
}
layout!(gnttab_transfer: 24 { mfn: 0, domid: 8, _padding: 10, r#ref: 12, status: 16, _padding2: 18 });

/// Bit number of [`GNTCOPY_source_gref`].
pub const _GNTCOPY_source_gref: u16 = 0;
/// Flag of a copy: the source is a grant.
pub const GNTCOPY_source_gref: u16 = 1 << _GNTCOPY_source_gref;
/// Bit number of [`GNTCOPY_dest_gref`].
pub const _GNTCOPY_dest_gref: u16 = 1;
/// Flag of a copy: the destination is a grant.
pub const GNTCOPY_dest_gref: u16 = 1 << _GNTCOPY_dest_gref;

/// One side of a [`gnttab_copy`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct gnttab_copy_ptr {
    /// A frame (`gmfn` in C), or in its low 32 bits a [`grant_ref_t`] (`ref`), as the flags say.
    pub u: u64,
    /// The domain: the granter, or [`DOMID_SELF`](crate::xen::DOMID_SELF) for a frame.
    pub domid: domid_t,
    /// Byte offset in the page.
    pub offset: u16,
    /// Padding.
    pub _padding: u32,
}
layout!(gnttab_copy_ptr: 16 { u: 0, domid: 8, offset: 10, _padding: 12 });

/// Argument of [`GNTTABOP_copy`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct gnttab_copy {
    /// Where to copy from.
    pub source: gnttab_copy_ptr,
    /// Where to copy to.
    pub dest: gnttab_copy_ptr,
    /// Number of bytes; neither side may reach past its page.
    pub len: u16,
    /// `GNTCOPY_*` flags.
    pub flags: u16,
    /// Result: one of the `GNTST_*`.
    pub status: i16,
    /// Padding.
    pub _padding: u16,
}
layout!(gnttab_copy: 40 { source: 0, dest: 16, len: 32, flags: 34, status: 36, _padding: 38 });

/// Argument of [`GNTTABOP_query_size`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct gnttab_query_size {
    /// The domain; [`DOMID_SELF`](crate::xen::DOMID_SELF) unless privileged.
    pub dom: domid_t,
    /// Padding.
    pub _padding: u16,
    /// Result: frames its table has.
    pub nr_frames: u32,
    /// Result: frames its table may have.
    pub max_nr_frames: u32,
    /// Result: one of the `GNTST_*`.
    pub status: i16,
    /// Padding.
    pub _padding2: u16,
}
layout!(gnttab_query_size: 16 {
    dom: 0, _padding: 2, nr_frames: 4, max_nr_frames: 8, status: 12, _padding2: 14,
});

/// Argument of [`GNTTABOP_unmap_and_replace`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct gnttab_unmap_and_replace {
    /// The address it was mapped at.
    pub host_addr: u64,
    /// The address whose mapping moves there.
    pub new_addr: u64,
    /// Number of the mapping.
    pub handle: grant_handle_t,
    /// Result: one of the `GNTST_*`.
    pub status: i16,
    /// Padding.
    pub _padding: u16,
}
layout!(gnttab_unmap_and_replace: 24 { host_addr: 0, new_addr: 8, handle: 16, status: 20, _padding: 22 });

/// Argument of [`GNTTABOP_set_version`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct gnttab_set_version {
    /// 1 or 2. Result: the version in effect.
    pub version: u32,
}
layout!(gnttab_set_version: 4 { version: 0 });

/// Argument of [`GNTTABOP_get_status_frames`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct gnttab_get_status_frames {
    /// Room in the array.
    pub nr_frames: u32,
    /// The domain; [`DOMID_SELF`](crate::xen::DOMID_SELF) unless privileged.
    pub dom: domid_t,
    /// Result: one of the `GNTST_*`.
    pub status: i16,
    /// Address of an array of `u64` for the frames of the [`grant_status_t`].
    pub frame_list: XEN_GUEST_HANDLE,
}
layout!(gnttab_get_status_frames: 16 { nr_frames: 0, dom: 4, status: 6, frame_list: 8 });

/// Argument of [`GNTTABOP_get_version`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct gnttab_get_version {
    /// The domain; [`DOMID_SELF`](crate::xen::DOMID_SELF) unless privileged.
    pub dom: domid_t,
    /// Unused.
    pub pad: u16,
    /// Result: 1 or 2.
    pub version: u32,
}
layout!(gnttab_get_version: 8 { dom: 0, pad: 2, version: 4 });

/// Argument of [`GNTTABOP_swap_grant_ref`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct gnttab_swap_grant_ref {
    /// One entry.
    pub ref_a: grant_ref_t,
    /// The other.
    pub ref_b: grant_ref_t,
    /// Result: one of the `GNTST_*`.
    pub status: i16,
    /// Padding.
    pub _padding: u16,
}
layout!(gnttab_swap_grant_ref: 12 { ref_a: 0, ref_b: 4, status: 8, _padding: 10 });

/// What to do with cache lines: write them back.
pub const GNTTAB_CACHE_CLEAN: u32 = 1 << 0;
/// What to do with cache lines: drop them.
pub const GNTTAB_CACHE_INVAL: u32 = 1 << 1;
/// Flag of a cache operation: the page is named by a grant, not by an address.
pub const GNTTAB_CACHE_SOURCE_GREF: u32 = 1 << 31;

/// Argument of [`GNTTABOP_cache_flush`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct gnttab_cache_flush {
    /// Address of the page for devices (`dev_bus_addr` in C), or in its low 32 bits a
    /// [`grant_ref_t`] (`ref`).
    pub a: u64,
    /// Byte offset in the page.
    pub offset: u16,
    /// Number of bytes.
    pub length: u16,
    /// `GNTTAB_CACHE_*` bits.
    pub op: u32,
}
layout!(gnttab_cache_flush: 16 { a: 0, offset: 8, length: 10, op: 12 });

/// Bit number of [`GNTMAP_device_map`].
pub const _GNTMAP_device_map: u32 = 0;
/// Flag of a mapping: for devices.
pub const GNTMAP_device_map: u32 = 1 << _GNTMAP_device_map;
/// Bit number of [`GNTMAP_host_map`].
pub const _GNTMAP_host_map: u32 = 1;
/// Flag of a mapping: for CPUs.
pub const GNTMAP_host_map: u32 = 1 << _GNTMAP_host_map;
/// Bit number of [`GNTMAP_readonly`].
pub const _GNTMAP_readonly: u32 = 2;
/// Flag of a mapping: reading only.
pub const GNTMAP_readonly: u32 = 1 << _GNTMAP_readonly;
/// Bit number of [`GNTMAP_application_map`].
pub const _GNTMAP_application_map: u32 = 3;
/// Flag of a mapping: user mode may use it too (PV).
pub const GNTMAP_application_map: u32 = 1 << _GNTMAP_application_map;
/// Bit number of [`GNTMAP_contains_pte`].
pub const _GNTMAP_contains_pte: u32 = 4;
/// Flag of a mapping: the address is that of a page-table entry (PV).
pub const GNTMAP_contains_pte: u32 = 1 << _GNTMAP_contains_pte;
/// Bit number of the lowest bit of [`GNTMAP_guest_avail_mask`].
pub const _GNTMAP_guest_avail0: u32 = 16;
/// The bits of a mapping's flags that go to the bits of the page-table entry that are free for the
/// guest, with [`XENFEAT_gnttab_map_avail_bits`](crate::features::XENFEAT_gnttab_map_avail_bits).
pub const GNTMAP_guest_avail_mask: u32 = !0 << _GNTMAP_guest_avail0;

/// Status: done.
pub const GNTST_okay: i16 = 0;
/// Status: some error.
pub const GNTST_general_error: i16 = -1;
/// Status: there is no such domain.
pub const GNTST_bad_domain: i16 = -2;
/// Status: there is no such grant, or not of this kind.
pub const GNTST_bad_gntref: i16 = -3;
/// Status: there is no such mapping.
pub const GNTST_bad_handle: i16 = -4;
/// Status: the address to map at is wrong.
pub const GNTST_bad_virt_addr: i16 = -5;
/// Status: the address for devices is wrong.
pub const GNTST_bad_dev_addr: i16 = -6;
/// Status: the I/O memory unit has no room.
pub const GNTST_no_device_space: i16 = -7;
/// Status: not allowed.
pub const GNTST_permission_denied: i16 = -8;
/// Status: the page is not one to do this with.
pub const GNTST_bad_page: i16 = -9;
/// Status: the copy reaches past a page.
pub const GNTST_bad_copy_arg: i16 = -10;
/// Status: the transferred page lies too high.
pub const GNTST_address_too_big: i16 = -11;
/// Status: not now; try again.
pub const GNTST_eagain: i16 = -12;
/// Status: out of room.
pub const GNTST_no_space: i16 = -13;
