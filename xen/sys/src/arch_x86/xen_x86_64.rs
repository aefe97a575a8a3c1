// SPDX-License-Identifier: MIT OR Apache-2.0
//! What 64-bit PV guests need: selectors, the machine-to-physical table, `iret` and registers.
//!
//! A hypercall takes up to five arguments in `%rdi`, `%rsi`, `%rdx`, `%r10` and `%r8`, its number in
//! `%rax`, and returns in `%rax`. The argument registers it uses do not survive; PV guests issue it
//! by `syscall`, which takes `%rcx` and `%r11` as well.
//!
//! Source: `xen/include/public/arch-x86/xen-x86_64.h`.

/// Flat 32-bit code segment at ring 3.
pub const FLAT_RING3_CS32: u16 = 0xe023;
/// Flat 64-bit code segment at ring 3.
pub const FLAT_RING3_CS64: u16 = 0xe033;
/// Flat 32-bit data segment at ring 3.
pub const FLAT_RING3_DS32: u16 = 0xe02b;
/// Data segment of 64-bit code: the null selector.
pub const FLAT_RING3_DS64: u16 = 0x0000;
/// Flat 32-bit stack segment at ring 3.
pub const FLAT_RING3_SS32: u16 = 0xe02b;
/// Stack segment of 64-bit code at ring 3.
pub const FLAT_RING3_SS64: u16 = 0xe02b;

/// 64-bit kernel data segment.
pub const FLAT_KERNEL_DS64: u16 = FLAT_RING3_DS64;
/// 32-bit kernel data segment.
pub const FLAT_KERNEL_DS32: u16 = FLAT_RING3_DS32;
/// Kernel data segment.
pub const FLAT_KERNEL_DS: u16 = FLAT_KERNEL_DS64;
/// 64-bit kernel code segment.
pub const FLAT_KERNEL_CS64: u16 = FLAT_RING3_CS64;
/// 32-bit kernel code segment.
pub const FLAT_KERNEL_CS32: u16 = FLAT_RING3_CS32;
/// Kernel code segment.
pub const FLAT_KERNEL_CS: u16 = FLAT_KERNEL_CS64;
/// 64-bit kernel stack segment.
pub const FLAT_KERNEL_SS64: u16 = FLAT_RING3_SS64;
/// 32-bit kernel stack segment.
pub const FLAT_KERNEL_SS32: u16 = FLAT_RING3_SS32;
/// Kernel stack segment.
pub const FLAT_KERNEL_SS: u16 = FLAT_KERNEL_SS64;

/// 64-bit user data segment.
pub const FLAT_USER_DS64: u16 = FLAT_RING3_DS64;
/// 32-bit user data segment.
pub const FLAT_USER_DS32: u16 = FLAT_RING3_DS32;
/// User data segment.
pub const FLAT_USER_DS: u16 = FLAT_USER_DS64;
/// 64-bit user code segment.
pub const FLAT_USER_CS64: u16 = FLAT_RING3_CS64;
/// 32-bit user code segment.
pub const FLAT_USER_CS32: u16 = FLAT_RING3_CS32;
/// User code segment.
pub const FLAT_USER_CS: u16 = FLAT_USER_CS64;
/// 64-bit user stack segment.
pub const FLAT_USER_SS64: u16 = FLAT_RING3_SS64;
/// 32-bit user stack segment.
pub const FLAT_USER_SS32: u16 = FLAT_RING3_SS32;
/// User stack segment.
pub const FLAT_USER_SS: u16 = FLAT_USER_SS64;

/// First virtual address that Xen keeps for itself in a 64-bit PV guest.
pub const __HYPERVISOR_VIRT_START: u64 = 0xffff_8000_0000_0000;
/// First virtual address above Xen's.
pub const __HYPERVISOR_VIRT_END: u64 = 0xffff_8800_0000_0000;
/// Start of the machine-to-physical table in every 64-bit PV guest.
pub const __MACH2PHYS_VIRT_START: u64 = 0xffff_8000_0000_0000;
/// End of the window of the machine-to-physical table.
pub const __MACH2PHYS_VIRT_END: u64 = 0xffff_8040_0000_0000;
/// First virtual address that Xen keeps for itself in a 64-bit PV guest.
pub const HYPERVISOR_VIRT_START: u64 = __HYPERVISOR_VIRT_START;
/// First virtual address above Xen's.
pub const HYPERVISOR_VIRT_END: u64 = __HYPERVISOR_VIRT_END;
/// Start of the machine-to-physical table in every 64-bit PV guest.
pub const MACH2PHYS_VIRT_START: u64 = __MACH2PHYS_VIRT_START;
/// End of the window of the machine-to-physical table.
pub const MACH2PHYS_VIRT_END: u64 = __MACH2PHYS_VIRT_END;
/// Number of 8-byte entries that fit in the window of the machine-to-physical table. Not all of
/// them are mapped, see [`XENMEM_machphys_mapping`](crate::memory::XENMEM_machphys_mapping).
pub const MACH2PHYS_NR_ENTRIES: u64 = (MACH2PHYS_VIRT_END - MACH2PHYS_VIRT_START) >> 3;
/// Address of the machine-to-physical table: entry `mfn` holds the pseudo-physical frame number. In
/// C a pointer.
pub const machine_to_phys_mapping: u64 = HYPERVISOR_VIRT_START;

