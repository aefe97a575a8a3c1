// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtio devices (Virtual I/O Device 1.2), wherever their registers are.

pub mod console;
mod kind;
pub mod mmio;
pub mod pci;

pub use kind::Kind;
