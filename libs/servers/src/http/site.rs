// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a server serves.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use core::fmt;
use core::future::{Future, ready};

use embassy_futures::yield_now;
use tar_no_std::{CorruptDataError, TarArchiveRef};

/// Files by paths such as `images/logo.png`.
pub trait Site {
    /// A file that is open.
    type File: File;

    /// Opens the file at `path`; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if it cannot be told.
    fn open(&self, path: &str) -> impl Future<Output = Result<Option<Self::File>, ReadError>>;
}

/// A file that is open. It does not change.
pub trait File {
    /// Bytes.
    fn length(&self) -> u64;

    /// A number that is another one when the content is, as well as can be told.
    fn tag(&self) -> u64;

    /// Reads from `offset` on; 0 bytes only at the end.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    fn read(&self, offset: u64, into: &mut [u8]) -> impl Future<Output = Result<usize, ReadError>>;
}

/// A file that is there cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadError;

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the file cannot be read")
    }
}

impl core::error::Error for ReadError {}

/// A file in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    content: &'static [u8],
    tag: u64,
}

impl Page {
    /// The file with this content.
    pub fn new(content: &'static [u8]) -> Self {
        Self { content, tag: tag_of(content) }
    }
}

impl File for Page {
    fn length(&self) -> u64 {
        self.content.len() as u64
    }

    fn tag(&self) -> u64 {
        self.tag
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> impl Future<Output = Result<usize, ReadError>> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.content.get(offset..));
        let rest = rest.unwrap_or_default();
        let length = rest.len().min(into.len());
        if let (Some(from), Some(into)) = (rest.get(..length), into.get_mut(..length)) {
            into.copy_from_slice(from);
        }
        ready(Ok(length))
    }
}

/// Files in memory, with their paths.
#[derive(Clone, Debug, Default)]
pub struct Files(BTreeMap<String, Page>);

impl Files {
    /// These files.
    pub fn new(files: &[(&str, &'static [u8])]) -> Self {
        Self(files.iter().map(|(path, content)| (path.to_string(), Page::new(content))).collect())
    }

    /// The regular files of a tar archive. Of two with the same path the later one counts, as when
    /// the archive is unpacked. All of it is read; others have their turn meanwhile.
    ///
    /// # Errors
    ///
    /// What is wrong with the archive.
    pub async fn of_tar(archive: &'static [u8]) -> Result<Self, CorruptDataError> {
        // Loaders may leave it with a few bytes more.
        let (blocks, _) = archive.as_chunks::<512>();
        let archive = TarArchiveRef::new(blocks.as_flattened())?;
        let mut files = BTreeMap::new();
        for entry in archive.entries() {
            yield_now().await;
            if let Ok(path) = entry.filename().as_str() {
                let page = Page { content: entry.data(), tag: tag_in_turns(entry.data()).await };
                files.insert(path.strip_prefix("./").unwrap_or(path).to_string(), page);
            }
        }
        Ok(Self(files))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Site for Files {
    type File = Page;

    fn open(&self, path: &str) -> impl Future<Output = Result<Option<Page>, ReadError>> {
        ready(Ok(self.0.get(path).copied()))
    }
}

/// A number made of all bytes: FNV-1a, 64 bits. No protection against forgery.
fn tag_of(bytes: &[u8]) -> u64 {
    add_to_tag(NO_BYTES, bytes)
}

/// The same, with turns of others.
async fn tag_in_turns(bytes: &[u8]) -> u64 {
    let mut tag = NO_BYTES;
    for piece in bytes.chunks(BYTES_PER_TURN) {
        tag = add_to_tag(tag, piece);
        yield_now().await;
    }
    tag
}

/// The tag of nothing.
const NO_BYTES: u64 = 0xcbf2_9ce4_8422_2325;

/// Bytes between two turns of others.
const BYTES_PER_TURN: usize = 1 << 20;

fn add_to_tag(tag: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(tag, |tag, byte| (tag ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
