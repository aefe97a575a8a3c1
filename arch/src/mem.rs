// SPDX-License-Identifier: MIT OR Apache-2.0
//! Symbols that compiled code expects of its environment: the memory functions, and stubs of
//! the unwinder that precompiled `core` refers to and that never run with `panic = "abort"`.
//!
//! In assembly, so that the compiler cannot turn a loop in `memcpy` into a call of `memcpy`.

use core::arch::naked_asm;

/// Up to 32 bytes are loaded, in two pieces that may overlap, before any is stored. What is longer is copied
/// 32 bytes at a time, and its last 32, which were loaded first, at the end: so the two may overlap if the
/// destination begins first.
///
/// A string instruction takes long to begin, and most copies are of less than 200 bytes. It is the fastest
/// way for long ones: `rep movsq` and not `rep movsb`, which an emulator does byte by byte.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "cmp rdx, 16",
        "jb 4f",
        "movups xmm2, [rsi + rdx - 16]",
        "cmp rdx, 32",
        "ja 2f",
        "movups xmm0, [rsi]",
        "movups [rdi], xmm0",
        "movups [rdi + rdx - 16], xmm2",
        "ret",
        // More than 32.
        "2:",
        "cmp rdx, {LONG}",
        "jae 8f",
        "9:",
        "movups xmm3, [rsi + rdx - 32]",
        "lea rcx, [rdi + rdx - 32]",
        "3:",
        "movups xmm0, [rsi]",
        "movups xmm1, [rsi + 16]",
        "add rsi, 32",
        "movups [rdi], xmm0",
        "movups [rdi + 16], xmm1",
        "add rdi, 32",
        "cmp rdi, rcx",
        "jb 3b",
        "movups [rcx], xmm3",
        "movups [rcx + 16], xmm2",
        "ret",
        // Less than 16.
        "4:",
        "cmp edx, 8",
        "jb 5f",
        "mov rcx, [rsi]",
        "mov r8, [rsi + rdx - 8]",
        "mov [rdi], rcx",
        "mov [rdi + rdx - 8], r8",
        "ret",
        "5:",
        "cmp edx, 4",
        "jb 6f",
        "mov ecx, [rsi]",
        "mov r8d, [rsi + rdx - 4]",
        "mov [rdi], ecx",
        "mov [rdi + rdx - 4], r8d",
        "ret",
        // Less than 4: the first, the middle and the last, which may be the same.
        "6:",
        "test edx, edx",
        "jz 7f",
        "mov r9, rdx",
        "shr r9",
        "movzx ecx, byte ptr [rsi]",
        "movzx r8d, byte ptr [rsi + r9]",
        "movzx r10d, byte ptr [rsi + rdx - 1]",
        "mov [rdi], cl",
        "mov [rdi + r9], r8b",
        "mov [rdi + rdx - 1], r10b",
        "7: ret",
        // The last 8 bytes are loaded before any is stored, as above.
        // Not where they overlap closely, which is slow.
        "8:",
        "mov rcx, rsi",
        "sub rcx, rdi",
        "cmp rcx, 64",
        "jb 9b",
        "mov r8, [rsi + rdx - 8]",
        "mov rcx, rdx",
        "shr rcx, 3",
        "rep movsq",
        "mov [rax + rdx - 8], r8",
        "ret",
        LONG = const LONG,
    )
}

/// Bytes from which on a string instruction is faster.
const LONG: usize = 1024;

/// As `memcpy`; the other way round if the destination begins later.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "sub rax, rsi",
        "cmp rax, rdx", // unsigned: to < from wraps to a large number
        "jae {memcpy}",
        "cmp rdx, 32",
        "jbe {memcpy}",
        // `to` lies inside the source: copy from the end, and the first 32 bytes last.
        "mov rax, rdi",
        "movups xmm2, [rsi]",
        "movups xmm3, [rsi + 16]",
        "2:",
        "movups xmm0, [rsi + rdx - 32]",
        "movups xmm1, [rsi + rdx - 16]",
        "movups [rdi + rdx - 32], xmm0",
        "movups [rdi + rdx - 16], xmm1",
        "sub rdx, 32",
        "cmp rdx, 32",
        "ja 2b",
        "movups [rdi], xmm2",
        "movups [rdi + 16], xmm3",
        "ret",
        memcpy = sym memcpy,
    )
}

/// 16 bytes at a time; the last ones may be written twice.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, bytes: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "movzx esi, sil",
        "mov rcx, 0x0101010101010101",
        "imul rsi, rcx",
        "cmp rdx, 16",
        "jb 3f",
        "movq xmm0, rsi",
        "punpcklqdq xmm0, xmm0",
        "cmp rdx, {LONG}",
        "jae 7f",
        "lea rcx, [rdi + rdx - 16]",
        "2:",
        "movups [rdi], xmm0",
        "add rdi, 16",
        "cmp rdi, rcx",
        "jb 2b",
        "movups [rcx], xmm0",
        "ret",
        // Less than 16.
        "3:",
        "cmp edx, 8",
        "jb 4f",
        "mov [rdi], rsi",
        "mov [rdi + rdx - 8], rsi",
        "ret",
        "4:",
        "cmp edx, 4",
        "jb 5f",
        "mov [rdi], esi",
        "mov [rdi + rdx - 4], esi",
        "ret",
        "5:",
        "test edx, edx",
        "jz 6f",
        "mov rcx, rdx",
        "shr rcx",
        "mov [rdi], sil",
        "mov [rdi + rcx], sil",
        "mov [rdi + rdx - 1], sil",
        "6: ret",
        "7:",
        "mov r8, rdi",
        "mov rax, rsi",
        "mov rcx, rdx",
        "shr rcx, 3",
        "rep stosq",
        "mov [r8 + rdx - 8], rsi",
        "mov rax, r8",
        "ret",
        LONG = const LONG,
    )
}

/// 16 bytes at a time; the last ones may be compared twice.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, bytes: usize) -> i32 {
    naked_asm!(
        "xor ecx, ecx",
        "mov r8, rdx",
        "sub r8, 16",
        "jb 4f",
        "2:",
        "movups xmm0, [rdi + rcx]",
        "movups xmm1, [rsi + rcx]",
        "pcmpeqb xmm0, xmm1",
        "pmovmskb eax, xmm0",
        "xor eax, 0xffff",
        "jnz 3f",
        "cmp rcx, r8",
        "je 6f",
        "add rcx, 16",
        "cmp rcx, r8",
        "cmova rcx, r8", // the last 16, some of them again
        "jmp 2b",
        "3:",
        "bsf eax, eax",
        "add rcx, rax",
        "movzx eax, byte ptr [rdi + rcx]",
        "movzx edx, byte ptr [rsi + rcx]",
        "sub eax, edx",
        "ret",
        // Less than 16.
        "4:",
        "xor eax, eax",
        "5:",
        "cmp rcx, rdx",
        "je 6f",
        "movzx eax, byte ptr [rdi + rcx]",
        "movzx r8d, byte ptr [rsi + rcx]",
        "inc rcx",
        "sub eax, r8d",
        "jz 5b",
        "6: ret",
    )
}

#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, bytes: usize) -> i32 {
    naked_asm!("jmp {memcmp}", memcmp = sym memcmp)
}

#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    naked_asm!("xor eax, eax", "or rcx, -1", "repne scasb", "not rcx", "lea rax, [rcx - 1]", "ret")
}

#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    crate::cpu::stop()
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    crate::cpu::stop()
}
