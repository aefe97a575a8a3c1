// SPDX-License-Identifier: MIT OR Apache-2.0
//! ELF notes for Xen, and the Multiboot headers: how loaders recognise the image.
//!
//! Notes: `xen/include/public/elfnote.h`. Xen PV wants LOADER and XEN_VERSION besides ENTRY
//! (`xen/common/libelf/libelf-dominfo.c`); PVH wants PHYS32_ENTRY only.

use core::arch::global_asm;

use xen_sys::elfnote::*;

use super::hvm::{multiboot_start, pvh_start};
use super::pv::pv_start;
use crate::hypercall::hypercall_page;

// note NUMBER, text or note_quad NUMBER, value: namesz, descsz, type, "Xen\0", desc.
global_asm!(
    ".macro note_text type, text",
    "    .align 4",
    "    .long 4, 2f - 1f, \\type",
    "    .asciz \"Xen\"",
    "1:  .asciz \"\\text\"",
    "2:  .align 4",
    ".endm",
    ".macro note_quad type, value",
    "    .align 4",
    "    .long 4, 8, \\type",
    "    .asciz \"Xen\"",
    "    .quad \\value",
    ".endm",
    ".pushsection .note.Xen, \"a\", @note",
    "note_text {GUEST_OS}, \"Prism\"",
    "note_text {GUEST_VERSION}, \"0.1\"",
    "note_text {XEN_VERSION}, \"xen-3.0\"",
    "note_text {LOADER}, \"generic\"",
    "note_text {PAE_MODE}, \"yes\"",
    // Nothing is required of Xen; `dom0` says that we also run as the initial domain.
    "note_text {FEATURES}, \"dom0\"",
    "note_quad {VIRT_BASE}, 0",
    "note_quad {PADDR_OFFSET}, 0",
    "note_quad {ENTRY}, {pv_start}",
    "note_quad {HYPERCALL_PAGE}, {hypercall_page}",
    // A ramdisk is found by its frame number; Xen need not map it for us.
    "note_quad {MOD_START_PFN}, 1",
    // A suspend may be cancelled: it returns 1 then.
    "note_quad {SUSPEND_CANCEL}, 1",
    "    .align 4",
    "    .long 4, 4, {PHYS32_ENTRY}",
    "    .asciz \"Xen\"",
    "    .long {pvh_start}",
    ".popsection",
    GUEST_OS = const XEN_ELFNOTE_GUEST_OS,
    GUEST_VERSION = const XEN_ELFNOTE_GUEST_VERSION,
    XEN_VERSION = const XEN_ELFNOTE_XEN_VERSION,
    LOADER = const XEN_ELFNOTE_LOADER,
    PAE_MODE = const XEN_ELFNOTE_PAE_MODE,
    FEATURES = const XEN_ELFNOTE_FEATURES,
    VIRT_BASE = const XEN_ELFNOTE_VIRT_BASE,
    PADDR_OFFSET = const XEN_ELFNOTE_PADDR_OFFSET,
    ENTRY = const XEN_ELFNOTE_ENTRY,
    HYPERCALL_PAGE = const XEN_ELFNOTE_HYPERCALL_PAGE,
    MOD_START_PFN = const XEN_ELFNOTE_MOD_START_PFN,
    SUSPEND_CANCEL = const XEN_ELFNOTE_SUSPEND_CANCEL,
    PHYS32_ENTRY = const XEN_ELFNOTE_PHYS32_ENTRY,
    pv_start = sym pv_start,
    pvh_start = sym pvh_start,
    hypercall_page = sym hypercall_page,
);

// Multiboot 1 header (specification 0.6.96, 3.1.1): page-align modules, give us the memory map.
// Its place in the file is the linker script's business. No address fields: GRUB reads the ELF.
global_asm!(".pushsection .multiboot1, \"a\"", ".long 0x1badb002, 0x3, -(0x1badb002 + 0x3)", ".popsection",);

// Multiboot 2 header (specification 2.0, 3.1): the entry address, and the end tag.
global_asm!(
    ".pushsection .multiboot2, \"a\"",
    ".align 8",
    "1: .long 0xe85250d6, 0, 2f - 1b, -(0xe85250d6 + 0 + (2f - 1b))",
    ".align 8",
    ".short 3, 0",
    ".long 12, {start}",
    ".align 8",
    ".short 0, 0",
    ".long 8",
    "2:",
    ".popsection",
    start = sym multiboot_start,
);

/// A command line inside the image, for the one way of starting that has no other: Xen's
/// `firmware_override`. A marked 512-byte area that a tool may fill in in a copy of the file.
#[repr(C)]
struct EmbeddedCommandLine {
    magic: [u8; 16],
    text: [u8; 496],
}

/// Kept by the linker script for the marker's sake; read by [`embedded_command_line`].
#[used]
#[unsafe(link_section = ".prism.cmdline")]
static EMBEDDED: EmbeddedCommandLine = EmbeddedCommandLine { magic: *b"PRISM-CMDLINE-1\0", text: [0; 496] };

/// The text in the image's own command-line area, NUL-padded; all NUL if nobody filled it in.
pub fn embedded_command_line() -> [u8; 496] {
    let start = (&raw const EMBEDDED.text).cast::<u8>();
    // Volatile because the file may have been changed after the compiler had seen the zeroes; byte by byte,
    // as it would make an instruction for each of them otherwise.
    core::array::from_fn(|index| {
        // SAFETY: inside of our own static.
        unsafe { start.wrapping_add(index).read_volatile() }
    })
}
