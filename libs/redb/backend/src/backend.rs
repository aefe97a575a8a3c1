// SPDX-License-Identifier: MIT OR Apache-2.0
//! The file:
//!
//! ```text
//!   0       header      4096       header      8192       data
//! ```
//!
//! The header with the larger sequence number was written last; the other one is overwritten next. So one of
//! them is always complete, whenever the power fails.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use core::fmt;

use redb::StorageBackend;
use redb::io::Error;
use spin::Mutex;

use crate::header::{self, Header};
use crate::{OpenError, RawDisk};

/// Where the headers are.
const HEADERS: [u64; 2] = [0, 4096];
/// Bytes of the block that each has for itself.
const BLOCK: usize = 4096;
/// Where the data begins.
const DATA: u64 = 8192;
/// Bytes that are written at once where the file grows, and read where a disk is looked at.
const CHUNK: usize = 64 * 1024;
/// Where a blank disk has nothing: what marks others' file systems is in the first MiB (ext4's superblock is
/// at 1 KiB, those of JFS and ISO 9660 at 32 KiB, btrfs's at 64 KiB, ZFS's label in the first 256 KiB).
const LOOKED_AT: u64 = 1 << 20;

/// What to do with a disk that holds something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Leave it alone.
    Keep,
    /// Make a store of it.
    Erase,
}

/// A raw disk as a file.
#[derive(Debug)]
pub struct Backend<D> {
    disk: Arc<D>,
    header: Arc<Mutex<Header>>,
}

// Not derived: the disk itself need not be.
impl<D> Clone for Backend<D> {
    fn clone(&self) -> Self {
        Self { disk: Arc::clone(&self.disk), header: Arc::clone(&self.header) }
    }
}

impl<D: RawDisk> Backend<D> {
    /// The file on this disk, or an empty one on a blank disk: one whose first MiB is zero.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(disk: D, contents: Contents) -> Result<Self, OpenError<D::Error>> {
        if disk.length() <= DATA {
            return Err(OpenError::TooSmall);
        }
        let mut newest: Option<Header> = None;
        for place in HEADERS {
            let mut bytes = [0; header::BYTES];
            disk.read(place, &mut bytes)?;
            newest = newest.into_iter().chain(Header::decode(&bytes)).max_by_key(|header| header.sequence);
        }
        if newest.is_none() && contents == Contents::Keep && !is_blank(&disk)? {
            return Err(OpenError::Strange);
        }
        let mut header = newest.unwrap_or_default();
        if header.complete == 0 {
            header.length = 0;
        }
        if !header.is_possible(disk.length() - DATA) {
            return Err(OpenError::Damaged);
        }
        Ok(Self { disk: Arc::new(disk), header: Arc::new(Mutex::new(header)) })
    }

    /// Notes that the file was made completely: before that, it is empty when it is opened again. To be
    /// called when `redb` has made its database.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn complete(&self) -> Result<(), D::Error> {
        let header = *self.header.lock();
        if header.complete == 0 { self.put(Header { complete: 1, ..header }) } else { Ok(()) }
    }

    /// Writes a header, durably, behind all that was written before.
    fn put(&self, header: Header) -> Result<(), D::Error> {
        self.disk.flush()?;
        // Of a header that is near the last number none is opened.
        let header = Header { sequence: header.sequence + 1, ..header };
        let [even, odd] = HEADERS;
        let place = if header.sequence.is_multiple_of(2) { even } else { odd };
        self.disk.write(place, &header.encode())?;
        self.disk.flush()?;
        *self.header.lock() = header;
        Ok(())
    }

    fn zero(&self, from: u64, to: u64) -> Result<(), D::Error> {
        let zeroes = vec![0; CHUNK];
        let mut at = from;
        while at < to {
            let length = (to - at).min(CHUNK as u64);
            self.disk.write(DATA + at, zeroes.get(..length as usize).unwrap_or_default())?;
            at += length;
        }
        Ok(())
    }
}

/// Whether there is nothing in the part that is looked at, but for what is left of headers of ours.
fn is_blank<D: RawDisk>(disk: &D) -> Result<bool, D::Error> {
    let mut chunk = vec![0; CHUNK];
    let end = LOOKED_AT.min(disk.length());
    let mut at = 0;
    while at < end {
        let length = (end - at).min(CHUNK as u64);
        let bytes = chunk.get_mut(..length as usize).unwrap_or_default();
        disk.read(at, bytes)?;
        let places = (at..).step_by(BLOCK);
        if !places.zip(bytes.chunks(BLOCK)).all(|(place, block)| is_ours_or_nothing(place, block)) {
            return Ok(false);
        }
        at += length;
    }
    Ok(true)
}

fn is_ours_or_nothing(place: u64, block: &[u8]) -> bool {
    if HEADERS.contains(&place) { Header::may_replace(block) } else { block.iter().all(|byte| *byte == 0) }
}

fn failed(error: impl fmt::Display) -> Error {
    Error::other(format!("{error}"))
}

impl<D: RawDisk + fmt::Debug> StorageBackend for Backend<D> {
    fn len(&self) -> Result<u64, Error> {
        Ok(self.header.lock().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        self.disk.read(DATA + offset, out).map_err(failed)
    }

    fn set_len(&self, length: u64) -> Result<(), Error> {
        if length > self.disk.length() - DATA {
            return Err(Error::other("the disk is full"));
        }
        let header = *self.header.lock();
        self.zero(header.length, length).map_err(failed)?;
        self.put(Header { length, ..header }).map_err(failed)
    }

    fn sync_data(&self) -> Result<(), Error> {
        self.disk.flush().map_err(failed)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.disk.write(DATA + offset, data).map_err(failed)
    }
}
