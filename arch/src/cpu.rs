// SPDX-License-Identifier: MIT OR Apache-2.0
//! Single instructions: ports, time stamps, stopping.

use core::arch::asm;
use core::arch::x86_64::{_mm_lfence, _rdtsc};

use uart_16550::Uart16550;
use uart_16550::backend::PioBackend;
use x86_64::instructions::port::Port;

/// Stops this CPU for good. On HVM interrupts are off, so `hlt` never ends; a PV kernel runs in
/// ring 3, where `hlt` is a fault that Xen turns into a yield.
pub fn stop() -> ! {
    loop {
        x86_64::instructions::hlt();
    }
}

/// A pause in a spin loop.
pub fn relax() {
    core::hint::spin_loop();
}

/// The time-stamp counter, not read earlier than the instructions before it.
///
/// `lfence; rdtsc` and not `rdtscp`: the latter is intercepted differently from what some
/// nested hypervisors handle.
pub fn timestamp() -> u64 {
    // SAFETY: every x86-64 CPU has SSE2, hence `lfence`.
    unsafe { _mm_lfence() };
    // SAFETY: `rdtsc` works in every mode we run in; where it is forbidden Xen emulates it.
    unsafe { _rdtsc() }
}

/// Writes to port 0xE9, the debug port of Xen and QEMU. Has no effect where there is none.
///
/// Not for PV kernels: they have no port access, and fault.
pub fn debug_port_write(bytes: &[u8]) {
    for &byte in bytes {
        write_port_u8(0xe9, byte);
    }
}

/// Whether port 0xE9 echoes its number, as QEMU's and Bochs' debug console do.
pub fn debug_port_answers() -> bool {
    read_port_u8(0xe9) == 0xe9
}

macro_rules! port_access {
    ($read:ident, $write:ident, $type:ty) => {
        /// Reads an I/O port. A port without a device reads as all ones. Not for PV kernels.
        pub fn $read(port: u16) -> $type {
            // SAFETY: port reads cannot touch memory that Rust knows of; the devices that this
            // kernel drives have no read that does by itself.
            unsafe { Port::<$type>::new(port).read() }
        }

        /// Writes an I/O port. Not for PV kernels.
        pub fn $write(port: u16, value: $type) {
            // SAFETY: as for reads. A bus-master transfer can change memory: drivers start one only
            // towards pages that they own, and keep them until it has ended.
            unsafe { Port::<$type>::new(port).write(value) }
        }
    };
}

port_access!(read_port_u8, write_port_u8, u8);
port_access!(read_port_u16, write_port_u16, u16);
port_access!(read_port_u32, write_port_u32, u32);

/// Reads an I/O port again and again, two bytes at a time, into `data`: one exit to a hypervisor for
/// many reads. A last odd byte is left alone. Not for PV kernels.
pub fn read_port_u16s(port: u16, data: &mut [u8]) {
    // SAFETY: fills whole pairs inside of `data`; the direction flag is clear, as the ABI demands.
    unsafe {
        asm!(
            "rep insw",
            in("dx") port,
            inout("rdi") data.as_mut_ptr() => _,
            inout("rcx") data.len() / 2 => _,
            options(nostack, preserves_flags),
        );
    }
}

/// Writes `data` to an I/O port, two bytes at a time; see [`read_port_u16s`].
pub fn write_port_u16s(port: u16, data: &[u8]) {
    // SAFETY: reads whole pairs inside of `data`; see above.
    unsafe {
        asm!(
            "rep outsw",
            in("dx") port,
            inout("rsi") data.as_ptr() => _,
            inout("rcx") data.len() / 2 => _,
            options(nostack, preserves_flags, readonly),
        );
    }
}

/// The first serial port, where PCs have it.
pub fn com1() -> Uart16550<PioBackend> {
    // SAFETY: 0x3f8 to 0x3ff is COM1 or nothing; port accesses there don't touch memory.
    unsafe { Uart16550::new_port(0x3f8) }.expect("0x3f8 is a valid base address")
}

/// Resets the machine by making the CPU unable to deliver an exception (a triple fault).
pub fn triple_fault() -> ! {
    let nothing = x86_64::structures::DescriptorTablePointer { limit: 0, base: x86_64::VirtAddr::zero() };
    // SAFETY: an empty table makes the next exception fatal, which is the purpose.
    unsafe { x86_64::instructions::tables::lidt(&nothing) };
    // SAFETY: see above; control never comes back.
    unsafe { asm!("ud2", options(noreturn)) }
}
