// SPDX-License-Identifier: MIT OR Apache-2.0
//! Partition tables, MBR and GPT, numbered and read as Linux does (`block/partitions/msdos.c`, `efi.c`).
//!
//! Anybody may have written the table. Valid entries are used:
//!
//! | the table has | then |
//! |---|---|
//! | a partition that begins beyond the end of the disk, or of length 0 | there is no such partition |
//! | a partition that reaches over the end | it ends with the disk; in a GPT there is no such partition |
//! | partitions that overlap | both are used: reading one harms no other |
//! | a chain of logical partitions that loops, or does not end | it ends after 252 of them, or 100 links without one |
//! | a GPT whose checksums are wrong | the copy at the end of the disk counts; if that is wrong too, it is an error |

mod gpt;
mod mbr;

use alloc::vec::Vec;
use core::fmt;

use crate::hal::Page;

use crate::block::{self, ByteRange};

/// Partitions of a disk at most, as in Linux (`DISK_MAX_PARTS`).
const MAX: u32 = 256;

/// A partition. It lies inside of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number, from 1: the primary ones of an MBR are 1 to 4, the logical ones follow from 5 on.
    pub number: u32,
    /// Where it begins, in bytes.
    pub start: u64,
    /// Its length in bytes; never 0.
    pub length: u64,
}

/// Why there are no partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The disk could not be read.
    Disk(block::Error),
    /// There is no table: the disk may be a file system as a whole.
    NoTable,
    /// There is a GPT, both of whose copies are damaged.
    Damaged,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(error) => error.fmt(f),
            Self::NoTable => f.write_str("the disk has no partition table"),
            Self::Damaged => f.write_str("both copies of the disk's GPT are damaged"),
        }
    }
}

impl core::error::Error for Error {}

impl From<block::Error> for Error {
    fn from(error: block::Error) -> Self {
        Self::Disk(error)
    }
}

/// The partitions of `disk`, whose sectors have `sector_size` bytes, in the order of their numbers.
///
/// # Errors
///
/// [`Error`].
pub async fn partitions<P: Page>(disk: &ByteRange<P>, sector_size: u32) -> Result<Vec<Partition>, Error> {
    let table = Table { disk, sector: u64::from(sector_size.max(512)) };
    let first = table.sector(0).await?;
    match mbr::kind(&first) {
        mbr::Kind::None => Err(Error::NoTable),
        mbr::Kind::Protective => gpt::read(&table).await,
        mbr::Kind::Mbr => mbr::read(&table, &first).await,
    }
}

/// The disk that a table is on.
struct Table<'d, P: Page> {
    disk: &'d ByteRange<P>,
    /// Bytes of a sector.
    sector: u64,
}

impl<P: Page> Table<'_, P> {
    /// Reads a sector. One beyond the end of the disk is an error.
    async fn sector(&self, number: u64) -> Result<Vec<u8>, Error> {
        self.sectors(number, self.sector as usize).await
    }

    /// Reads bytes from a sector on.
    async fn sectors(&self, number: u64, length: usize) -> Result<Vec<u8>, Error> {
        let offset = number.checked_mul(self.sector).filter(|offset| *offset < self.disk.length());
        let offset = offset.ok_or(block::Error::OutOfRange { bytes: self.disk.length() })?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|_| block::Error::NoMemory)?;
        bytes.resize(length, 0);
        self.disk.read(offset, &mut bytes).await?;
        Ok(bytes)
    }

    /// The last sector.
    fn last(&self) -> u64 {
        self.disk.length().checked_div(self.sector).unwrap_or_default().saturating_sub(1)
    }

    /// A partition as far as it lies inside of the disk; `None` if none of it does.
    fn partition(&self, number: u32, sector: u64, sectors: u64) -> Option<Partition> {
        let start = sector.checked_mul(self.sector)?;
        let rest = self.disk.length().checked_sub(start)?;
        let length = sectors.saturating_mul(self.sector).min(rest - rest.checked_rem(self.sector)?);
        (length > 0).then_some(Partition { number, start, length })
    }
}

/// The little-endian number at `offset`; 0 beyond the end.
fn number<const N: usize>(bytes: &[u8], offset: usize) -> u64 {
    let bytes = bytes.get(offset..offset.saturating_add(N)).unwrap_or_default();
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What tests of tables have in common.
#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::executor::block_on;
    use xen::fake::{FakePage, FakeXen};

    use super::*;
    use crate::block::ramdisk::RamDisk;

    /// A disk with this content.
    pub(super) fn disk(content: Vec<u8>, sector_size: u32) -> ByteRange<FakePage> {
        let xen = FakeXen::new();
        let disk = Arc::new(RamDisk::new("xvda".into(), content, sector_size));
        ByteRange::of(disk, Arc::new(move || Some(xen.page())))
    }

    /// Number, first sector and number of sectors of its partitions.
    pub(super) fn found(content: Vec<u8>, sector_size: u32) -> Result<Vec<(u32, u64, u64)>, Error> {
        let sector = u64::from(sector_size);
        let partitions = block_on(partitions(&disk(content, sector_size), sector_size))?;
        Ok(partitions.iter().map(|part| (part.number, part.start / sector, part.length / sector)).collect())
    }

    #[test]
    fn a_disk_without_a_table_has_no_partitions() {
        assert_eq!(found(vec![0; 4096], 512), Err(Error::NoTable));
        assert_eq!(found(vec![0xff; 4096], 512), Err(Error::NoTable));
        assert!(found(Vec::new(), 512).is_err());
    }
}
