// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

extern crate alloc;

pub mod account;
pub mod alarm;
pub mod announcement;
pub mod blocking;
pub mod claim;
pub mod consent;
pub mod deadline;
pub mod hotplug;
pub mod irq;
pub mod presence;
pub mod rate;
pub mod rendezvous;
pub mod request;
pub mod round;
pub mod sleep;
pub mod spin;
pub mod sysrq;
pub mod time;
pub mod timers;
#[cfg(test)]
mod woken;
