// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much memory a domain has, where it is, and what else appears in it.
//!
//! Commands of [`__HYPERVISOR_memory_op`](crate::xen::__HYPERVISOR_memory_op). Those that only the
//! control tools use are left out.
//!
//! Source: `xen/include/public/memory.h`.

use crate::arch_x86::xen::{XEN_GUEST_HANDLE, xen_pfn_t, xen_ulong_t};
use crate::xen::domid_t;

/// Command: get machine frames (PV). Argument: [`xen_memory_reservation`]; returns the number of
/// extents done.
pub const XENMEM_increase_reservation: u32 = 0;
/// Command: give memory back. Argument: [`xen_memory_reservation`]; returns the number of extents
/// done.
pub const XENMEM_decrease_reservation: u32 = 1;
/// Command: put memory at given frames. Argument: [`xen_memory_reservation`]; returns the number of
/// extents done.
pub const XENMEM_populate_physmap: u32 = 6;

/// Flag of a reservation: machine addresses of at most `x` bits, 0 for any.
pub const fn XENMEMF_address_bits(x: u32) -> u32 {
    x
}

/// The address width in the flags of a reservation.
pub const fn XENMEMF_get_address_bits(x: u32) -> u32 {
    x & 0xff
}

/// Flag of a reservation: prefer NUMA node `x`.
pub const fn XENMEMF_node(x: u32) -> u32 {
    x.wrapping_add(1) << 8
}

/// The NUMA node in the flags of a reservation; `0xff` if there is none.
pub const fn XENMEMF_get_node(x: u32) -> u32 {
    (x >> 8).wrapping_sub(1) & 0xff
}

/// Flag of a reservation: leave the frames to be filled when they are first used.
pub const XENMEMF_populate_on_demand: u32 = 1 << 16;
/// Flag of a reservation: the given NUMA node and no other.
pub const XENMEMF_exact_node_request: u32 = 1 << 17;

/// Flag of a reservation: NUMA node `n` and no other.
pub const fn XENMEMF_exact_node(n: u32) -> u32 {
    XENMEMF_node(n) | XENMEMF_exact_node_request
}

/// Flag of a reservation: the NUMA node is a virtual one.
pub const XENMEMF_vnode: u32 = 1 << 18;

/// Argument of the commands that change a reservation.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_memory_reservation {
    /// Address of an array with the first frame of each extent. Xen writes to it the machine frames
    /// it gives (PV).
    pub extent_start: XEN_GUEST_HANDLE,
    /// Number of extents.
    pub nr_extents: xen_ulong_t,
    /// Size and alignment of each extent: 2^`extent_order` pages.
    pub extent_order: u32,
    /// `XENMEMF_*` flags.
    pub mem_flags: u32,
    /// The domain; [`DOMID_SELF`](crate::xen::DOMID_SELF) unless privileged.
    pub domid: domid_t,
    /// Padding.
    pub _padding: [u16; 3],
}
layout!(xen_memory_reservation: 32 {
    extent_start: 0, nr_extents: 8, extent_order: 16, mem_flags: 20, domid: 24, _padding: 26,
});

/// Command: swap memory for other memory (PV). Argument: [`xen_memory_exchange`].
pub const XENMEM_exchange: u32 = 11;

