// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod backend;
mod header;

use core::fmt;

pub use backend::{Backend, Contents};

/// A disk whose requests block.
pub trait RawDisk: Send + Sync + 'static {
    /// What a failed request says.
    type Error: fmt::Display;

    /// Bytes.
    fn length(&self) -> u64;

    /// Reads from this byte on.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), Self::Error>;

    /// Writes from this byte on.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Returns when all that was written before is durable.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    fn flush(&self) -> Result<(), Self::Error>;
}

/// Why a disk is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError<E> {
    /// It has no room for data.
    TooSmall,
    /// It holds something else.
    Strange,
    /// What it says of its file cannot be: the disk has become shorter, or the header is not ours.
    Damaged,
    /// It fails.
    Disk(E),
}

impl<E> From<E> for OpenError<E> {
    fn from(error: E) -> Self {
        Self::Disk(error)
    }
}

impl<E: fmt::Display> fmt::Display for OpenError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall => f.write_str("the disk is too small for a store"),
            Self::Strange => f.write_str("the disk holds something else than a store"),
            Self::Damaged => f.write_str("the store on the disk is damaged, or longer than the disk"),
            Self::Disk(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for OpenError<E> {}
