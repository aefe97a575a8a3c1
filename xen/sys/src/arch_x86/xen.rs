// SPDX-License-Identifier: MIT OR Apache-2.0
//! Basic types on x86, the virtual IDT, and the whole state of a PV vCPU.
//!
//! Source: `xen/include/public/arch-x86/xen.h`.

use super::xen_x86_64::cpu_user_regs;

/// An address in the caller's address space, where Xen reads an argument or writes a result: what C
/// calls `XEN_GUEST_HANDLE(type)`.
pub type XEN_GUEST_HANDLE = u64;

/// A page frame number: machine, guest-physical or pseudo-physical, as the item says.
pub type xen_pfn_t = u64;

/// An unsigned integer of the width of a register.
pub type xen_ulong_t = u64;

/// A value of the time stamp counter.
pub type tsc_timestamp_t = u64;

/// First page of a PV guest's GDT that belongs to Xen.
pub const FIRST_RESERVED_GDT_PAGE: u64 = 14;
/// First byte of a PV guest's GDT that belongs to Xen.
pub const FIRST_RESERVED_GDT_BYTE: u64 = FIRST_RESERVED_GDT_PAGE * 4096;
/// First entry of a PV guest's GDT that belongs to Xen: the guest has those below.
pub const FIRST_RESERVED_GDT_ENTRY: u64 = FIRST_RESERVED_GDT_BYTE / 8;

/// Number of vCPUs whose `vcpu_info` lies in the shared page; others must register theirs.
pub const XEN_LEGACY_MAX_VCPUS: u32 = 32;

/// One entry of a PV guest's virtual IDT. An entry with `address` 0 ends the table.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct trap_info {
    /// Exception vector, 0 to 255.
    pub vector: u8,
    /// Least privileged level that may raise it by `int`, and whether events are masked on entry;
    /// see [`TI_SET_DPL`] and [`TI_SET_IF`].
    pub flags: u8,
    /// Code selector of the handler.
    pub cs: u16,
    /// Padding.
    pub _padding: u32,
    /// Virtual address of the handler.
    pub address: u64,
}
layout!(trap_info: 16 { vector: 0, flags: 1, cs: 2, _padding: 4, address: 8 });

/// The privilege level in [`trap_info::flags`], 0 to 3. C takes the structure.
pub const fn TI_GET_DPL(flags: u8) -> u8 {
    flags & 3
}

/// Not 0 if by [`trap_info::flags`] events are masked on entry. C takes the structure.
pub const fn TI_GET_IF(flags: u8) -> u8 {
    flags & 4
}

/// [`trap_info::flags`] with privilege level `dpl`, where it was 0. C changes the structure.
pub const fn TI_SET_DPL(flags: u8, dpl: u8) -> u8 {
    flags | dpl
}

/// [`trap_info::flags`] with events masked on entry if `mask` is not 0. C changes the structure.
pub const fn TI_SET_IF(flags: u8, mask: u8) -> u8 {
    flags | ((mask != 0) as u8) << 2
}

/// Bit number of [`VGCF_i387_valid`].
pub const _VGCF_i387_valid: u32 = 0;
/// Bit of [`vcpu_guest_context::flags`]: `fpu_ctxt` holds a state to load.
pub const VGCF_i387_valid: u64 = 1 << _VGCF_i387_valid;
/// Bit number of [`VGCF_in_kernel`].
pub const _VGCF_in_kernel: u32 = 2;
/// Bit of [`vcpu_guest_context::flags`]: the vCPU is in kernel mode.
pub const VGCF_in_kernel: u64 = 1 << _VGCF_in_kernel;
/// Bit number of [`VGCF_failsafe_disables_events`].
pub const _VGCF_failsafe_disables_events: u32 = 3;
/// Bit of [`vcpu_guest_context::flags`]: mask events on entry to the failsafe callback.
pub const VGCF_failsafe_disables_events: u64 = 1 << _VGCF_failsafe_disables_events;
/// Bit number of [`VGCF_syscall_disables_events`].
pub const _VGCF_syscall_disables_events: u32 = 4;
/// Bit of [`vcpu_guest_context::flags`]: mask events on entry to the syscall callback.
pub const VGCF_syscall_disables_events: u64 = 1 << _VGCF_syscall_disables_events;
/// Bit number of [`VGCF_online`].
pub const _VGCF_online: u32 = 5;
/// Bit of [`vcpu_guest_context::flags`]: the vCPU runs (used by the tools).
pub const VGCF_online: u64 = 1 << _VGCF_online;

/// Saved FPU and SSE registers, in the format of `FXSAVE`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct vcpu_guest_context_fpu_ctxt {
    /// The 512 bytes of the format.
    pub x: [u8; 512],
}
layout!(vcpu_guest_context_fpu_ctxt: 512 { x: 0 });

