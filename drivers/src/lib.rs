// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

extern crate alloc;

pub mod ahci;
mod alarm;
pub mod apic;
mod ata;
pub mod backoff;
pub mod blkfront;
pub mod block;
pub mod dma;
pub mod e1000;
pub mod ending;
pub mod hpet;
pub mod ide;
pub mod interrupt;
pub mod intx;
pub mod io_apic;
pub mod keyboard;
pub mod known;
pub mod net;
pub mod output;
pub mod partition;
mod patience;
pub mod pci;
pub mod pic;
pub mod pit;
pub mod platform;
pub mod ports;
pub mod power;
pub mod ramdisk;
pub mod registers;
pub mod romdisk;
pub mod rtc;
pub mod rtl8139;
pub mod serial;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod unplug;
pub mod vga;
pub mod virtio;
