// SPDX-License-Identifier: MIT OR Apache-2.0
//! Types of the ELF notes named `Xen`, by which a kernel image tells how it wants to be started and
//! a dump tells what it is.
//!
//! A numeric note is 4 or 8 bytes, as its size says; a string ends with a zero. The types below 32
//! stand in kernel images, `CRASH` and `DUMPCORE` ones in dumps.
//!
//! Source: `xen/include/public/elfnote.h`.

/// Note: free text, `NAME=VALUE`.
pub const XEN_ELFNOTE_INFO: u32 = 0;
/// Note: virtual address of the PV entry point (numeric).
pub const XEN_ELFNOTE_ENTRY: u32 = 1;
/// Note: virtual address of the page that Xen fills with hypercall stubs (numeric).
pub const XEN_ELFNOTE_HYPERCALL_PAGE: u32 = 2;
/// Note: virtual address of pseudo-physical address 0 (numeric); 0 if absent.
pub const XEN_ELFNOTE_VIRT_BASE: u32 = 3;
/// Note: what to subtract from the ELF file's physical addresses (numeric); 0 if absent.
pub const XEN_ELFNOTE_PADDR_OFFSET: u32 = 4;
/// Note: version of the interface: `xen-3.0` (string).
pub const XEN_ELFNOTE_XEN_VERSION: u32 = 5;
/// Note: name of the guest's operating system (string).
pub const XEN_ELFNOTE_GUEST_OS: u32 = 6;
/// Note: version of the guest's operating system (string).
pub const XEN_ELFNOTE_GUEST_VERSION: u32 = 7;
/// Note: kind of loader: `generic` (string).
pub const XEN_ELFNOTE_LOADER: u32 = 8;
/// Note: page-directory format of a 32-bit kernel: `yes`, `no` or `bimodal` (string).
pub const XEN_ELFNOTE_PAE_MODE: u32 = 9;
/// Note: features wanted: names of the [`features`](crate::features) without `XENFEAT_`, joined by
/// `|`, those required with a `!` before them (string).
pub const XEN_ELFNOTE_FEATURES: u32 = 10;
/// Note: load the symbol table too: `yes` or `no` (string).
pub const XEN_ELFNOTE_BSD_SYMTAB: u32 = 11;
/// Note: lowest address at which Xen's own region may start (numeric, 32-bit PV).
pub const XEN_ELFNOTE_HV_START_LOW: u32 = 12;
/// Note: masks and values that tell which non-present page-table entries hold a machine frame
/// (pairs of numbers).
pub const XEN_ELFNOTE_L1_MFN_VALID: u32 = 13;
/// Note: whether a suspend may be cancelled (numeric); 0 if absent.
pub const XEN_ELFNOTE_SUSPEND_CANCEL: u32 = 14;
/// Note: virtual address for the list of machine frames (numeric).
pub const XEN_ELFNOTE_INIT_P2M: u32 = 15;
/// Note: whether the module may be left unmapped at boot (numeric).
pub const XEN_ELFNOTE_MOD_START_PFN: u32 = 16;
/// Note: features supported, one bit each (numeric); joined with those of
/// [`XEN_ELFNOTE_FEATURES`].
pub const XEN_ELFNOTE_SUPPORTED_FEATURES: u32 = 17;
/// Note: physical address of the PVH entry point, entered in 32-bit mode without paging (numeric).
pub const XEN_ELFNOTE_PHYS32_ENTRY: u32 = 18;
/// Note: the PVH image may be loaded elsewhere; up to three 32-bit numbers: alignment, lowest and
/// highest address.
pub const XEN_ELFNOTE_PHYS32_RELOC: u32 = 19;

/// Note in a crash dump of the machine: what ran there.
pub const XEN_ELFNOTE_CRASH_INFO: u32 = 0x100_0001;
/// Note in a crash dump of the machine: a CPU's system registers.
pub const XEN_ELFNOTE_CRASH_REGS: u32 = 0x100_0002;

/// Note in a dump of a domain: this is one. It has no content.
pub const XEN_ELFNOTE_DUMPCORE_NONE: u32 = 0x200_0000;
/// Note in a dump of a domain: its header.
pub const XEN_ELFNOTE_DUMPCORE_HEADER: u32 = 0x200_0001;
/// Note in a dump of a domain: version of the Xen it ran on.
pub const XEN_ELFNOTE_DUMPCORE_XEN_VERSION: u32 = 0x200_0002;
/// Note in a dump of a domain: version of the dump's format.
pub const XEN_ELFNOTE_DUMPCORE_FORMAT_VERSION: u32 = 0x200_0003;
