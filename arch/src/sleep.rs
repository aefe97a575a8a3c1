// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a vCPU sleeps, and how an interrupt ends the sleep.

use core::arch::naked_asm;

/// Sleeps until an interrupt, with interrupts off before and afterwards.
///
/// `sti` takes effect behind the instruction that follows it (SDM volume 2, STI): nothing is lost in between.
///
/// An interrupt ends the sleep by [`end_sleep`], which leaves interrupts off. Without one it ends where a
/// hypervisor saved a vCPU that slept and restored one that does not: Xen's record of it does not say
/// (`struct hvm_hw_cpu`, xen/include/public/arch-x86/hvm/save.h), and it goes on behind `hlt`, with
/// interrupts on. Hence `cli`.
#[unsafe(naked)]
pub(crate) extern "C" fn sleep() {
    naked_asm!("sti", "hlt", "cli", "ret")
}

/// Bytes of `sti`.
const STI: usize = 1;

/// Returns from an interrupt, with interrupts off. Who waited finds out what it was for.
///
/// The last step of every stub. Taken by itself, it is the stub of what needs no more than that: Xen's
/// events, whose pending bits would raise the vector again and again with interrupts on, until somebody
/// clears them; and interrupts that went away before they were taken.
///
/// An interrupt may come in between `sti` and `hlt` after all, if a hypervisor forgets what the CPU was about
/// to do: Xen 4.17's record of a vCPU that is saved or migrated does not hold it (`struct hvm_hw_cpu`,
/// xen/include/public/arch-x86/hvm/save.h). `hlt` with interrupts off would never end: it is left out then.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn end_sleep() {
    naked_asm!(
        "push rax",
        "lea rax, [rip + {sleep} + {sti}]",
        "cmp qword ptr [rsp + 8], rax", // RIP that was saved: that of `hlt`?
        "jne 2f",
        "inc qword ptr [rsp + 8]", // `hlt` has one byte
        "2: pop rax",
        "and dword ptr [rsp + 16], ~0x200", // RFLAGS.IF of the saved flags
        "iretq",
        sleep = sym sleep,
        sti = const STI,
    )
}
