// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a request to a disk failed, and which side caused it.

use core::fmt;

use crate::hal::Page;

use super::Buffer;

/// A result of this module's.
pub type Result<T> = core::result::Result<T, Error>;

/// Why a request was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It reaches over the end of the disk: the caller's mistake, or the disk has shrunk.
    OutOfRange {
        /// The disk's size.
        bytes: u64,
    },
    /// Offset or length is not a multiple of the sector size: the caller's mistake.
    Unaligned {
        /// The disk's sector size.
        sector_size: u32,
    },
    /// The disk cannot be written: the caller's mistake.
    ReadOnly,
    /// The disk does not offer this, or has stopped to.
    Unsupported,
    /// There is no memory, or nothing to share it with the device by.
    NoMemory,
    /// The device could not do it: a broken medium, a full file behind it.
    Device,
    /// The device broke the protocol. It is not trusted any more, and connected anew.
    Broken,
    /// The device went away and came back, and may have lost writes that were finished, but not flushed.
    /// Told once, to the flushes that were asked for first since.
    Lost,
    /// The disk was taken away before the request was done. It may have been done, or not.
    Gone,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange { bytes } => write!(f, "beyond the end of the disk, which has {bytes} bytes"),
            Self::Unaligned { sector_size } => {
                write!(f, "the disk reads and writes whole sectors of {sector_size} bytes")
            }
            Self::ReadOnly => f.write_str("the disk is read-only"),
            Self::Unsupported => f.write_str("the disk does not support this operation"),
            Self::NoMemory => f.write_str("out of memory for the request; give the guest more memory"),
            Self::Device => f.write_str("the disk reports an I/O error; check its backend"),
            Self::Broken => f.write_str("the disk's backend broke the protocol"),
            Self::Lost => {
                f.write_str("the disk's backend restarted, and may have lost writes that were not flushed")
            }
            Self::Gone => f.write_str("the disk was taken away"),
        }
    }
}

impl core::error::Error for Error {}

/// A request was not done, or only in part. The buffer comes back, unless the device still has it:
/// then it is empty.
pub struct Failed<P: Page> {
    /// The request's buffer.
    pub buffer: Buffer<P>,
    /// Why.
    pub error: Error,
}

impl<P: Page> fmt::Display for Failed<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<P: Page> fmt::Debug for Failed<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failed({:?})", self.error)
    }
}

impl<P: Page> core::error::Error for Failed<P> {}

impl<P: Page> From<Failed<P>> for Error {
    fn from(failed: Failed<P>) -> Self {
        failed.error
    }
}
