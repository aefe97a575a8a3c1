// SPDX-License-Identifier: MIT OR Apache-2.0
//! A file system, whose directories and symbolic links are looked at before they are followed.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;

use ext4_view::{Ext4, Ext4Error, Ext4Read, File};
use prism_volume::{FileSystem, OpenFile, Result};

use crate::reader::{LOOKUP, Reader};
use crate::superblock::{self, Refused};

/// Bytes of a directory: as many as a lookup may read, as all of them may have to be looked at.
const MAX_DIRECTORY: u64 = 64 << 20;

/// Bytes that a file may be longer than its disk, as holes take no room: to find a place in a file each block
/// before it is counted, which would take ages.
const MAX_HOLES: u64 = 4 << 30;

/// Bytes of a symbolic link's target, and links on a path: `PATH_MAX` and `MAXSYMLINKS` of Linux.
const MAX_TARGET: u64 = 4096;
const MAX_LINKS: usize = 40;

/// Mounts what is on a disk of `length` bytes.
///
/// # Errors
///
/// If that is not a file system, or not one that can be read: [`Refused`] tells what is claimed and cannot
/// be.
pub fn mount(mut disk: Box<dyn Ext4Read>, length: u64) -> Result<Box<dyn FileSystem>> {
    let mut found = [0; superblock::LENGTH];
    disk.read(superblock::PLACE, &mut found).map_err(|error| error.to_string())?;
    superblock::check(&found, length)?;
    // A journal is read, which is a part of the disk.
    let budget = Rc::new(Cell::new(LOOKUP.saturating_add(length)));
    let files = Ext4::load(Box::new(Reader::new(disk, &budget)))?;
    Ok(Box::new(Mounted { files, budget, length }))
}

struct Mounted {
    files: Ext4,
    /// What may be read until it is set anew.
    budget: Rc<Cell<u64>>,
    /// Bytes of the disk.
    length: u64,
}

/// Where a path leads.
enum Found {
    Directory(String),
    Other(String),
}

impl Mounted {
    /// Where `path` leads, without a symbolic link in it, having looked at each directory on the way.
    fn find(&self, path: &str) -> core::result::Result<Found, Lookup> {
        self.budget.set(LOOKUP);
        let mut links = 0;
        let mut rest: Vec<String> = parts(path).rev().map(ToOwned::to_owned).collect();
        let mut found = Vec::new();
        self.check_directory("/")?;
        let mut is_directory = true;
        while let Some(part) = rest.pop() {
            if part == ".." {
                found.pop();
                is_directory = true;
                continue;
            }
            if !is_directory {
                return Err(Ext4Error::NotADirectory.into());
            }
            found.push(part);
            let here = whole(&found);
            let known = self.files.symlink_metadata(here.as_str())?;
            if known.is_symlink() {
                links += 1;
                if links > MAX_LINKS || known.len() > MAX_TARGET {
                    return Err(Ext4Error::TooManySymlinks.into());
                }
                let target = self.files.read_link(here.as_str())?;
                let target = target.to_str().map_err(|_| Ext4Error::MalformedPath)?;
                found.pop();
                if target.starts_with('/') {
                    found.clear();
                }
                rest.extend(parts(target).rev().map(ToOwned::to_owned));
                continue;
            }
            is_directory = known.is_dir();
            if is_directory {
                self.check_directory(&here)?;
            }
        }
        let path = whole(&found);
        Ok(if is_directory { Found::Directory(path) } else { Found::Other(path) })
    }

    /// All of a directory may be looked at for a name, as often as its length says.
    fn check_directory(&self, path: &str) -> core::result::Result<(), Lookup> {
        let length = self.files.symlink_metadata(path)?.len();
        if length > MAX_DIRECTORY.min(self.length) {
            return Err(Lookup::Refused(Refused("a directory is too long")));
        }
        Ok(())
    }
}

/// The names of a path.
fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

