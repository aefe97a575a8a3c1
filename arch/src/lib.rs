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
pub mod kvm;
pub mod lines;
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

pub use entry::{Door, Entry};
pub use hvm::startup;
pub use machine::Machine;

use hvm::Hvm;
use pv::Pv;

/// The machine behind the door that was used.
pub fn machine(entry: Entry) -> &'static dyn Machine {
    match entry.door {
        Door::Pv => {
            Pv::remember_layout(entry.information);
            &Pv
        }
        Door::Pvh | Door::Multiboot1 | Door::Multiboot2 => &Hvm,
    }
}
