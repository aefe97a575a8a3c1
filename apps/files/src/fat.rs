// SPDX-License-Identifier: MIT OR Apache-2.0
//! FAT12, FAT16 and FAT32, to be read and written.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Display;

use hadris_fat::{FatVolume, FatVolumeWriteExt};
use prism::disks::Bytes;

use crate::cursor::Cursor;
use crate::file_system::FileSystem;

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
}