/// The path of names.
fn whole(parts: &[String]) -> String {
    let mut path = String::new();
    for part in parts {
        path.push('/');
        path.push_str(part);
    }
    if path.is_empty() { "/".into() } else { path }
}

/// Why nothing is found.
enum Lookup {
    Ext4(Ext4Error),
    Refused(Refused),
}

impl From<Ext4Error> for Lookup {
    fn from(error: Ext4Error) -> Self {
        Self::Ext4(error)
    }
}

impl From<Lookup> for Box<dyn core::error::Error> {
    fn from(lookup: Lookup) -> Self {
        match lookup {
            Lookup::Ext4(error) => error.into(),
            Lookup::Refused(refused) => refused.into(),
        }
    }
}

impl FileSystem for Mounted {
    fn list(&self, path: &str) -> Result<Vec<String>> {
        let (Found::Directory(path) | Found::Other(path)) = self.find(path)?;
        let mut names = Vec::new();
        let mut bytes = 0;
        for entry in self.files.read_dir(path.as_str())? {
            let entry = entry?;
            let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
            let name = entry.file_name().display().to_string() + slash;
            // One block may be told of again and again.
            bytes += name.len() as u64 + 8;
            if bytes > MAX_DIRECTORY {
                return Err(Refused("a directory is too long").into());
            }
            names.try_reserve(1)?;
            names.push(name);
        }
        Ok(names)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>> {
        let mut file = self.open(path)?.ok_or("there is no such file")?;
        if file.length() > self.length {
            return Err(Refused("the file is longer than its disk").into());
        }
        let length = usize::try_from(file.length())?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|_| "no memory is left for the file")?;
        bytes.resize(length, 0);
        let count = file.read(0, &mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    fn write(&self, _: &str, _: &[u8]) -> Result {
        Err("this file system can only be read".into())
    }

    fn open(&self, path: &str) -> Result<Option<Box<dyn OpenFile + '_>>> {
        let found = match self.find(path) {
            Ok(Found::Other(path)) => self.files.open(path.as_str()).map_err(Lookup::Ext4),
            Ok(Found::Directory(_)) => return Ok(None),
            Err(error) => Err(error),
        };
        let file = match found {
            Ok(file) => file,
            Err(Lookup::Ext4(
                Ext4Error::NotFound
                | Ext4Error::IsADirectory
                | Ext4Error::NotADirectory
                | Ext4Error::IsASpecialFile
                | Ext4Error::MalformedPath
                | Ext4Error::PathTooLong
                | Ext4Error::TooManySymlinks,
            )) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if file.metadata().len() > self.length.saturating_add(MAX_HOLES) {
            return Err(Refused("a file claims to be much longer than its disk").into());
        }
        Ok(Some(Box::new(Open { mounted: self, file, has_failed: false })))
    }
}

struct Open<'m> {
    mounted: &'m Mounted,
    file: File,
    /// The file's place is lost.
    has_failed: bool,
}

impl Open<'_> {
    fn read_from(&mut self, offset: u64, into: &mut [u8]) -> core::result::Result<usize, Ext4Error> {
        if self.has_failed || self.file.position() != offset {
            self.file.seek_to(offset)?;
        }
        let mut done = 0;
        // It reads a block at most.
        while let Some(rest @ [_, ..]) = into.get_mut(done..) {
            match self.file.read_bytes(rest)? {
                0 => break,
                count => done += count,
            }
        }
        Ok(done)
    }
}

impl OpenFile for Open<'_> {
    fn length(&self) -> u64 {
        self.file.metadata().len()
    }

    fn tag(&self) -> u64 {
        let changed = self.file.metadata().modified();
        prism_volume::tag_of(&[
            self.length(),
            changed.seconds().cast_unsigned(),
            changed.nanoseconds().into(),
        ])
    }

    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<usize> {
        self.mounted.budget.set(u64::MAX);
        let read = self.read_from(offset, into);
        self.has_failed = read.is_err();
        Ok(read?)
    }
}
