// SPDX-License-Identifier: MIT OR Apache-2.0
//! Feature bits: what Xen offers to this guest, as
//! [`XENVER_get_features`](crate::version::XENVER_get_features) reports it, and what a kernel image
//! asks for in its [ELF notes](crate::elfnote).
//!
//! Each constant is a bit number.
//!
//! Source: `xen/include/public/features.h`.

/// The guest may write its page tables directly.
pub const XENFEAT_writable_page_tables: u32 = 0;
/// The guest may write its descriptor tables directly.
pub const XENFEAT_writable_descriptor_tables: u32 = 1;
/// Xen translates the guest's frame numbers: the guest never sees machine frames.
pub const XENFEAT_auto_translated_physmap: u32 = 2;
/// The guest runs in ring 0.
pub const XENFEAT_supervisor_mode_kernel: u32 = 3;
/// Page-directory pointers may lie above 4 GiB (32-bit).
pub const XENFEAT_pae_pgdir_above_4gb: u32 = 4;
/// [`MMU_PT_UPDATE_PRESERVE_AD`](crate::xen::MMU_PT_UPDATE_PRESERVE_AD) works.
pub const XENFEAT_mmu_pt_update_preserve_ad: u32 = 5;
/// [`MMUEXT_CLEAR_PAGE`](crate::xen::MMUEXT_CLEAR_PAGE) and
/// [`MMUEXT_COPY_PAGE`](crate::xen::MMUEXT_COPY_PAGE) work.
pub const XENFEAT_highmem_assist: u32 = 6;
/// Grant mappings honour the guest's bits in page-table entries, see
/// [`GNTMAP_guest_avail_mask`](crate::grant_table::GNTMAP_guest_avail_mask).
pub const XENFEAT_gnttab_map_avail_bits: u32 = 7;
/// Events can be delivered by
/// [`HVM_PARAM_CALLBACK_TYPE_VECTOR`](crate::hvm::params::HVM_PARAM_CALLBACK_TYPE_VECTOR).
pub const XENFEAT_hvm_callback_vector: u32 = 8;
/// The clock in [`vcpu_time_info`](crate::xen::vcpu_time_info) can be used (HVM and PVH).
pub const XENFEAT_hvm_safe_pvclock: u32 = 9;
/// Physical interrupts can be event channels (HVM).
pub const XENFEAT_hvm_pirqs: u32 = 10;
/// The guest is, or in a note: can be, dom0.
pub const XENFEAT_dom0: u32 = 11;
/// Memory operations know virtual NUMA nodes.
pub const XENFEAT_memory_op_vnode_supported: u32 = 13;
/// The SMC calling convention of ARM works; never on x86.
pub const XENFEAT_ARM_SMCCC_supported: u32 = 14;
/// The ACPI root pointer of a PVH guest may lie anywhere (looked at only in Linux images).
pub const XENFEAT_linux_rsdp_unrestricted: u32 = 15;
/// The guest's own frames are not machine frames of the same number.
pub const XENFEAT_not_direct_mapped: u32 = 16;
/// The guest's own frames are machine frames of the same number.
pub const XENFEAT_direct_mapped: u32 = 17;
/// [`VCPUOP_register_runstate_phys_area`](crate::vcpu::VCPUOP_register_runstate_phys_area) works.
pub const XENFEAT_runstate_phys_area: u32 = 18;
/// [`VCPUOP_register_vcpu_time_phys_area`](crate::vcpu::VCPUOP_register_vcpu_time_phys_area) works.
pub const XENFEAT_vcpu_time_phys_area: u32 = 19;
/// A device model sees all writes to a device's interrupt table.
pub const XENFEAT_dm_msix_all_writes: u32 = 20;

/// Number of 32-bit words of feature bits.
pub const XENFEAT_NR_SUBMAPS: u32 = 1;
