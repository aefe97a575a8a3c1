// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

extern crate alloc;

pub mod balloon;
pub mod console;
pub mod control;
mod domain;
pub mod error;
pub mod event;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
pub mod grant;
pub mod hvm;
pub mod hypercall;
pub mod memory;
pub mod page;
pub mod pv;
pub mod ring;
pub mod sched;
pub mod shared;
pub mod time;
pub mod vcpu;
pub mod version;
pub mod xenbus;
pub mod xenstore;

pub use domain::DomainId;
pub use error::Errno;
pub use hypercall::Hypercall;
