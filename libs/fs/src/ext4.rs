// SPDX-License-Identifier: MIT OR Apache-2.0
//! ext2, ext3 and ext4, to be read.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::error::Error;

use ext4_view::{Ext4, Ext4Error, Ext4Read, File};
use prism::blocking::wait;
use prism::disks::ByteRange;

use prism_volume::{FileSystem, OpenFile};

use crate::tag::tag_of;
use crate::turns::Turns;

/// Where the superblock has its magic number, and which.
const MAGIC: (u64, [u8; 2]) = (1024 + 0x38, [0x53, 0xef]);

/// Whether there is such a file system.
pub(crate) fn is_there(place: &ByteRange) -> prism::Result<bool> {
    let (offset, magic) = MAGIC;
    let mut found = [0; 2];
    if place.length() > offset + 2 {
        wait(place.read(offset, &mut found))?;
    }
    Ok(found == magic)
}

/// Mounts it.
pub(crate) fn open(place: &Arc<ByteRange>) -> prism::Result<Box<dyn FileSystem>> {
    Ok(Box::new(Mounted(Ext4::load(Box::new(Reader::new(place)))?)))
}

/// Bytes that are read ahead where one read follows another: `ext4-view` asks for a few blocks at a time.
const AHEAD: u64 = 256 << 10;

struct Reader {
    place: Arc<ByteRange>,
    /// What was read ahead, and where it begins.
    ahead: Vec<u8>,
    start: u64,
    turns: Turns,
}

impl Reader {
    fn new(place: &Arc<ByteRange>) -> Self {
        Self { place: Arc::clone(place), ahead: Vec::new(), start: 0, turns: Turns::default() }
    }

    /// What was read ahead from `start` on, if it is as much as that.
    fn found(&self, start: u64, length: usize) -> Option<&[u8]> {
        let skipped = usize::try_from(start.checked_sub(self.start)?).ok()?;
        self.ahead.get(skipped..skipped.checked_add(length)?)
    }
}

impl Ext4Read for Reader {
    fn read(&mut self, start: u64, into: &mut [u8]) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.turns.pass();
        if let Some(found) = self.found(start, into.len()) {
            into.copy_from_slice(found);
            return Ok(());
        }
        let follows = start == self.start + self.ahead.len() as u64;
        let length = self.place.length().saturating_sub(start).min(AHEAD) as usize;
        self.ahead.clear();
        if follows && length >= into.len() {
            self.ahead.resize(length, 0);
            self.start = start;
            // Nothing is there if this fails.
            wait(self.place.read(start, &mut self.ahead)).inspect_err(|_| self.ahead.clear())?;
            into.copy_from_slice(self.ahead.get(..into.len()).unwrap_or_default());
            return Ok(());
        }
        wait(self.place.read(start, into))?;
        self.start = start + into.len() as u64; // inside of the disk
        Ok(())
    }
}

struct Mounted(Ext4);

impl FileSystem for Mounted {
    fn list(&self, path: &str) -> prism::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in self.0.read_dir(path)? {
            let entry = entry?;
            let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
            names.push(entry.file_name().display().to_string() + slash);
        }
        Ok(names)
    }

    fn read(&self, path: &str) -> prism::Result<Vec<u8>> {
        Ok(self.0.read(path)?)
    }

    fn write(&self, _: &str, _: &[u8]) -> prism::Result {
        Err("this file system can only be read".into())
    }

    fn open(&self, path: &str) -> prism::Result<Option<Box<dyn OpenFile + '_>>> {
        let file = match self.0.open(format!("/{}", path.trim_start_matches('/')).as_str()) {
            Ok(file) => file,
            Err(
                Ext4Error::NotFound
                | Ext4Error::IsADirectory
                | Ext4Error::NotADirectory
                | Ext4Error::IsASpecialFile
                | Ext4Error::MalformedPath
                | Ext4Error::PathTooLong
                | Ext4Error::TooManySymlinks,
            ) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(Some(Box::new(Open(file))))
    }
}

struct Open(File);

impl OpenFile for Open {
    fn length(&self) -> u64 {
        self.0.metadata().len()
    }

    fn tag(&self) -> u64 {
        let changed = self.0.metadata().modified();
        tag_of(&[self.length(), changed.seconds().cast_unsigned(), changed.nanoseconds().into()])
    }

    fn read(&mut self, offset: u64, into: &mut [u8]) -> prism::Result<usize> {
        if self.0.position() != offset {
            self.0.seek_to(offset)?;
        }
        let mut done = 0;
        // It reads a block at most.
        while let Some(rest @ [_, ..]) = into.get_mut(done..) {
            match self.0.read_bytes(rest)? {
                0 => break,
                count => done += count,
            }
        }
        Ok(done)
    }
}
