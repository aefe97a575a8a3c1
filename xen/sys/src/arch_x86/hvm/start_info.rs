// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a PVH guest is given at entry, its address in `%ebx`.
//!
//! An address of 0 means that the thing is absent: nothing is ever placed there.
//!
//! Source: `xen/include/public/arch-x86/hvm/start_info.h`.

/// Value of [`hvm_start_info::magic`]: the letters `xEn3` with bit 7 of the `E` set.
pub const XEN_HVM_START_MAGIC_VALUE: u32 = 0x336e_c578;

/// [`hvm_memmap_table_entry::type`](hvm_memmap_table_entry): memory to use.
pub const XEN_HVM_MEMMAP_TYPE_RAM: u32 = 1;
/// Type of a region: not to be touched.
pub const XEN_HVM_MEMMAP_TYPE_RESERVED: u32 = 2;
/// Type of a region: ACPI tables, to use once they are read.
pub const XEN_HVM_MEMMAP_TYPE_ACPI: u32 = 3;
/// Type of a region: memory the firmware wants kept while the machine sleeps.
pub const XEN_HVM_MEMMAP_TYPE_NVS: u32 = 4;
/// Type of a region: memory with errors.
pub const XEN_HVM_MEMMAP_TYPE_UNUSABLE: u32 = 5;
/// Type of a region: memory that is switched off.
pub const XEN_HVM_MEMMAP_TYPE_DISABLED: u32 = 6;
/// Type of a region: memory that survives a power cycle.
pub const XEN_HVM_MEMMAP_TYPE_PMEM: u32 = 7;

/// The start of everything in a PVH guest. Version 0 ends before `memmap_paddr`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct hvm_start_info {
    /// [`XEN_HVM_START_MAGIC_VALUE`].
    pub magic: u32,
    /// Version of this structure: 0 or 1; later ones only add to it.
    pub version: u32,
    /// `SIF_*` bits, see [`SIF_PRIVILEGED`](crate::xen::SIF_PRIVILEGED).
    pub flags: u32,
    /// Number of modules.
    pub nr_modules: u32,
    /// Physical address of the array of [`hvm_modlist_entry`].
    pub modlist_paddr: u64,
    /// Physical address of the command line, ended by a zero.
    pub cmdline_paddr: u64,
    /// Physical address of the ACPI root pointer.
    pub rsdp_paddr: u64,
    /// Physical address of the array of [`hvm_memmap_table_entry`]. Version 1.
    pub memmap_paddr: u64,
    /// Number of entries of the memory map; 0 if there is none. Version 1.
    pub memmap_entries: u32,
    /// Zero. Version 1.
    pub reserved: u32,
}
layout!(hvm_start_info: 56 {
    magic: 0, version: 4, flags: 8, nr_modules: 12, modlist_paddr: 16, cmdline_paddr: 24,
    rsdp_paddr: 32, memmap_paddr: 40, memmap_entries: 48, reserved: 52,
});

/// One module.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct hvm_modlist_entry {
    /// Physical address of the module.
    pub paddr: u64,
    /// Size in bytes.
    pub size: u64,
    /// Physical address of the module's command line, ended by a zero.
    pub cmdline_paddr: u64,
    /// Unused.
    pub reserved: u64,
}
layout!(hvm_modlist_entry: 32 { paddr: 0, size: 8, cmdline_paddr: 16, reserved: 24 });

/// One region of the memory map.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct hvm_memmap_table_entry {
    /// Physical address of the region.
    pub addr: u64,
    /// Size in bytes.
    pub size: u64,
    /// One of the `XEN_HVM_MEMMAP_TYPE_*`.
    pub r#type: u32,
    /// Zero.
    pub reserved: u32,
}
layout!(hvm_memmap_table_entry: 24 { addr: 0, size: 8, r#type: 16, reserved: 20 });
