// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

mod apic;
pub mod app;
mod bell;
pub mod blocking;
mod boot;
mod clocks;
pub mod console;
mod crash;
mod critical;
mod devices;
pub mod disks;
mod dma;
pub mod entropy;
pub mod event;
mod exec;
pub mod grant;
mod hypervisor;
mod lifecycle;
mod line;
mod logger;
pub mod memory;
pub mod network;
mod nmi;
mod ports;
pub mod power;
mod probe;
mod registers;
mod smp;
mod store;
pub mod surroundings;
pub mod sync;
pub mod task;
pub mod time;
mod timer;

pub use ::log;
pub use app::{Context, Outcome, Verdict};
pub use crash::panicked;
pub use embassy_futures as futures;
pub use embassy_time;
pub use exec::{SpawnError, long_polls, spins};
pub use network::embassy_net;
pub use xen;

/// The error that an application's main may return: anything that can be displayed.
pub type Error = alloc::boxed::Box<dyn core::error::Error>;

/// What an application's main may return.
pub type Result<T = ()> = core::result::Result<T, Error>;
