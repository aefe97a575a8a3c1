// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

extern crate alloc;

mod mounted;
mod reader;
mod superblock;

pub use ext4_view::Ext4Read;
pub use mounted::mount;
pub use reader::LOOKUP;
pub use superblock::{MAGIC, Refused};
