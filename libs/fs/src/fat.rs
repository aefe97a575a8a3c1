// SPDX-License-Identifier: MIT OR Apache-2.0
//! FAT12, FAT16 and FAT32, to be read and written.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt::Display;

use hadris_fat::{Error, FatVolume, FatVolumeWriteExt};
use prism::blocking::wait;
use prism::disks::ByteRange;
use prism::task::yield_now;
use prism_fat::{BOOT_SECTOR, Layout, Runs};

use crate::cached::Cached;
use crate::cursor::Cursor;
use prism_volume::{FileSystem, OpenFile, tag_of};

use crate::turns::Turns;

/// Mounts it.
pub(crate) fn open(place: &Arc<ByteRange>) -> prism::Result<Box<dyn FileSystem>> {
    let budget = Rc::new(Cell::new(u64::MAX));
    let volume = FatVolume::open(Cursor::new(place, &budget)).map_err(failed)?;
    let mut boot = [0; BOOT_SECTOR];
    wait(place.read(0, &mut boot))?;
    let layout = Layout::parse(&boot).ok_or("the boot sector is invalid")?;
    Ok(Box::new(Mounted { volume, layout, place: Arc::clone(place), budget, writes: Cell::new(0) }))
}

fn failed(error: impl Display) -> prism::Error {
    format!("{error}").into()
}

/// Bytes that are read at most to find a file or to list a directory: thirty directories of the greatest
/// length, which is 2 MiB. One that leads back to itself ends no sooner than after as many clusters as the
/// volume has.
const LOOKUP: u64 = 64 << 20;

struct Mounted {
    volume: FatVolume<Cursor>,
    layout: Layout,
    place: Arc<ByteRange>,
    /// What may be read until it is set anew.
    budget: Rc<Cell<u64>>,
    /// Files that were written: what is known of open ones may not be true any more.
    writes: Cell<u64>,
}

impl FileSystem for Mounted {
    fn list(&self, path: &str) -> prism::Result<Vec<String>> {
        self.budget.set(LOOKUP);
        let directory = match path.trim_matches('/') {
            "" => self.volume.root_dir(),
            path => self.volume.open_dir_path(path).map_err(failed)?,
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
        let mut file = self.open(path)?.ok_or("there is no such file")?;
        let length = usize::try_from(file.length())?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|_| "no memory is left for the file")?;
        bytes.resize(length, 0);
        let count = file.read(0, &mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    fn write(&self, path: &str, bytes: &[u8]) -> prism::Result {
        self.budget.set(u64::MAX);
        self.writes.set(self.writes.get() + 1);
        let path = path.trim_matches('/');
        let (directory, name) = match path.rsplit_once('/') {
            Some((directory, name)) => (self.volume.open_dir_path(directory).map_err(failed)?, name),
            None => (self.volume.root_dir(), path),
        };
        let entry = self.volume.create_file(&directory, name).map_err(failed)?;
        let mut writer = self.volume.write_file(&entry).map_err(failed)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = writer.write(rest).map_err(failed)?;
            rest = rest.get(count..).filter(|_| count > 0).ok_or("the disk is full")?;
        }
        writer.finish().map_err(failed)
    }

    fn open(&self, path: &str) -> prism::Result<Option<Box<dyn OpenFile + '_>>> {
        self.budget.set(LOOKUP);
        let entry = match self.volume.open_path(path.trim_matches('/')) {
            Ok(entry) if entry.is_file() => entry,
            Ok(_) | Err(Error::EntryNotFound | Error::NotADirectory | Error::InvalidPath) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let length = entry.len();
        if length > self.place.length() {
            return Err("the file claims to be longer than the disk".into());
        }
        let clusters = self.layout.clusters(length).ok_or("the file claims to be too long")?;
        let changed = entry.modified();
        let tag = tag_of(&[length, changed.date.into(), changed.time.into()]);
        let runs = Runs::new(u32::try_from(entry.cluster().0)?, clusters);
        Ok(Some(Box::new(Open {
            mounted: self,
            runs,
            length,
            tag,
            writes: self.writes.get(),
            turns: Turns::default(),
        })))
    }
}

/// A file, of whose chain of clusters as much is known as was needed.
struct Open<'v> {
    mounted: &'v Mounted,
    runs: Runs,
    length: u64,
    tag: u64,
    /// [`Mounted::writes`] when it was opened.
    writes: u64,
    turns: Turns,
}

impl Open<'_> {
    /// Where bytes from `offset` on lie on the disk, and how many of them, up to `wanted`, lie there.
    fn place(&mut self, table: &mut Cached, offset: u64, wanted: u64) -> prism::Result<(u64, u64)> {
        let Mounted { volume, layout, .. } = self.mounted;
        let index = u32::try_from(offset / layout.cluster)?;
        let skipped = offset % layout.cluster;
        let clusters = layout.clusters(skipped + wanted).ok_or("there are not as many bytes")?;
        let mut next = |cluster: u32| volume.fat().next_cluster(table, cluster as usize);
        let extent = loop {
            match self.runs.find(index, clusters, &mut next).map_err(failed)? {
                Some(extent) => break extent,
                None => wait(yield_now()),
            }
        };
        let start = layout.offset(extent.cluster).ok_or("the file's chain leads to no cluster")?;
        Ok((start + skipped, (u64::from(extent.count) * layout.cluster - skipped).min(wanted)))
    }
}

impl OpenFile for Open<'_> {
    fn length(&self) -> u64 {
        self.length
    }

    fn tag(&self) -> u64 {
        self.tag
    }

    fn read(&mut self, offset: u64, into: &mut [u8]) -> prism::Result<usize> {
        if self.writes != self.mounted.writes.get() {
            return Err("something was written since the file was opened".into());
        }
        let total = self.length.saturating_sub(offset).min(into.len() as u64) as usize;
        let mut table = Cached::new(&self.mounted.place);
        let mut done = 0;
        while let Some(rest @ [_, ..]) = into.get_mut(done..total) {
            let (place, count) = self.place(&mut table, offset + done as u64, rest.len() as u64)?;
            self.turns.pass();
            let now = rest.get_mut(..count as usize).ok_or("there are not as many bytes")?;
            wait(self.mounted.place.read(place, now))?;
            done += count as usize;
        }
        Ok(done)
    }
}
