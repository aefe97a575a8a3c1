// SPDX-License-Identifier: MIT OR Apache-2.0
//! ext2, ext3 and ext4, to be read.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::error::Error;

use ext4_view::{Ext4, Ext4Read};
use prism::blocking::wait;
use prism::disks::Bytes;

use crate::file_system::FileSystem;

/// Where the superblock has its magic number, and which.
const MAGIC: (u64, [u8; 2]) = (1024 + 0x38, [0x53, 0xef]);

/// Whether there is such a file system.
pub(crate) fn is_there(place: &Bytes) -> prism::Result<bool> {
    let (offset, magic) = MAGIC;
    let mut found = [0; 2];
    if place.length() > offset + 2 {
        wait(place.read(offset, &mut found))?;
    }
    Ok(found == magic)
}

/// Mounts it.
pub(crate) fn open(place: &Arc<Bytes>) -> prism::Result<Box<dyn FileSystem>> {
    Ok(Box::new(Mounted(Ext4::load(Box::new(Reader(Arc::clone(place))))?)))
}

struct Reader(Arc<Bytes>);

impl Ext4Read for Reader {
    fn read(&mut self, start: u64, into: &mut [u8]) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(wait(self.0.read(start, into))?)
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
}
