// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starts CPUs as on a PC: they begin in real mode, at a page below 1 MiB (Intel SDM volume 3, 9.4.4 "MP
//! Initialization Example").
//!
//! The code there is a copy of `REAL_MODE`. It switches the CPU to 32-bit mode and jumps into the image.
//! There the CPU takes over the control registers of the starting CPU, and with them 64-bit mode and our page
//! tables.

use core::arch::{global_asm, naked_asm};
use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::registers::control::{Cr0, Cr3, Cr4};
use x86_64::registers::model_specific::{Efer, EferFlags};

use crate::entry::{BOOT_GDT, secondary_start};
use crate::machine::StartError;
use crate::vcpu;

/// What the next CPU to start takes over.
#[repr(C)]
struct Next {
    cr0: AtomicU64,
    cr3: AtomicU64,
    cr4: AtomicU64,
    efer: AtomicU64,
    stack: AtomicU64,
    vcpu: AtomicU64,
}

static NEXT: Next = Next {
    cr0: AtomicU64::new(0),
    cr3: AtomicU64::new(0),
    cr4: AtomicU64::new(0),
    efer: AtomicU64::new(0),
    stack: AtomicU64::new(0),
    vcpu: AtomicU64::new(0),
};

// State on entry (SDM volume 3, 9.1.1 and 9.4.4): real mode, CS = page, IP = 0, interrupts off.
// State for `protected`: 32-bit mode without paging, CS = 24.
global_asm!(
    ".pushsection .rodata.real_mode, \"a\"",
    ".global prism_real_mode",
    "prism_real_mode:",
    ".code16",
    "    cli",
    "    cld",
    // lgdt cs:[offset of the operand below], with a 32-bit base
    "    .byte 0x2e, 0x66, 0x0f, 0x01, 0x16",
    "    .short 2f - prism_real_mode",
    "    mov eax, cr0",
    "    or al, 1", // PE
    "    mov cr0, eax",
    // jmp 24:protected, with a 32-bit offset
    "    .byte 0x66, 0xea",
    "    .long {protected}",
    "    .short 24",
    "2:  .short 31",
    "    .long {descriptors}",
    ".global prism_real_mode_end",
    "prism_real_mode_end:",
    ".code64",
    ".popsection",
    protected = sym protected,
    descriptors = sym BOOT_GDT,
);

unsafe extern "C" {
    #[link_name = "prism_real_mode"]
    static REAL_MODE: u8;
    #[link_name = "prism_real_mode_end"]
    static REAL_MODE_END: u8;
}

/// From 32-bit mode to [`long`].
#[unsafe(naked)]
unsafe extern "C" fn protected() -> ! {
    naked_asm!(
        ".code32",
        "mov eax, 16",
        "mov ds, eax",
        "mov es, eax",
        "mov ss, eax",
        "mov ebx, offset {next}",
        "mov eax, [ebx + 16]",
        "mov cr4, eax",
        "mov eax, [ebx + 8]",
        "mov cr3, eax",
        "mov ecx, 0xc0000080", // EFER
        "mov eax, [ebx + 24]",
        "xor edx, edx",
        "wrmsr",
        "mov eax, [ebx]",
        "mov cr0, eax",
        // jmp 8:long
        ".byte 0xea",
        ".long {long}",
        ".short 8",
        ".code64",
        next = sym NEXT,
        long = sym long,
    )
}

/// The first 64-bit instructions: the state that [`secondary_start`] wants.
#[unsafe(naked)]
unsafe extern "C" fn long() -> ! {
    naked_asm!(
        "xor eax, eax",
        "mov fs, eax",
        "mov gs, eax",
        "mov eax, offset {next}",
        "mov rsp, [rax + 32]",
        "mov rdi, [rax + 40]",
        "jmp {start}",
        next = sym NEXT,
        start = sym secondary_start,
    )
}

/// Puts the code that CPUs start with at the page with address `page`.
///
/// # Safety
///
/// The page is below 1 MiB, mapped at its own address, and nobody else's as long as CPUs are started.
/// This is not a PV domain.
pub unsafe fn prepare(page: u64) {
    let start = &raw const REAL_MODE;
    let length = (&raw const REAL_MODE_END).addr() - start.addr();
    let pointer = core::ptr::with_exposed_provenance_mut::<u8>(page as usize);
    // SAFETY: the code is a few bytes long, the page is the caller's to give.
    unsafe { pointer.copy_from_nonoverlapping(start, length) };
}

/// Makes the next CPU that starts vCPU `number`, which has its [memory](crate::vcpu::Vcpu::new_at). One at a
/// time: the next may be named when this one has arrived.
///
/// # Errors
///
/// [`StartError::NoMemory`].
pub fn expect(number: u32) -> Result<(), StartError> {
    let own = vcpu::of(number).ok_or(StartError::NoMemory)?;
    // The CPU sets this bit by itself when it enters 64-bit mode.
    let efer = Efer::read_raw() & !EferFlags::LONG_MODE_ACTIVE.bits();
    NEXT.cr0.store(Cr0::read_raw(), Ordering::Relaxed);
    NEXT.cr3.store(Cr3::read_raw().0.start_address().as_u64(), Ordering::Relaxed);
    NEXT.cr4.store(Cr4::read_raw(), Ordering::Relaxed);
    NEXT.efer.store(efer, Ordering::Relaxed);
    NEXT.stack.store(own.stacks.tasks.top(), Ordering::Relaxed);
    NEXT.vcpu.store(u64::from(number), Ordering::SeqCst);
    Ok(())
}