/// Argument of [`XENMEM_exchange`]. Both sides must have the same size and domain, and their lists
/// must not overlap.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_memory_exchange {
    /// What to give: machine frames.
    pub r#in: xen_memory_reservation,
    /// What to get: the pseudo-physical frames to fill; Xen writes the machine frames there.
    pub out: xen_memory_reservation,
    /// Result: number of extents of `in` that are gone. Must be 0 before the call.
    pub nr_exchanged: xen_ulong_t,
}
layout!(xen_memory_exchange: 72 { r#in: 0, out: 32, nr_exchanged: 64 });

/// Command: returns the largest machine frame of memory. No argument.
pub const XENMEM_maximum_ram_page: u32 = 2;

/// Argument of [`XENMEM_current_reservation`], [`XENMEM_maximum_reservation`] and
/// [`XENMEM_maximum_gpfn`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_memory_domain {
    /// The domain; [`DOMID_SELF`](crate::xen::DOMID_SELF) unless privileged.
    pub domid: domid_t,
}
layout!(xen_memory_domain: 2 { domid: 0 });

/// Command: returns the pages a domain has. Argument: [`xen_memory_domain`].
pub const XENMEM_current_reservation: u32 = 3;
/// Command: returns the pages a domain may have. Argument: [`xen_memory_domain`].
pub const XENMEM_maximum_reservation: u32 = 4;
/// Command: returns the largest guest frame in use. Argument: [`xen_memory_domain`].
pub const XENMEM_maximum_gpfn: u32 = 14;

/// Command: the frames that make up the machine-to-physical table (PV). Argument:
/// [`xen_machphys_mfn_list`].
pub const XENMEM_machphys_mfn_list: u32 = 5;

/// Argument of [`XENMEM_machphys_mfn_list`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_machphys_mfn_list {
    /// Room in the array.
    pub max_extents: u32,
    /// Padding.
    pub _padding: u32,
    /// Address of an array for the first frame of each 2 MiB; 0 for a hole.
    pub extent_start: XEN_GUEST_HANDLE,
    /// Result: number of entries written.
    pub nr_extents: u32,
    /// Padding.
    pub _padding2: u32,
}
layout!(xen_machphys_mfn_list: 24 {
    max_extents: 0, _padding: 4, extent_start: 8, nr_extents: 16, _padding2: 20,
});

/// Command: as [`XENMEM_machphys_mfn_list`] for the table of 32-bit guests.
pub const XENMEM_machphys_compat_mfn_list: u32 = 25;

/// Command: where the machine-to-physical table is (PV). Argument: [`xen_machphys_mapping`].
pub const XENMEM_machphys_mapping: u32 = 12;

/// Argument of [`XENMEM_machphys_mapping`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_machphys_mapping {
    /// Result: first virtual address of the table.
    pub v_start: xen_ulong_t,
    /// Result: first virtual address after the table.
    pub v_end: xen_ulong_t,
    /// Result: largest machine frame that can be looked up.
    pub max_mfn: xen_ulong_t,
}
layout!(xen_machphys_mapping: 24 { v_start: 0, v_end: 8, max_mfn: 16 });

/// What to map: the page of [`shared_info`](crate::xen::shared_info).
pub const XENMAPSPACE_shared_info: u32 = 0;
/// What to map: a page of the grant table.
pub const XENMAPSPACE_grant_table: u32 = 1;
/// What to map: another frame of the guest, which moves.
pub const XENMAPSPACE_gmfn: u32 = 2;
/// What to map: a range of frames, [`XENMEM_add_to_physmap`] only.
pub const XENMAPSPACE_gmfn_range: u32 = 3;
/// What to map: a frame of another domain, [`XENMEM_add_to_physmap_batch`] only.
pub const XENMAPSPACE_gmfn_foreign: u32 = 4;
/// What to map: a device's registers; never on x86.
pub const XENMAPSPACE_dev_mmio: u32 = 5;

/// Command: make a page appear at a guest-physical frame (HVM and PVH). Argument:
/// [`xen_add_to_physmap`].
pub const XENMEM_add_to_physmap: u32 = 7;

/// Bit of [`xen_add_to_physmap::idx`] for a page of the grant table: of the status words of version
/// 2.
pub const XENMAPIDX_grant_table_status: u64 = 0x8000_0000;

/// Argument of [`XENMEM_add_to_physmap`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_add_to_physmap {
    /// The domain; [`DOMID_SELF`](crate::xen::DOMID_SELF) unless privileged.
    pub domid: domid_t,
    /// Number of pages, for [`XENMAPSPACE_gmfn_range`].
    pub size: u16,
    /// One of the `XENMAPSPACE_*`.
    pub space: u32,
    /// Which page of that space.
    pub idx: xen_ulong_t,
    /// Guest-physical frame it shall appear at.
    pub gpfn: xen_pfn_t,
}
layout!(xen_add_to_physmap: 24 { domid: 0, size: 2, space: 4, idx: 8, gpfn: 16 });

