// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

extern crate alloc;

pub mod backoff;
pub mod block;
pub mod console;
pub mod hal;
pub mod irq;
pub mod net;
pub mod pci;
pub mod power;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod supported;
pub mod timer;
pub mod unplug;
pub mod virtio;
