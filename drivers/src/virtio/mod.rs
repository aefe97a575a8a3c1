// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtio devices (Virtual I/O Device 1.2), wherever their registers are: disks, network cards, consoles.
//!
//! A device is no more believed than a backend: what it says is read once and checked by the
//! [queue](queue::Queue) and the [transport], and one that breaks the protocol is not used any more.

pub mod console;
pub mod disk;
mod kind;
pub mod mmio;
pub mod network;
pub mod pci;
pub mod queue;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
#[cfg(test)]
mod tests;
pub mod transport;

pub use kind::Kind;

/// A device's registers.
pub type Registers = alloc::boxed::Box<dyn transport::Transport>;
