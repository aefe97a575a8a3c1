// SPDX-License-Identifier: MIT OR Apache-2.0
//! A disk, or a part of one, as a range of bytes: for file systems, which read a few bytes at any offset.

use alloc::sync::Arc;

use crate::hal::Page;

use super::{Buffer, Disk, Error, Result};

/// Bytes that are moved at once.
const MAX: u64 = 256 * 1024;

/// What makes the pages of buffers.
pub type Pages<P> = Arc<dyn Fn() -> Option<P> + Send + Sync>;

/// A disk, or a part of one, as a row of bytes. Whole sectors are read and written around those that
/// are asked for; each is copied once.
pub struct ByteRange<P: Page> {
    disk: Arc<dyn Disk<P>>,
    page: Pages<P>,
    /// Where on the disk it begins: a multiple of the sector size.
    start: u64,
    length: u64,
}

impl<P: Page> ByteRange<P> {
    /// All of `disk`, with buffers out of pages that `page` makes.
    pub fn of(disk: Arc<dyn Disk<P>>, page: Pages<P>) -> Self {
        let length = disk.geometry().bytes;
        Self { disk, page, start: 0, length }
    }

    /// A part of it, such as a partition.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] and [`Error::Unaligned`].
    pub fn part(&self, start: u64, length: u64) -> Result<Self> {
        self.check(start, length)?;
        self.disk.geometry().check(start, length)?;
        Ok(Self {
            disk: Arc::clone(&self.disk),
            page: Arc::clone(&self.page),
            start: self.start + start,
            length,
        })
    }

    /// Number of bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads all of `into`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], and those of the disk.
    pub async fn read(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        self.check(offset, into.len() as u64)?;
        let (mut at, mut rest) = (self.start + offset, into);
        while !rest.is_empty() {
            let window = self.window(at, rest.len() as u64);
            let buffer = self.disk.read(window.start, self.buffer(window.length)?).await?;
            let Some((now, later)) = rest.split_at_mut_checked(window.used as usize) else {
                return Err(Error::OutOfRange { bytes: self.length });
            };
            buffer.read_at(window.skipped as usize, now);
            at += window.used;
            rest = later;
        }
        Ok(())
    }

    /// Writes all of `from`. Durable after a [`flush`](Self::flush). Sectors that are written in part are
    /// read first: nobody else may write them meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], and those of the disk; part of it may have been written then.
    pub async fn write(&self, offset: u64, from: &[u8]) -> Result<()> {
        self.check(offset, from.len() as u64)?;
        let (mut at, mut rest) = (self.start + offset, from);
        while !rest.is_empty() {
            let window = self.window(at, rest.len() as u64);
            let mut buffer = self.buffer(window.length)?;
            if window.used != window.length {
                buffer = self.disk.read(window.start, buffer).await?;
            }
            let Some((now, later)) = rest.split_at_checked(window.used as usize) else {
                return Err(Error::OutOfRange { bytes: self.length });
            };
            buffer.write_at(window.skipped as usize, now);
            self.disk.write(window.start, buffer).await?;
            at += window.used;
            rest = later;
        }
        Ok(())
    }

    /// Makes all writes durable that are finished.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub async fn flush(&self) -> Result<()> {
        self.disk.flush().await
    }

    fn check(&self, offset: u64, length: u64) -> Result<()> {
        match offset.checked_add(length) {
            Some(end) if end <= self.length => Ok(()),
            _ => Err(Error::OutOfRange { bytes: self.length }),
        }
    }

    fn buffer(&self, length: u64) -> Result<Buffer<P>> {
        Buffer::new(length as usize, || (self.page)()).ok_or(Error::NoMemory)
    }

    /// The sectors around the next bytes that are moved.
    fn window(&self, at: u64, length: u64) -> Window {
        let sector = u64::from(self.disk.geometry().sector_size.max(1));
        let start = at - at % sector;
        let skipped = at - start;
        let used = length.min(MAX - skipped);
        Window { start, skipped, used, length: (skipped + used).next_multiple_of(sector) }
    }
}

/// Whole sectors, and the bytes in them that are asked for.
struct Window {
    start: u64,
    length: u64,
    skipped: u64,
    used: u64,
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use futures::executor::block_on;

    use xen::fake::{FakePage, FakeXen};

    use super::*;
    use crate::block::ramdisk::RamDisk;

    /// A disk in memory as a row of bytes.
    fn bytes(length: usize, sector_size: u32) -> ByteRange<FakePage> {
        let xen = FakeXen::new();
        let disk = Arc::new(RamDisk::new("ram0".into(), vec![0; length], sector_size));
        ByteRange::of(disk, Arc::new(move || Some(xen.page())))
    }

    #[test]
    fn bytes_at_any_place_are_read_and_written() {
        for sector_size in [512, 4096] {
            let bytes = bytes(1 << 20, sector_size);
            let mut model = vec![0; 1 << 20];
            for (offset, length) in [(0, 1), (511, 2), (4095, 4098), (1000, 500_000), (0, 1 << 20)] {
                let data: Vec<u8> = (0..length).map(|index| (index * 7 + offset) as u8).collect();
                block_on(bytes.write(offset as u64, &data)).unwrap();
                model[offset..offset + length].copy_from_slice(&data);
                let mut out = vec![0; 1 << 20];
                block_on(bytes.read(0, &mut out)).unwrap();
                assert!(out == model, "{sector_size} {offset} {length}");
            }
        }
    }

    #[test]
    fn a_part_ends_where_it_ends() {
        let bytes = bytes(8192, 512);
        let part = bytes.part(1024, 2048).unwrap();
        block_on(part.write(2047, &[9])).unwrap();
        assert_eq!(block_on(part.write(2047, &[9, 9])), Err(Error::OutOfRange { bytes: 2048 }));
        let mut byte = [0];
        block_on(bytes.read(1024 + 2047, &mut byte)).unwrap();
        assert_eq!(byte, [9]);
        assert!(bytes.part(8192, 1).is_err() && bytes.part(1, 512).is_err());
    }
}
