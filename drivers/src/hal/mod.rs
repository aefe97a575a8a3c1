// SPDX-License-Identifier: MIT OR Apache-2.0
//! The seam to the kernel: the traits that a kernel implements, and what drivers wait with.
//!
//! A driver reaches its device, and the kernel it runs in, only through these. So it runs on a host as well,
//! against a simulated device that breaks its protocol.
//!
//! | for | a kernel implements |
//! |---|---|
//! | paravirtual devices | [`Platform`], [`Channel`] |
//! | backends of paravirtual devices | [`BackendPlatform`] besides |
//! | emulated devices | [`Ports`] or [`Registers`], [`Interrupt`], [`DeviceMemory`] for DMA |
//! | virtio devices | [`NarrowRegisters`], [`RingMemory`] |
//! | all | [`Page`]: a page of its own that a device may be given |

mod adaptive_poll;
mod alarm;
mod dma;
mod interrupt;
mod platform;
#[cfg(test)]
mod poll;
mod ports;
mod registers;

pub(crate) use adaptive_poll::AdaptivePoll;
pub(crate) use alarm::Alarm;
pub use dma::{DeviceMemory, RingMemory};
pub(crate) use interrupt::nanoseconds;
pub use interrupt::{Interrupt, until};
pub use platform::{BackendPlatform, Channel, Platform};
#[cfg(test)]
pub(crate) use poll::{now, poll};
pub use ports::Ports;
pub use registers::{NarrowRegisters, Registers};
pub use xen::page::{PAGE_SIZE, Page};
