// SPDX-License-Identifier: MIT OR Apache-2.0
//! FAT12, FAT16 and FAT32, to be read and written.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Display;

use hadris_fat::read::FileReader;
use hadris_fat::{Error, FatVolume, FatVolumeWriteExt, SeekFrom};
use prism::disks::Bytes;

use crate::cursor::Cursor;
use crate::file_system::{FileSystem, OpenFile, tag_of};

/// Mounts it.
pub(crate) fn open(place: &Arc<Bytes>) -> prism::Result<Box<dyn FileSystem>> {
    let volume = FatVolume::open(Cursor::new(place)).map_err(failed)?;
    Ok(Box::new(Mounted(volume)))
}

fn failed(error: impl Display) -> prism::Error {
    format!("{error}").into()
}

struct Mounted(FatVolume<Cursor>);

impl FileSystem for Mounted {
    fn list(&self, path: &str) -> prism::Result<Vec<String>> {
        let directory = match path.trim_matches('/') {
            "" => self.0.root_dir(),
            path => self.0.open_dir_path(path).map_err(failed)?,
        };
        let mut names = Vec::new();
        let mut entries = directory.entries();
        while let Some(entry) = entries.next_entry() {
            let entry = entry.map_err(failed)?;
            names.push(entry.name().into_owned());
        }
        Ok(names)
    }

    fn read(&self, path: &str) -> prism::Result<Vec<u8>> {
        let mut reader = self.0.open_file_path(path.trim_matches('/')).map_err(failed)?;
        let mut bytes = Vec::new();
        let mut block = vec![0; 64 * 1024];
        loop {
            let count = reader.read(&mut block).map_err(failed)?;
            if count == 0 {
                return Ok(bytes);
            }
            bytes.extend_from_slice(block.get(..count).unwrap_or_default());
        }
    }

    fn write(&self, path: &str, bytes: &[u8]) -> prism::Result {
        let path = path.trim_matches('/');
        let (directory, name) = match path.rsplit_once('/') {
            Some((directory, name)) => (self.0.open_dir_path(directory).map_err(failed)?, name),
            None => (self.0.root_dir(), path),
        };
        let entry = self.0.create_file(&directory, name).map_err(failed)?;
        let mut writer = self.0.write_file(&entry).map_err(failed)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = writer.write(rest).map_err(failed)?;
            rest = rest.get(count..).filter(|_| count > 0).ok_or("the disk is full")?;
        }
        writer.finish().map_err(failed)
    }
    fn open(&self, path: &str) -> prism::Result<Option<Box<dyn OpenFile + '_>>> {
        let entry = match self.0.open_path(path.trim_matches('/')) {
            Ok(entry) if entry.is_file() => entry,
            Ok(_) | Err(Error::EntryNotFound | Error::NotADirectory | Error::InvalidPath) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let changed = entry.modified();
        let tag = tag_of(&[entry.len(), changed.date.into(), changed.time.into()]);
        let mut reader = FileReader::new(&self.0, &entry).map_err(failed)?;
        if entry.len() <= MOST_CHAINED {
            reader = reader.with_cached_chain().map_err(failed)?;
        }
        Ok(Some(Box::new(Open { reader, length: entry.len(), tag })))
    }
}

/// The longest file whose place on the disk is kept in memory while it is open: a word for each of its
/// clusters, which have 512 bytes or more.
const MOST_CHAINED: u64 = 512 << 20;

struct Open<'v> {
    reader: FileReader<'v, Cursor>,
    length: u64,
    tag: u64,
}

impl OpenFile for Open<'_> {
    fn length(&self) -> u64 {
        self.length
    }

    fn tag(&self) -> u64 {
        self.tag
    }

    fn read(&mut self, offset: u64, into: &mut [u8]) -> prism::Result<usize> {
        if self.reader.position() != offset {
            self.reader.seek(SeekFrom::Start(offset)).map_err(failed)?;
        }
        let mut done = 0;
        while let Some(rest @ [_, ..]) = into.get_mut(done..) {
            match self.reader.read(rest).map_err(failed)? {
                0 => break,
                count => done += count,
            }
        }
        Ok(done)
    }
}
