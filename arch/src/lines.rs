// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupt lines of a PC's old controllers: the stubs that take them, and what they leave behind.

use core::arch::naked_asm;
use core::sync::atomic::{AtomicBool, Ordering};

/// Lines there are.
pub const LINES: usize = 16;
/// Vector of the first line, above the CPU's exceptions; the others follow.
pub const FIRST_VECTOR: u8 = 0x20;

static ARRIVED: [AtomicBool; LINES] = [const { AtomicBool::new(false) }; LINES];

/// Whether `line` has raised an interrupt since the last call.
pub fn take(line: u8) -> bool {
    ARRIVED.get(usize::from(line)).is_some_and(|arrived| {
        // A look first: it costs less than a swap, and most lines are quiet.
        arrived.load(Ordering::Relaxed) && arrived.swap(false, Ordering::Acquire)
    })
}

/// Takes an interrupt of line `LINE`: notes it, and returns with interrupts off. The controllers
/// expect no acknowledgement, as they are told at boot.
#[unsafe(naked)]
unsafe extern "C" fn line_stub<const LINE: usize>() {
    naked_asm!(
        "mov byte ptr [rip + {arrived} + {line}], 1",
        "and dword ptr [rsp + 16], ~0x200", // RFLAGS.IF of the saved flags
        "iretq",
        arrived = sym ARRIVED,
        line = const LINE,
    )
}

/// Addresses of the stubs, by line.
pub(crate) fn stubs() -> [u64; LINES] {
    macro_rules! stubs {
        ($($line:literal)*) => { [$((line_stub::<$line> as *const ()).addr() as u64),*] };
    }
    stubs!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
}
