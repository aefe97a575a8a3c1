// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the domain builder tells the firmware of an HVM guest.
//!
//! Source: `xen/include/public/hvm/hvm_info_table.h`.

/// Guest-physical frame of the table.
pub const HVM_INFO_PFN: u64 = 0x09f;
/// Byte offset of the table in its frame.
pub const HVM_INFO_OFFSET: u64 = 0x800;
/// Guest-physical address of the table.
pub const HVM_INFO_PADDR: u64 = (HVM_INFO_PFN << 12) + HVM_INFO_OFFSET;

/// Largest number of vCPUs of an HVM guest.
pub const HVM_MAX_VCPUS: usize = 128;

/// The table.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct hvm_info_table {
    /// The letters `HVM INFO`.
    pub signature: [u8; 8],
    /// Size of the table in bytes.
    pub length: u32,
    /// Makes the sum of all bytes 0.
    pub checksum: u8,
    /// 1 if the firmware shall describe the APICs.
    pub apic_mode: u8,
    /// Padding.
    pub _padding: u16,
    /// Number of vCPUs.
    pub nr_vcpus: u32,
    /// First page after the memory below 4 GiB.
    pub low_mem_pgend: u32,
    /// First page of the region below 4 GiB kept for special pages.
    pub reserved_mem_pgstart: u32,
    /// First page after the memory above 4 GiB; 0 if there is none.
    pub high_mem_pgend: u32,
    /// One bit per vCPU: online at boot.
    pub vcpu_online: [u8; HVM_MAX_VCPUS.div_ceil(8)],
}
layout!(hvm_info_table: 48 {
    signature: 0, length: 8, checksum: 12, apic_mode: 13, _padding: 14, nr_vcpus: 16, low_mem_pgend: 20,
    reserved_mem_pgstart: 24, high_mem_pgend: 28, vcpu_online: 32,
});
