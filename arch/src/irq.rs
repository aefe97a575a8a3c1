// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts of devices: the stubs that take them, and what they leave behind. The first 16 are those
//! of a PC's 8259s; the others are for inputs of I/O APICs, whichever are routed to them.

use core::arch::naked_asm;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::apic::apic_stub;
use crate::sleep::end_sleep;

/// IRQs of the 8259s.
pub const PIC_IRQS: usize = 16;
/// IRQs there are.
pub const IRQS: usize = 48;
/// Vector of the first IRQ, above the CPU's exceptions; the others follow.
pub const FIRST_VECTOR: u8 = 0x20;

static ARRIVED: [AtomicBool; IRQS] = [const { AtomicBool::new(false) }; IRQS];

/// Whether `irq` has raised an interrupt since the last call.
pub fn take(irq: u8) -> bool {
    ARRIVED.get(usize::from(irq)).is_some_and(|arrived| {
        // A look first: it costs less than a swap, and most IRQs are quiet.
        arrived.load(Ordering::Relaxed) && arrived.swap(false, Ordering::Acquire)
    })
}

/// Takes interrupt `IRQ`: notes it, and returns with interrupts off. The controllers
/// expect no acknowledgement, as they are told at boot.
#[unsafe(naked)]
unsafe extern "C" fn pic_stub<const IRQ: usize>() {
    naked_asm!(
        "mov byte ptr [rip + {arrived} + {line}], 1",
        "jmp {end}",
        arrived = sym ARRIVED,
        line = const IRQ,
        end = sym end_sleep,
    )
}

/// Takes interrupt `IRQ`: notes it, ends it at the local APIC, and returns with interrupts off.
#[unsafe(naked)]
unsafe extern "C" fn io_apic_stub<const IRQ: usize>() {
    naked_asm!(
        "mov byte ptr [rip + {arrived} + {line}], 1",
        "jmp {end}",
        arrived = sym ARRIVED,
        line = const IRQ,
        end = sym apic_stub,
    )
}

/// Addresses of the stubs, by IRQ.
pub(crate) fn stubs() -> [u64; IRQS] {
    macro_rules! stubs {
        (pic: $($pic:literal)*; io_apic: $($io_apic:literal)*) => {[
            $((pic_stub::<$pic> as *const ()).addr() as u64,)*
            $((io_apic_stub::<$io_apic> as *const ()).addr() as u64,)*
        ]};
    }
    stubs!(
        pic: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15;
        io_apic: 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47
    )
}