/// What [`__HYPERVISOR_set_segment_base`](crate::xen::__HYPERVISOR_set_segment_base) sets: the base
/// of `%fs`.
pub const SEGBASE_FS: u32 = 0;
/// What it sets: the base of user mode's `%gs`.
pub const SEGBASE_GS_USER: u32 = 1;
/// What it sets: the base of kernel mode's `%gs`.
pub const SEGBASE_GS_KERNEL: u32 = 2;
/// What it sets: the selector of user mode's `%gs`, in bits 15:0 of the base.
pub const SEGBASE_GS_USER_SEL: u32 = 3;

/// Bit number of [`VGCF_in_syscall`].
pub const _VGCF_in_syscall: u32 = 8;
/// Bit of [`iret_context::flags`]: return by `sysret`, which loses `%rcx` and `%r11`.
pub const VGCF_in_syscall: u64 = 1 << _VGCF_in_syscall;

/// The frame on the kernel stack for [`__HYPERVISOR_iret`](crate::xen::__HYPERVISOR_iret), lowest
/// address first. A `cs` of ring 3 means user mode, any other kernel mode.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct iret_context {
    /// `%rax` to load.
    pub rax: u64,
    /// `%r11` to load.
    pub r11: u64,
    /// `%rcx` to load.
    pub rcx: u64,
    /// 0 or [`VGCF_in_syscall`].
    pub flags: u64,
    /// Instruction pointer to continue at.
    pub rip: u64,
    /// Code selector to load.
    pub cs: u64,
    /// Flags to load; the interrupt flag becomes the inverse of the event mask.
    pub rflags: u64,
    /// Stack pointer to load.
    pub rsp: u64,
    /// Stack selector to load.
    pub ss: u64,
}
layout!(iret_context: 72 {
    rax: 0, r11: 8, rcx: 16, flags: 24, rip: 32, cs: 40, rflags: 48, rsp: 56, ss: 64,
});

/// General registers of a PV vCPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct cpu_user_regs {
    /// `%r15`.
    pub r15: u64,
    /// `%r14`.
    pub r14: u64,
    /// `%r13`.
    pub r13: u64,
    /// `%r12`.
    pub r12: u64,
    /// `%rbp`.
    pub rbp: u64,
    /// `%rbx`.
    pub rbx: u64,
    /// `%r11`.
    pub r11: u64,
    /// `%r10`.
    pub r10: u64,
    /// `%r9`.
    pub r9: u64,
    /// `%r8`.
    pub r8: u64,
    /// `%rax`.
    pub rax: u64,
    /// `%rcx`.
    pub rcx: u64,
    /// `%rdx`.
    pub rdx: u64,
    /// `%rsi`.
    pub rsi: u64,
    /// `%rdi`.
    pub rdi: u64,
    /// Xen's own.
    pub error_code: u32,
    /// Xen's own.
    pub entry_vector: u32,
    /// Instruction pointer.
    pub rip: u64,
    /// Code selector.
    pub cs: u16,
    /// Unused.
    pub _pad0: [u16; 1],
    /// Event mask: the inverse of the interrupt flag in `rflags`.
    pub saved_upcall_mask: u8,
    /// Unused.
    pub _pad1: [u8; 3],
    /// Flags.
    pub rflags: u64,
    /// Stack pointer.
    pub rsp: u64,
    /// Stack selector.
    pub ss: u16,
    /// Unused.
    pub _pad2: [u16; 3],
    /// Selector in `%es`.
    pub es: u16,
    /// Unused.
    pub _pad3: [u16; 3],
    /// Selector in `%ds`.
    pub ds: u16,
    /// Unused.
    pub _pad4: [u16; 3],
    /// Selector in `%fs`.
    pub fs: u16,
    /// Unused.
    pub _pad5: [u16; 3],
    /// Selector in `%gs`.
    pub gs: u16,
    /// Unused.
    pub _pad6: [u16; 3],
}
layout!(cpu_user_regs: 200 {
    r15: 0, r14: 8, r13: 16, r12: 24, rbp: 32, rbx: 40, r11: 48, r10: 56, r9: 64, r8: 72, rax: 80,
    rcx: 88, rdx: 96, rsi: 104, rdi: 112, error_code: 120, entry_vector: 124, rip: 128, cs: 136,
    _pad0: 138, saved_upcall_mask: 140, _pad1: 141, rflags: 144, rsp: 152, ss: 160, _pad2: 162,
    es: 168, _pad3: 170, ds: 176, _pad4: 178, fs: 184, _pad5: 186, gs: 192, _pad6: 194,
});

/// The value of `CR3` for the page-table root in machine frame `pfn`.
pub const fn xen_pfn_to_cr3(pfn: u64) -> u64 {
    pfn << 12
}

/// The machine frame of the page-table root in `cr3`.
pub const fn xen_cr3_to_pfn(cr3: u64) -> u64 {
    cr3 >> 12
}

/// The part of [`vcpu_info`](crate::xen::vcpu_info) that is particular to x86-64.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct arch_vcpu_info {
    /// Faulting address of the last page fault (PV): the guest cannot read `CR2`.
    pub cr2: u64,
    /// Unused.
    pub pad: u64,
}
layout!(arch_vcpu_info: 16 { cr2: 0, pad: 8 });

/// Virtual address of a PV entry point.
pub type xen_callback_t = u64;
