// SPDX-License-Identifier: MIT OR Apache-2.0
//! The state an HVM or PVH guest gives to a vCPU with
//! [`VCPUOP_initialise`](crate::vcpu::VCPUOP_initialise).
//!
//! C has one `vcpu_hvm_context` with a union of both register sets; here each has a context of its
//! own.
//!
//! Source: `xen/include/public/hvm/hvm_vcpu.h`.

/// Registers of a vCPU that starts in a 32-bit mode.
///
/// The `_ar` fields hold a segment's attributes: type in bits 3:0, system 4, privilege level 6:5,
/// present 7, available 8, long 9, default size 10, granularity 11.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct vcpu_hvm_x86_32 {
    /// `%eax`.
    pub eax: u32,
    /// `%ecx`.
    pub ecx: u32,
    /// `%edx`.
    pub edx: u32,
    /// `%ebx`.
    pub ebx: u32,
    /// Stack pointer.
    pub esp: u32,
    /// `%ebp`.
    pub ebp: u32,
    /// `%esi`.
    pub esi: u32,
    /// `%edi`.
    pub edi: u32,
    /// Instruction pointer.
    pub eip: u32,
    /// Flags.
    pub eflags: u32,
    /// `CR0`.
    pub cr0: u32,
    /// `CR3`.
    pub cr3: u32,
    /// `CR4`.
    pub cr4: u32,
    /// Unused.
    pub pad1: u32,
    /// The `EFER` register.
    pub efer: u64,
    /// Base of the code segment.
    pub cs_base: u32,
    /// Base of the data segment.
    pub ds_base: u32,
    /// Base of the stack segment.
    pub ss_base: u32,
    /// Base of the extra segment.
    pub es_base: u32,
    /// Base of the task state.
    pub tr_base: u32,
    /// Limit of the code segment.
    pub cs_limit: u32,
    /// Limit of the data segment.
    pub ds_limit: u32,
    /// Limit of the stack segment.
    pub ss_limit: u32,
    /// Limit of the extra segment.
    pub es_limit: u32,
    /// Limit of the task state.
    pub tr_limit: u32,
    /// Attributes of the code segment.
    pub cs_ar: u16,
    /// Attributes of the data segment.
    pub ds_ar: u16,
    /// Attributes of the stack segment.
    pub ss_ar: u16,
    /// Attributes of the extra segment.
    pub es_ar: u16,
    /// Attributes of the task state.
    pub tr_ar: u16,
    /// Unused.
    pub pad2: [u16; 3],
}
layout!(vcpu_hvm_x86_32: 120 {
    eax: 0, ecx: 4, edx: 8, ebx: 12, esp: 16, ebp: 20, esi: 24, edi: 28, eip: 32, eflags: 36, cr0: 40,
    cr3: 44, cr4: 48, pad1: 52, efer: 56, cs_base: 64, ds_base: 68, ss_base: 72, es_base: 76, tr_base: 80,
    cs_limit: 84, ds_limit: 88, ss_limit: 92, es_limit: 96, tr_limit: 100, cs_ar: 104, ds_ar: 106,
    ss_ar: 108, es_ar: 110, tr_ar: 112, pad2: 114,
});

/// Registers of a vCPU that starts in 64-bit mode, with flat segments.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct vcpu_hvm_x86_64 {
    /// `%rax`.
    pub rax: u64,
    /// `%rcx`.
    pub rcx: u64,
    /// `%rdx`.
    pub rdx: u64,
    /// `%rbx`.
    pub rbx: u64,
    /// Stack pointer.
    pub rsp: u64,
    /// `%rbp`.
    pub rbp: u64,
    /// `%rsi`.
    pub rsi: u64,
    /// `%rdi`.
    pub rdi: u64,
    /// Instruction pointer.
    pub rip: u64,
    /// Flags.
    pub rflags: u64,
    /// `CR0`.
    pub cr0: u64,
    /// `CR3`.
    pub cr3: u64,
    /// `CR4`.
    pub cr4: u64,
    /// The `EFER` register.
    pub efer: u64,
}
layout!(vcpu_hvm_x86_64: 112 {
    rax: 0, rcx: 8, rdx: 16, rbx: 24, rsp: 32, rbp: 40, rsi: 48, rdi: 56, rip: 64, rflags: 72, cr0: 80,
    cr3: 88, cr4: 96, efer: 104,
});

/// Value of `mode` in a [`vcpu_hvm_context_x86_32`].
pub const VCPU_HVM_MODE_32B: u32 = 0;
/// Value of `mode` in a [`vcpu_hvm_context_x86_64`].
pub const VCPU_HVM_MODE_64B: u32 = 1;

/// `vcpu_hvm_context` of a vCPU that starts in a 32-bit mode.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct vcpu_hvm_context_x86_32 {
    /// [`VCPU_HVM_MODE_32B`].
    pub mode: u32,
    /// Unused.
    pub pad: u32,
    /// The registers.
    pub cpu_regs: vcpu_hvm_x86_32,
}
layout!(vcpu_hvm_context_x86_32: 128 { mode: 0, pad: 4, cpu_regs: 8 });

/// `vcpu_hvm_context` of a vCPU that starts in 64-bit mode.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct vcpu_hvm_context_x86_64 {
    /// [`VCPU_HVM_MODE_64B`].
    pub mode: u32,
    /// Unused.
    pub pad: u32,
    /// The registers.
    pub cpu_regs: vcpu_hvm_x86_64,
    /// Padding: the other registers take 8 bytes more.
    pub _padding: u64,
}
layout!(vcpu_hvm_context_x86_64: 128 { mode: 0, pad: 4, cpu_regs: 8, _padding: 120 });
