// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
#![no_std]

pub mod apic;
pub mod backtrace;
pub mod cpu;
pub mod cpuid;
pub mod entry;
mod hvm;
pub mod hypercall;
pub mod image;
pub mod irq;
pub mod kvm;
pub mod machine;
mod mem;
mod nmi;
mod pv;
pub mod random;
pub mod registers;
mod sleep;
pub mod stack;
pub mod traps;
pub mod vcpu;

pub use entry::{Entry, EntryProtocol};
pub use hvm::startup;
pub use machine::Machine;

use hvm::Hvm;
use pv::Pv;

/// The machine that the boot protocol leads to. Only here both are known: what implements [`Machine`] does
/// not know the other one.
pub fn machine(entry: Entry) -> &'static dyn Machine {
    match entry.protocol {
        EntryProtocol::Pv => {
            Pv::remember_layout(entry.information);
            &Pv
        }
        EntryProtocol::Pvh | EntryProtocol::Multiboot1 | EntryProtocol::Multiboot2 => &Hvm,
    }
}
