// SPDX-License-Identifier: MIT OR Apache-2.0
//! Causes the fault that `fault=` names. To survive it is a failure.
#![no_std]
#![no_main]

use core::arch::asm;
use core::hint::black_box;
use core::sync::atomic::AtomicU8;

use prism::{Verdict, println};

prism::app!(main, params: ["fault"]);

async fn main(context: prism::Context) -> prism::Result<Verdict> {
    let kind = context.command_line().get("fault").ok_or("fault= is missing")?;
    println!("about to: {kind}");
    match kind {
        "write-text" => write_text(),
        "write-constant" => write_constant(),
        "jump-data" => jump_data(),
        "null" => read_null(),
        "stack-overflow" => drop(black_box(overflow_stack(black_box(0)))),
        "divide" => divide(),
        "invalid-opcode" => invalid_opcode(),
        "panic" => panic_on_purpose(),
        _ => return Err("fault= names nothing that can be done".into()),
    }
    println!("came back from it");
    Ok(Verdict::Failure)
}

#[inline(never)]
fn write_text() {
    let place = (write_text as fn() as *const ()).cast_mut().cast::<u8>();
    // SAFETY: none; this is the fault. The page must not be writable.
    unsafe { place.write_volatile(0xcc) };
}

#[inline(never)]
fn write_constant() {
    static CONSTANT: [u8; 8] = *b"constant";
    // SAFETY: none; this is the fault. The page must not be writable.
    unsafe { CONSTANT.as_ptr().cast_mut().write_volatile(0) };
}

#[inline(never)]
fn jump_data() {
    /// `ret`, where no code may run.
    static CODE: AtomicU8 = AtomicU8::new(0xc3);
    // SAFETY: none; this is the fault. The page must not be executable.
    unsafe { asm!("call {}", in(reg) CODE.as_ptr(), clobber_abi("C")) };
}

#[inline(never)]
fn read_null() {
    // SAFETY: none; this is the fault. In assembly, as the compiler may not be shown a null read.
    unsafe { asm!("mov {0:e}, dword ptr [{0}]", inout(reg) 0u64 => _) };
}

#[inline(never)]
fn overflow_stack(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if depth == u64::MAX {
        return 0;
    }
    overflow_stack(depth + 1).wrapping_add(frame[(depth % 64) as usize])
}

#[inline(never)]
fn divide() {
    // SAFETY: none; this is the fault. Rust's own division would check first.
    unsafe {
        asm!("xor edx, edx", "mov eax, 1", "xor ecx, ecx", "div ecx", out("eax") _, out("ecx") _, out("edx") _)
    };
}

#[inline(never)]
fn invalid_opcode() {
    // SAFETY: none; this is the fault.
    unsafe { asm!("ud2") };
}

#[inline(never)]
fn panic_on_purpose() {
    let empty: [u8; 0] = black_box([]);
    let index = black_box(7);
    println!("{}", empty[index]);
}
