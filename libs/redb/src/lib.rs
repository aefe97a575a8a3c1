// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
//!
//! # Example
//!
//! ```no_run
//! use prism::{Context, blocking};
//! use prism_redb::redb::TableDefinition;
//! use prism_redb::{CACHE, Contents};
//!
//! const VISITS: TableDefinition<'_, &str, u64> = TableDefinition::new("visits");
//!
//! async fn count(context: Context) -> prism::Result {
//!     let disk = context.first_disk().await.ok_or("there is no disk")?;
//!     let done = blocking::run(move || {
//!         let database = prism_redb::open(disk, Contents::Keep, CACHE)?;
//!         let transaction = database.begin_write()?;
//!         transaction.open_table(VISITS)?.insert("today", 1)?;
//!         transaction.commit()?;
//!         Ok(())
//!     });
//!     done.await?
//! }
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::sync::Arc;
use core::fmt;

use prism::blocking::wait;
use prism::disks::{self, ByteRange, Disk, Error};
use prism_redb_backend::{Backend, RawDisk};
use redb::Database;

pub use prism_redb_backend::Contents;
pub use redb;

/// Bytes of the disk that are kept in memory, where there is no reason for more or less.
pub const CACHE: usize = 4 << 20;

/// The database on this disk, or a new one on a blank disk, whose first MiB is zero. It keeps `cache` bytes
/// in memory. Called in blocking code.
///
/// # Errors
///
/// If the disk is too small, holds something else that is to be kept or a store that is damaged, or fails.
pub fn open(disk: Arc<Disk>, contents: Contents, cache: usize) -> prism::Result<Database> {
    let backend = Backend::open(Blocking(disks::bytes(disk)), contents)?;
    let database = Database::builder().set_cache_size(cache).create_with_backend(backend.clone())?;
    backend.complete()?;
    Ok(database)
}

/// A disk whose requests block.
struct Blocking(ByteRange);

impl fmt::Debug for Blocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a disk of {} bytes", self.0.length())
    }
}

impl RawDisk for Blocking {
    type Error = Error;

    fn length(&self) -> u64 {
        self.0.length()
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), Error> {
        wait(self.0.read(offset, into))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        wait(self.0.write(offset, bytes))
    }

    fn flush(&self) -> Result<(), Error> {
        wait(self.0.flush())
    }
}
