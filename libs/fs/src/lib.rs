// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
//!
//! # Example
//!
//! ```no_run
//! use prism::Context;
//!
//! async fn start(context: Context) -> prism::Result {
//!     let volume = prism_fs::volume(&context, "disk").await?;
//!     let file = volume.open("index.html").await?.ok_or("there is no index.html")?;
//!     let mut first = [0; 512];
//!     let length = file.read(0, &mut first).await?;
//!     prism::println!("{} bytes begin with {:?}", file.length(), first.get(..length));
//!     Ok(())
//! }
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod cached;
mod cursor;
mod ext4;
mod fat;
mod partition;
mod turns;
mod volume;

use alloc::boxed::Box;
use alloc::sync::Arc;

use prism::disks::ByteRange;

pub use partition::{partition, partitions};
pub use prism_volume::{File, FileSystem, OpenFile, ReadError, Volume, WINDOW};
pub use volume::{first_volume, volume};

/// The file system that is there.
///
/// # Errors
///
/// If there is none that is known, or the disk fails.
pub fn mount(place: &Arc<ByteRange>) -> prism::Result<Box<dyn FileSystem>> {
    if ext4::is_there(place)? { ext4::open(place) } else { fat::open(place) }
}
