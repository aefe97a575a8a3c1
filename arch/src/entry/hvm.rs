// SPDX-License-Identifier: MIT OR Apache-2.0
//! The entries of the boot protocols that start in 32-bit mode: PVH, Multiboot 1 and 2.

use core::arch::naked_asm;
use core::cell::UnsafeCell;

use super::{FROM_PVH, rust_entry};
use crate::stack::Stacks;
use crate::vcpu::FIRST;

/// Page tables for the first 4 GiB, filled by [`start32`]: everything readable, writable and
/// executable until the kernel installs its own. PML4, page-directory-pointer table, then four
/// page directories of 2 MiB pages.
#[repr(C, align(4096))]
struct BootTables(UnsafeCell<[[u64; 512]; 6]>);

// SAFETY: written by the entry stub before any Rust runs, and only read by the CPU afterwards.
unsafe impl Sync for BootTables {}

static BOOT_TABLES: BootTables = BootTables(UnsafeCell::new([[0; 512]; 6]));

/// Descriptors for the way to 64-bit mode: null, 64-bit code (8), data (16), 32-bit code (24).
#[repr(C, align(8))]
pub(crate) struct BootGdt([u64; 4]);

pub(crate) static BOOT_GDT: BootGdt =
    BootGdt([0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_9b00_0000_ffff]);

/// The operand of `lgdt`: limit and 32-bit address, filled in by the assembler.
#[unsafe(naked)]
unsafe extern "C" fn boot_gdt_pointer() {
    naked_asm!(".short 31", ".long {gdt}", gdt = sym BOOT_GDT)
}

/// Entered through the PVH note.
///
/// State (`docs/misc/pvh.pandoc`, `xen/include/public/arch-x86/hvm/start_info.h`): 32-bit
/// protected mode, flat segments of the loader's, paging off, CR4 = 0, EBX = physical address of
/// `hvm_start_info`; no stack, no GDT to rely on, every other register undefined.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn pvh_start() -> ! {
    naked_asm!(
        ".code32",
        "mov eax, {protocol}",
        "jmp {start32}",
        ".code64",
        protocol = const FROM_PVH,
        start32 = sym start32,
    )
}

/// Entered by a Multiboot loader, and the ELF entry point.
///
/// State (Multiboot Specification 0.6.96, 3.2; Multiboot2 2.0, 3.3): as for PVH, but EAX = the
/// loader's magic number and EBX = the information structure.
#[unsafe(naked)]
#[unsafe(export_name = "multiboot_start")]
pub(super) unsafe extern "C" fn multiboot_start() -> ! {
    naked_asm!(".code32", "jmp {start32}", ".code64", start32 = sym start32)
}

/// From 32-bit mode without paging (EAX = protocol, EBX = information) to [`rust_entry`] in 64-bit mode.
#[unsafe(naked)]
unsafe extern "C" fn start32() -> ! {
    naked_asm!(
        ".code32",
        "cli",
        "cld",
        "mov esp, offset {stack} + {top}",
        "mov edi, eax", // first argument of rust_entry()
        "mov esi, ebx", // second argument
        // The CPU must know long mode (bit 29 of CPUID 0x80000001 EDX).
        "mov eax, 0x80000000",
        "cpuid",
        "cmp eax, 0x80000001",
        "jb 9f",
        "mov eax, 0x80000001",
        "cpuid",
        "test edx, 1 << 29",
        "jz 9f",
        // NX (bit 20): EFER.NXE may only be set where the CPU has it.
        "mov ebp, 0x100", // EFER.LME
        "test edx, 1 << 20",
        "jz 1f",
        "or ebp, 0x800", // EFER.NXE
        "1:",
        // PML4[0] -> PDPT; PDPT[0..4] -> the directories; 2048 entries of 2 MiB.
        "mov eax, offset {tables}",
        "lea edx, [eax + 0x1003]",
        "mov [eax], edx",
        "mov ecx, 4",
        "lea ebx, [eax + 0x1000]",
        "2:",
        "add edx, 0x1000",
        "mov [ebx], edx",
        "add ebx, 8",
        "loop 2b",
        "lea ebx, [eax + 0x2000]",
        "mov edx, 0x83", // present, writable, large
        "mov ecx, 2048",
        "3:",
        "mov [ebx], edx",
        "add ebx, 8",
        "add edx, 0x200000",
        "loop 3b",
        "mov cr3, eax",
        "mov eax, 0x620", // CR4: PAE, OSFXSR, OSXMMEXCPT
        "mov cr4, eax",
        "mov ecx, 0xc0000080", // EFER
        "xor edx, edx",
        "mov eax, ebp",
        "wrmsr",
        "mov eax, 0x80010033", // CR0: PG, WP, NE, ET, MP, PE; no EM, no TS: SSE works
        "mov cr0, eax",
        "lgdt [{gdt_pointer}]",
        "push 8",
        "mov eax, offset {start64}",
        "push eax",
        "retf",
        // No long mode: say so where somebody may listen (Xen, QEMU: port 0xE9; COM1), and stop.
        "9:",
        "mov esi, offset {message}",
        "7: lodsb",
        "test al, al",
        "jz 6f",
        "out 0xe9, al",
        "mov dx, 0x3f8",
        "out dx, al",
        "jmp 7b",
        "6: hlt",
        "jmp 6b",
        ".code64",
        stack = sym FIRST,
        top = const Stacks::TOP,
        tables = sym BOOT_TABLES,
        gdt_pointer = sym boot_gdt_pointer,
        start64 = sym start64,
        message = sym NO_LONG_MODE,
    )
}

/// What a 32-bit CPU says.
static NO_LONG_MODE: [u8; 38] = *b"prism: this CPU has no 64-bit mode\r\n\0\0";

/// The first 64-bit instructions, with the registers as [`start32`] left them.
#[unsafe(naked)]
unsafe extern "C" fn start64() -> ! {
    naked_asm!(
        "mov eax, 16",
        "mov ss, eax",
        "mov ds, eax",
        "mov es, eax",
        "xor eax, eax",
        "mov fs, eax",
        "mov gs, eax",
        "mov esp, esp", // the upper half is undefined after the switch
        "mov edi, edi",
        "mov esi, esi",
        "xor ebp, ebp",  // the end of every backtrace
        "call {rust_entry}", // rust_entry(protocol, information)
        "ud2",
        rust_entry = sym rust_entry,
    )
}