/// Command: several [`XENMEM_add_to_physmap`] in one. Argument: [`xen_add_to_physmap_batch`].
pub const XENMEM_add_to_physmap_batch: u32 = 23;

/// Argument of [`XENMEM_add_to_physmap_batch`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_add_to_physmap_batch {
    /// The domain; [`DOMID_SELF`](crate::xen::DOMID_SELF) unless privileged.
    pub domid: domid_t,
    /// One of the `XENMAPSPACE_*`.
    pub space: u16,
    /// Number of pages.
    pub size: u16,
    /// The domain the pages are of, for [`XENMAPSPACE_gmfn_foreign`] (`foreign_domid` in C); else 0.
    pub u: u16,
    /// Address of an array of [`xen_ulong_t`]: which pages.
    pub idxs: XEN_GUEST_HANDLE,
    /// Address of an array of [`xen_pfn_t`]: the guest-physical frames they shall appear at.
    pub gpfns: XEN_GUEST_HANDLE,
    /// Address of an array of `i32` for the results.
    pub errs: XEN_GUEST_HANDLE,
}
layout!(xen_add_to_physmap_batch: 32 {
    domid: 0, space: 2, size: 4, u: 6, idxs: 8, gpfns: 16, errs: 24,
});

/// Command: leave a guest-physical frame empty (HVM and PVH). Argument:
/// [`xen_remove_from_physmap`].
pub const XENMEM_remove_from_physmap: u32 = 15;

/// Argument of [`XENMEM_remove_from_physmap`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_remove_from_physmap {
    /// The domain; [`DOMID_SELF`](crate::xen::DOMID_SELF) unless privileged.
    pub domid: domid_t,
    /// Padding.
    pub _padding: [u16; 3],
    /// Guest-physical frame.
    pub gpfn: xen_pfn_t,
}
layout!(xen_remove_from_physmap: 16 { domid: 0, _padding: 2, gpfn: 8 });

/// Command: the memory map the guest was started with. Argument: [`xen_memory_map`].
pub const XENMEM_memory_map: u32 = 9;

/// Argument of [`XENMEM_memory_map`] and [`XENMEM_machine_memory_map`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_memory_map {
    /// Room in the buffer, in entries. Result: number of entries written.
    pub nr_entries: u32,
    /// Padding.
    pub _padding: u32,
    /// Address of a buffer for entries of 20 bytes, as the BIOS function `E820` gives them: address
    /// (8 bytes), size (8), type (4).
    pub buffer: XEN_GUEST_HANDLE,
}
layout!(xen_memory_map: 16 { nr_entries: 0, _padding: 4, buffer: 8 });

/// Command: the machine's memory map (dom0). Argument: [`xen_memory_map`].
pub const XENMEM_machine_memory_map: u32 = 10;
/// Command: set the memory map of a domain. Argument: [`xen_foreign_memory_map`].
pub const XENMEM_set_memory_map: u32 = 13;

/// Argument of [`XENMEM_set_memory_map`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_foreign_memory_map {
    /// The domain.
    pub domid: domid_t,
    /// Padding.
    pub _padding: [u16; 3],
    /// Its map.
    pub map: xen_memory_map,
}
layout!(xen_foreign_memory_map: 24 { domid: 0, _padding: 2, map: 8 });

/// Command: set how many frames of a guest populated on demand may be filled. Argument:
/// [`xen_pod_target`].
pub const XENMEM_set_pod_target: u32 = 16;
/// Command: get what [`XENMEM_set_pod_target`] sets. Argument: [`xen_pod_target`].
pub const XENMEM_get_pod_target: u32 = 17;

