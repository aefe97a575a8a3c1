// SPDX-License-Identifier: MIT OR Apache-2.0
//! Non-maskable interrupts. Unlike exceptions they are no bug, and the interrupted code goes on.
//!
//! They come at any moment, even with events and interrupts off. So the kernel's function may only try locks,
//! never wait for one. They do not nest: the CPU holds the next one back until `iretq`, Xen until the `iret`
//! hypercall (`xen/arch/x86/pv/iret.c`, `async_exception_cleanup`).

use core::arch::naked_asm;

use xen_sys::xen::__HYPERVISOR_iret;

use crate::sleep::end_sleep;
use crate::traps::Registers;

/// Vector of a non-maskable interrupt.
pub(crate) const VECTOR: u64 = 2;

unsafe extern "Rust" {
    /// Reports what was interrupted. The kernel defines it.
    safe fn prism_nmi(registers: &Registers);
}

extern "C" fn nmi(registers: &Registers) {
    prism_nmi(registers);
}

/// Calls [`nmi`] with the registers, which lie on the stack afterwards as they did before; no register
/// is changed. Vector and error code are below the frame then.
macro_rules! call_nmi {
    ($($last:literal),+ $(, $name:ident = $kind:ident $value:expr)*) => {
        naked_asm!(
            "push 0",
            "push {vector}",
            "push rax",
            "push rbx",
            "push rcx",
            "push rdx",
            "push rsi",
            "push rdi",
            "push rbp",
            "push r8",
            "push r9",
            "push r10",
            "push r11",
            "push r12",
            "push r13",
            "push r14",
            "push r15",
            "mov rdi, rsp",
            "mov rbp, rsp", // kept by what is called
            "sub rsp, 512",
            "and rsp, -16",
            "fxsave64 [rsp]",
            "cld",
            "call {nmi}",
            "fxrstor64 [rsp]",
            "mov rsp, rbp",
            "pop r15",
            "pop r14",
            "pop r13",
            "pop r12",
            "pop r11",
            "pop r10",
            "pop r9",
            "pop r8",
            "pop rbp",
            "pop rdi",
            "pop rsi",
            "pop rdx",
            "pop rcx",
            "pop rbx",
            "pop rax",
            $($last,)+
            vector = const VECTOR,
            nmi = sym nmi,
            $($name = $kind $value,)*
        )
    };
}

/// Takes one from the CPU, on a stack of its own. A vCPU that slept does not any more, and goes on with
/// interrupts off, as everywhere else.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn hvm_stub() {
    call_nmi!("add rsp, 16", "jmp {end_sleep}", end_sleep = sym end_sleep)
}

/// Takes one from Xen, on the stack of what it interrupts.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn pv_stub() {
    naked_asm!("pop rcx", "pop r11", "jmp {rest}", rest = sym pv_rest)
}

/// Goes back by Xen, in one step with the event mask: the frame is RAX, R11, RCX, flags (0: RCX and R11
/// count), and what was pushed (`xen/include/public/arch-x86/xen-x86_64.h`, `struct iret_context`).
#[unsafe(naked)]
unsafe extern "C" fn pv_rest() {
    call_nmi!(
        "mov qword ptr [rsp + 8], 0",
        "mov [rsp], rcx",
        "push r11",
        "push rax",
        "mov eax, {iret}",
        "syscall",
        "ud2",
        iret = const __HYPERVISOR_iret
    )
}
