// SPDX-License-Identifier: MIT OR Apache-2.0
//! A disk as a stream with a position, as crates for file systems want it.

use alloc::sync::Arc;

use embedded_io::{ErrorType, Read, Seek, SeekFrom, Write};
use prism::blocking::wait;
use prism::disks::{self, Bytes};

/// A disk, and a place on it. Used in blocking code.
pub(crate) struct Cursor {
    bytes: Arc<Bytes>,
    at: u64,
}

impl Cursor {
    pub(crate) fn new(bytes: &Arc<Bytes>) -> Self {
        Self { bytes: Arc::clone(bytes), at: 0 }
    }

    /// How many of `wanted` bytes there are from here on.
    fn available(&self, wanted: usize) -> usize {
        self.bytes.length().saturating_sub(self.at).min(wanted as u64) as usize
    }
}

/// What the disk says.
#[derive(Debug)]
pub(crate) struct Failed(disks::Error);

impl core::fmt::Display for Failed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl core::error::Error for Failed {}

impl From<disks::Error> for Failed {
    fn from(error: disks::Error) -> Self {
        Self(error)
    }
}

impl embedded_io::Error for Failed {
    fn kind(&self) -> embedded_io::ErrorKind {
        match self.0 {
            disks::Error::OutOfRange { .. } | disks::Error::Unaligned { .. } => {
                embedded_io::ErrorKind::InvalidInput
            }
            disks::Error::NoMemory => embedded_io::ErrorKind::OutOfMemory,
            disks::Error::ReadOnly => embedded_io::ErrorKind::PermissionDenied,
            _ => embedded_io::ErrorKind::Other,
        }
    }
}

impl ErrorType for Cursor {
    type Error = Failed;
}

impl Read for Cursor {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Failed> {
        let count = self.available(into.len());
        if let Some(into) = into.get_mut(..count) {
            wait(self.bytes.read(self.at, into)).map_err(Failed)?;
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Write for Cursor {
    fn write(&mut self, from: &[u8]) -> Result<usize, Failed> {
        let count = self.available(from.len());
        if let Some(from) = from.get(..count) {
            wait(self.bytes.write(self.at, from)).map_err(Failed)?;
        }
        self.at += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> Result<(), Failed> {
        wait(self.bytes.flush()).map_err(Failed)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> Result<u64, Failed> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(offset) => self.bytes.length().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = place.ok_or(Failed(disks::Error::OutOfRange { bytes: self.bytes.length() }))?;
        Ok(self.at)
    }
}