/// Argument of [`XENMEM_set_pod_target`] and [`XENMEM_get_pod_target`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_pod_target {
    /// Pages the guest shall have.
    pub target_pages: u64,
    /// Result: pages it has.
    pub tot_pages: u64,
    /// Result: pages kept to fill frames with.
    pub pod_cache_pages: u64,
    /// Result: frames not yet filled.
    pub pod_entries: u64,
    /// The domain.
    pub domid: domid_t,
    /// Padding.
    pub _padding: [u16; 3],
}
layout!(xen_pod_target: 40 {
    target_pages: 0, tot_pages: 8, pod_cache_pages: 16, pod_entries: 24, domid: 32, _padding: 34,
});

/// Command: map pages that belong to a guest's dealings with Xen. Argument:
/// [`xen_mem_acquire_resource`].
pub const XENMEM_acquire_resource: u32 = 28;
/// What to acquire: pages for requests to a device model.
pub const XENMEM_resource_ioreq_server: u16 = 0;
/// What to acquire: pages of the grant table.
pub const XENMEM_resource_grant_table: u16 = 1;
/// What to acquire: buffer of a vCPU's processor trace.
pub const XENMEM_resource_vmtrace_buf: u16 = 2;
/// Which part of the grant table: the entries.
pub const XENMEM_resource_grant_table_id_shared: u32 = 0;
/// Which part of the grant table: the status words of version 2.
pub const XENMEM_resource_grant_table_id_status: u32 = 1;
/// Which page for requests: the one for buffered requests.
pub const XENMEM_resource_ioreq_server_frame_bufioreq: u64 = 0;

/// Which page for requests: number `n` of those for synchronous requests.
pub const fn XENMEM_resource_ioreq_server_frame_ioreq(n: u64) -> u64 {
    1 + n
}

/// Argument of [`XENMEM_acquire_resource`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_mem_acquire_resource {
    /// The domain the pages are of.
    pub domid: domid_t,
    /// One of the `XENMEM_resource_*` above.
    pub r#type: u16,
    /// Which one of that type.
    pub id: u32,
    /// Number of pages. Result: how many there are, if it was 0 and there is no list.
    pub nr_frames: u32,
    /// Zero.
    pub pad: u32,
    /// The first page.
    pub frame: u64,
    /// Address of an array of [`xen_pfn_t`]: guest-physical frames to map at; a PV guest receives
    /// machine frames in it.
    pub frame_list: XEN_GUEST_HANDLE,
}
layout!(xen_mem_acquire_resource: 32 {
    domid: 0, r#type: 2, id: 4, nr_frames: 8, pad: 12, frame: 16, frame_list: 24,
});

/// Command: the guest's virtual NUMA nodes. Argument: [`xen_vnuma_topology_info`].
pub const XENMEM_get_vnumainfo: u32 = 26;

/// Memory of a virtual NUMA node.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_vmemrange {
    /// First guest-physical address.
    pub start: u64,
    /// First guest-physical address after it.
    pub end: u64,
    /// Zero.
    pub flags: u32,
    /// The node.
    pub nid: u32,
}
layout!(xen_vmemrange: 24 { start: 0, end: 8, flags: 16, nid: 20 });

/// Argument of [`XENMEM_get_vnumainfo`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_vnuma_topology_info {
    /// The domain.
    pub domid: domid_t,
    /// Zero.
    pub pad: u16,
    /// Room for nodes. Result: their number.
    pub nr_vnodes: u32,
    /// Room for vCPUs. Result: their number.
    pub nr_vcpus: u32,
    /// Room for ranges. Result: their number.
    pub nr_vmemranges: u32,
    /// Address of a matrix of `u32`: distances from node to node.
    pub vdistance: XEN_GUEST_HANDLE,
    /// Address of an array of `u32`: the node of each vCPU.
    pub vcpu_to_vnode: XEN_GUEST_HANDLE,
    /// Address of an array of [`xen_vmemrange`].
    pub vmemrange: XEN_GUEST_HANDLE,
}
layout!(xen_vnuma_topology_info: 40 {
    domid: 0, pad: 2, nr_vnodes: 4, nr_vcpus: 8, nr_vmemranges: 12, vdistance: 16,
    vcpu_to_vnode: 24, vmemrange: 32,
});
