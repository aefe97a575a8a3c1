// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
//!
//! # Example
//!
//! ```no_run
//! # mod image {
//! use prism::task::{Duration, sleep};
//! use prism::{Context, println};
//!
//! # #[cfg(any())]
//! prism::app!(main, params: ["name"]);
//!
//! async fn main(context: Context) -> prism::Result {
//!     let name = context.command_line().get("name").unwrap_or("world");
//!     println!("Hello, {name}! This is {}.", context.environment());
//!     sleep(Duration::from_secs(1)).await;
//!     Ok(())
//! }
//! # }
//! # fn main() {}
//! ```
#![no_std]

extern crate alloc;

pub mod app;
mod boot;
pub mod console;
mod devices;
pub mod entropy;
mod hypervisor;
mod irq;
pub mod memory;
pub mod network;
mod ports;
pub mod power;
pub mod report;
pub mod task;
pub mod time;

pub use ::log;
pub use app::{Context, Outcome, Verdict};
pub use boot::environment;
pub use console::panic::panicked;
pub use devices::disks;
pub use embassy_executor;
pub use embassy_futures as futures;
pub use embassy_time;
pub use hypervisor::{event, grant};
pub use network::embassy_net;
pub use task::executor::{SpawnError, long_polls, spins};
pub use task::{blocking, embassy, sync};
pub use xen;

/// The examples of the guide.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/write-an-application.md")]
struct Guide;

/// The kernel's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The error that an application's main may return: anything that can be displayed.
pub type Error = alloc::boxed::Box<dyn core::error::Error>;

/// What an application's main may return.
pub type Result<T = ()> = core::result::Result<T, Error>;