/// The state a PV guest gives to a vCPU with
/// [`VCPUOP_initialise`](crate::vcpu::VCPUOP_initialise).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct vcpu_guest_context {
    /// FPU and SSE registers.
    pub fpu_ctxt: vcpu_guest_context_fpu_ctxt,
    /// `VGCF_*` bits.
    pub flags: u64,
    /// General registers.
    pub user_regs: cpu_user_regs,
    /// Virtual IDT.
    pub trap_ctxt: [trap_info; 256],
    /// Virtual address of the LDT.
    pub ldt_base: u64,
    /// Number of LDT entries.
    pub ldt_ents: u64,
    /// Machine frames of the GDT, 512 entries each.
    pub gdt_frames: [u64; 16],
    /// Number of GDT entries.
    pub gdt_ents: u64,
    /// Stack selector for entries into the kernel.
    pub kernel_ss: u64,
    /// Stack pointer for entries into the kernel.
    pub kernel_sp: u64,
    /// `CR0` to `CR7`. `CR3` is a machine frame shifted left by 12; index 1 holds the page-table
    /// root of user mode.
    pub ctrlreg: [u64; 8],
    /// `DR0` to `DR7`.
    pub debugreg: [u64; 8],
    /// Entry point for events.
    pub event_callback_eip: u64,
    /// Entry point for when Xen cannot load the guest's segments.
    pub failsafe_callback_eip: u64,
    /// Entry point for the `syscall` instruction.
    pub syscall_callback_eip: u64,
    /// One bit for each enabled `VMASST_TYPE_*`.
    pub vm_assist: u64,
    /// Base of `%fs`.
    pub fs_base: u64,
    /// Base of `%gs` in kernel mode.
    pub gs_base_kernel: u64,
    /// Base of `%gs` in user mode.
    pub gs_base_user: u64,
}
layout!(vcpu_guest_context: 5168 {
    fpu_ctxt: 0, flags: 512, user_regs: 520, trap_ctxt: 720, ldt_base: 4816, ldt_ents: 4824,
    gdt_frames: 4832, gdt_ents: 4960, kernel_ss: 4968, kernel_sp: 4976, ctrlreg: 4984,
    debugreg: 5048, event_callback_eip: 5112, failsafe_callback_eip: 5120,
    syscall_callback_eip: 5128, vm_assist: 5136, fs_base: 5144, gs_base_kernel: 5152,
    gs_base_user: 5160,
});

/// The part of [`shared_info`](crate::xen::shared_info) that is particular to x86.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct arch_shared_info {
    /// Number of valid entries of the guest's list of frames.
    pub max_pfn: u64,
    /// Machine frame of the root of the 3-level list of frames; 0 before it is set up, all ones if
    /// only the linear list at `p2m_vaddr` counts.
    pub pfn_to_mfn_frame_list_list: xen_pfn_t,
    /// Why the last NMI came: `XEN_NMIREASON_*` bits, see [`nmi`](crate::nmi).
    pub nmi_reason: u64,
    /// Page-table root, as in `CR3`, in which `p2m_vaddr` is valid; 0 if there is no linear list.
    pub p2m_cr3: u64,
    /// Virtual address of the linear list of frames.
    pub p2m_vaddr: u64,
    /// Counted up by the guest before and after it changes the mapping of the linear list.
    pub p2m_generation: u64,
}
layout!(arch_shared_info: 48 {
    max_pfn: 0, pfn_to_mfn_frame_list_list: 8, nmi_reason: 16, p2m_cr3: 24, p2m_vaddr: 32,
    p2m_generation: 40,
});

/// Value of [`xen_cpuid_leaf::subleaf`] for a leaf that has none.
pub const XEN_CPUID_NO_SUBLEAF: u32 = 0xffff_ffff;

/// One CPUID leaf, as the tools hand it to Xen.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_cpuid_leaf {
    /// Input `EAX`.
    pub leaf: u32,
    /// Input `ECX`, or [`XEN_CPUID_NO_SUBLEAF`].
    pub subleaf: u32,
    /// Output `EAX`.
    pub a: u32,
    /// Output `EBX`.
    pub b: u32,
    /// Output `ECX`.
    pub c: u32,
    /// Output `EDX`.
    pub d: u32,
}
layout!(xen_cpuid_leaf: 24 { leaf: 0, subleaf: 4, a: 8, b: 12, c: 16, d: 20 });

/// One model-specific register, as the tools hand it to Xen.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_msr_entry {
    /// Number of the register.
    pub idx: u32,
    /// Zero.
    pub flags: u32,
    /// Value of the register.
    pub val: u64,
}
layout!(xen_msr_entry: 16 { idx: 0, flags: 4, val: 8 });

/// The bytes that, before a `cpuid` instruction, make Xen answer it even in a PV guest: `ud2`
/// followed by the letters `xen`. C has them as the text of a `.byte` directive.
pub const XEN_EMULATE_PREFIX: [u8; 5] = [0x0f, 0x0b, 0x78, 0x65, 0x6e];

/// I/O port of an HVM or PVH guest whose bytes go to Xen's console.
pub const XEN_HVM_DEBUGCONS_IOPORT: u16 = 0xe9;
