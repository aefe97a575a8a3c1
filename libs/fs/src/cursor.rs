// SPDX-License-Identifier: MIT OR Apache-2.0
//! A disk as a stream with a position, as crates for file systems want it.

use alloc::rc::Rc;
use alloc::sync::Arc;
use core::cell::Cell;

use embedded_io::{ErrorType, Read, Seek, SeekFrom, Write};
use prism::blocking::wait;
use prism::disks::{self, ByteRange};

use crate::turns::Turns;

/// A disk, and a place on it. Used in blocking code.
pub(crate) struct Cursor {
    bytes: Arc<ByteRange>,
    at: u64,
    budget: Rc<Cell<u64>>,
    turns: Turns,
}

impl Cursor {
    /// The start of a disk, of which no more than `budget` is read: it is reduced by each read, and may be
    /// set anew at any time.
    pub(crate) fn new(bytes: &Arc<ByteRange>, budget: &Rc<Cell<u64>>) -> Self {
        Self { bytes: Arc::clone(bytes), at: 0, budget: Rc::clone(budget), turns: Turns::default() }
    }

    fn spend(&self, count: usize) -> Result<(), Failed> {
        self.budget.set(self.budget.get().checked_sub(count as u64).ok_or(Failed::TooMuch)?);
        Ok(())
    }

    /// How many of `wanted` bytes there are from here on.
    fn available(&self, wanted: usize) -> usize {
        self.bytes.length().saturating_sub(self.at).min(wanted as u64) as usize
    }
}

/// Why something cannot be read or written.
#[derive(Debug)]
pub(crate) enum Failed {
    /// What the disk says.
    Disk(disks::Error),
    /// More was to be read than there is a reason for: directories that lead back to themselves.
    TooMuch,
}

impl core::fmt::Display for Failed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Disk(error) => error.fmt(f),
            Self::TooMuch => f.write_str("too much was read from the directories: they may form a loop"),
        }
    }
}

impl core::error::Error for Failed {}

impl From<disks::Error> for Failed {
    fn from(error: disks::Error) -> Self {
        Self::Disk(error)
    }
}

impl embedded_io::Error for Failed {
    fn kind(&self) -> embedded_io::ErrorKind {
        match self {
            Self::Disk(disks::Error::OutOfRange { .. } | disks::Error::Unaligned { .. }) => {
                embedded_io::ErrorKind::InvalidInput
            }
            Self::Disk(disks::Error::NoMemory) => embedded_io::ErrorKind::OutOfMemory,
            Self::Disk(disks::Error::ReadOnly) => embedded_io::ErrorKind::PermissionDenied,
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
        self.spend(count)?;
        self.turns.pass();
        if let Some(into) = into.get_mut(..count) {
            wait(self.bytes.read(self.at, into)).map_err(Failed::Disk)?;
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Write for Cursor {
    fn write(&mut self, from: &[u8]) -> Result<usize, Failed> {
        let count = self.available(from.len());
        if let Some(from) = from.get(..count) {
            wait(self.bytes.write(self.at, from)).map_err(Failed::Disk)?;
        }
        self.at += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> Result<(), Failed> {
        wait(self.bytes.flush()).map_err(Failed::Disk)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> Result<u64, Failed> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(offset) => self.bytes.length().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = place.ok_or(Failed::Disk(disks::Error::OutOfRange { bytes: self.bytes.length() }))?;
        Ok(self.at)
    }
}
