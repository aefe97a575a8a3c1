// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod cached;
mod cursor;
mod ext4;
mod fat;
mod file_system;
mod partition;
mod turns;

use alloc::boxed::Box;
use alloc::sync::Arc;

use prism::disks::ByteRange;

pub use file_system::{FileSystem, OpenFile};
pub use partition::{partition, partitions};

/// The file system that is there.
///
/// # Errors
///
/// If there is none that is known, or the disk fails.
pub fn mount(place: &Arc<ByteRange>) -> prism::Result<Box<dyn FileSystem>> {
    if ext4::is_there(place)? { ext4::open(place) } else { fat::open(place) }
}
