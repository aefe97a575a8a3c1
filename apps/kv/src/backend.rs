// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes a raw disk the file that `redb` needs: one with a length.
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

use prism::blocking::wait;
use prism::disks::{ByteRange, Error};
use redb::StorageBackend;
use spin::Mutex;

/// Where the headers are.
const HEADERS: [u64; 2] = [0, 4096];
/// Where the data begins.
const DATA: u64 = 8192;
/// What a header begins with.
const MAGIC: u64 = u64::from_le_bytes(*b"prismkv1");

/// A raw disk as a file.
#[derive(Clone)]
pub(crate) struct Backend {
    bytes: Arc<ByteRange>,
    header: Arc<Mutex<Header>>,
}

/// What to do with a disk that holds something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strangers {
    /// Leave it alone.
    Keep,
    /// Make a store of it.
    Erase,
}

/// Whether there is nothing where headers lie, or what is left of one of ours.
fn is_blank(bytes: &ByteRange) -> Result<bool, Error> {
    let mut block = [0; 4096];
    for place in HEADERS {
        wait(bytes.read(place, &mut block))?;
        if !block.starts_with(&MAGIC.to_le_bytes()) && block.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is known of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Header {
    /// Headers that were written.
    sequence: u64,
    length: u64,
    /// 1 if the file was made completely: one that was not is made again.
    complete: u64,
}

impl Header {
    fn encode(self) -> [u8; 40] {
        let words = [MAGIC, self.sequence, self.length, self.complete];
        let mut bytes = [0; 40];
        let places = bytes.as_chunks_mut::<8>().0.iter_mut();
        places
            .zip(words.into_iter().chain([sum(words)]))
            .for_each(|(place, word)| *place = word.to_le_bytes());
        bytes
    }

    /// The header that was written; `None` if none was, or not wholly.
    fn decode(bytes: &[u8; 40]) -> Option<Self> {
        let (chunks, _) = bytes.as_chunks::<8>();
        let word = |index: usize| chunks.get(index).map(|chunk| u64::from_le_bytes(*chunk));
        let words = [word(0)?, word(1)?, word(2)?, word(3)?];
        let [magic, sequence, length, complete] = words;
        (magic == MAGIC && word(4)? == sum(words)).then_some(Self { sequence, length, complete })
    }
}

/// A sum by which a torn header is found out.
fn sum(words: [u64; 4]) -> u64 {
    words.iter().fold(1, |sum: u64, word| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
}

impl Backend {
    /// The file on this disk, or an empty one on a blank disk. Called in blocking code.
    pub(crate) fn open(bytes: ByteRange, strangers: Strangers) -> prism::Result<Self> {
        if bytes.length() <= DATA {
            return Err("the disk is too small for a store".into());
        }
        let mut newest: Option<Header> = None;
        for place in HEADERS {
            let mut header = [0; 40];
            wait(bytes.read(place, &mut header))?;
            let header = Header::decode(&header);
            newest = newest.into_iter().chain(header).max_by_key(|header| header.sequence);
        }
        if newest.is_none() && strangers == Strangers::Keep && !is_blank(&bytes)? {
            return Err("the disk holds something else; the word erase makes a store of it".into());
        }
        let mut header = newest.unwrap_or_default();
        if header.complete == 0 {
            header.length = 0;
        }
        Ok(Self { bytes: Arc::new(bytes), header: Arc::new(Mutex::new(header)) })
    }

    /// Notes that the file was made completely.
    pub(crate) fn complete(&self) -> prism::Result {
        let header = *self.header.lock();
        if header.complete == 0 {
            self.put(Header { complete: 1, ..header })?;
        }
        Ok(())
    }

    /// Writes a header, durably, behind all that was written before.
    fn put(&self, header: Header) -> Result<(), Error> {
        wait(self.bytes.flush())?;
        let header = Header { sequence: header.sequence + 1, ..header };
        let [even, odd] = HEADERS;
        let place = if header.sequence.is_multiple_of(2) { even } else { odd };
        wait(self.bytes.write(place, &header.encode()))?;
        wait(self.bytes.flush())?;
        *self.header.lock() = header;
        Ok(())
    }

    fn zero(&self, from: u64, to: u64) -> Result<(), Error> {
        let zeroes = vec![0; 64 * 1024];
        let mut at = from;
        while at < to {
            let length = (to - at).min(zeroes.len() as u64);
            wait(self.bytes.write(DATA + at, zeroes.get(..length as usize).unwrap_or_default()))?;
            at += length;
        }
        Ok(())
    }
}

impl core::fmt::Debug for Backend {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}", *self.header.lock())
    }
}

type IoResult<T> = Result<T, redb::io::Error>;

fn failed(error: Error) -> redb::io::Error {
    redb::io::Error::other(format!("{error}"))
}

impl StorageBackend for Backend {
    fn len(&self) -> IoResult<u64> {
        Ok(self.header.lock().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> IoResult<()> {
        wait(self.bytes.read(DATA + offset, out)).map_err(failed)
    }

    fn set_len(&self, length: u64) -> IoResult<()> {
        if length > self.bytes.length() - DATA {
            return Err(redb::io::Error::other("the disk is full"));
        }
        let header = *self.header.lock();
        self.zero(header.length, length).map_err(failed)?;
        self.put(Header { length, ..header }).map_err(failed)
    }

    fn sync_data(&self) -> IoResult<()> {
        wait(self.bytes.flush()).map_err(failed)
    }

    fn write(&self, offset: u64, data: &[u8]) -> IoResult<()> {
        wait(self.bytes.write(DATA + offset, data)).map_err(failed)
    }
}
