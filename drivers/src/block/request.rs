// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests to a disk.

use crate::hal::Page;

use super::{Buffer, Error, Failed, Geometry};

/// What a disk is asked for. Offsets and lengths are in bytes.
#[derive(Debug)]
pub enum Request<P: Page> {
    /// Fill the buffer.
    Read {
        /// Where on the disk.
        offset: u64,
        /// What is filled.
        buffer: Buffer<P>,
    },
    /// Write the buffer.
    Write {
        /// Where on the disk.
        offset: u64,
        /// What is written.
        buffer: Buffer<P>,
    },
    /// Make all writes durable that are finished.
    Flush,
    /// Forget what is in a range.
    Discard {
        /// Where it begins.
        offset: u64,
        /// How long it is.
        length: u64,
        /// How.
        how: Discard,
    },
}

/// How sectors are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// They need not be kept any more.
    Normal,
    /// Nobody shall ever read what was in them.
    Secure,
}

impl<P: Page> Request<P> {
    /// The request, if a disk of this geometry can do it.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Unaligned`], [`Error::ReadOnly`], [`Error::Unsupported`],
    /// along with the buffer.
    pub fn checked(self, disk: &Geometry) -> core::result::Result<Self, Failed<P>> {
        let verdict = match &self {
            Self::Read { offset, buffer } => disk.check(*offset, buffer.length() as u64),
            Self::Write { offset, buffer } => disk.check_write(*offset, buffer.length() as u64),
            Self::Flush => Ok(()),
            Self::Discard { .. } if !disk.discards => Err(Error::Unsupported),
            Self::Discard { offset, length, .. } => disk.check_write(*offset, *length),
        };
        match verdict {
            Ok(()) => Ok(self),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// The request, given back with `error`.
    pub fn failed(self, error: Error) -> Failed<P> {
        let buffer = match self {
            Self::Read { buffer, .. } | Self::Write { buffer, .. } => buffer,
            Self::Flush | Self::Discard { .. } => Buffer::empty(),
        };
        Failed { buffer, error }
    }
}
