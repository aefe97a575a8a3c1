// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtio devices (Virtual I/O Device 1.2), on PCI and with registers in memory: disks, SCSI
//! controllers, NICs, consoles.
//!
//! A device is trusted no more than a backend: what it writes is read once and checked by the
//! [queue](queue::Queue) and the [transport]. A device that breaks the protocol is disabled.

pub mod console;
pub mod disk;
mod kind;
pub mod mmio;
pub mod network;
pub mod pci;
pub mod queue;
pub mod scsi;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
#[cfg(test)]
mod tests;
pub mod transport;

pub use kind::Kind;

/// A device's registers.
pub type Registers = alloc::boxed::Box<dyn transport::Transport>;
