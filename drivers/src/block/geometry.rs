// SPDX-License-Identifier: MIT OR Apache-2.0
//! Size, sector size and abilities of a disk.

use core::fmt;

use super::{Error, Result};

/// What a disk is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Its size in bytes, a multiple of the sector size. 0 if it is gone, or a drive without medium.
    pub bytes: u64,
    /// Bytes that are read and written together: 512, or a larger power of two up to 4096.
    pub sector_size: u32,
    /// Whether it cannot be written.
    pub read_only: bool,
    /// Whether its medium can be taken out.
    pub removable: bool,
    /// Whether it is a CD-ROM.
    pub optical: bool,
    /// Whether it takes [`Discard`](super::Request::Discard).
    pub discards: bool,
}

impl Geometry {
    /// Number of sectors.
    pub fn sectors(&self) -> u64 {
        self.bytes / u64::from(self.sector_size.max(1))
    }

    /// Whether `length` bytes at `offset` can be read or written.
    ///
    /// # Errors
    ///
    /// [`Error::Unaligned`] and [`Error::OutOfRange`].
    pub fn check(&self, offset: u64, length: u64) -> Result<()> {
        let sector = u64::from(self.sector_size.max(1));
        if !offset.is_multiple_of(sector) || !length.is_multiple_of(sector) {
            return Err(Error::Unaligned { sector_size: self.sector_size });
        }
        match offset.checked_add(length) {
            Some(end) if end <= self.bytes => Ok(()),
            _ => Err(Error::OutOfRange { bytes: self.bytes }),
        }
    }

    /// Whether `length` bytes at `offset` can be written.
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`], and as for [`check`](Self::check).
    pub fn check_write(&self, offset: u64, length: u64) -> Result<()> {
        if self.read_only { Err(Error::ReadOnly) } else { self.check(offset, length) }
    }
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, sectors of {}", self.bytes, self.sector_size)?;
        let words = [
            (self.read_only, ", read-only"),
            (self.removable, ", removable"),
            (self.optical, ", CD-ROM"),
            (self.discards, ", discards"),
        ];
        words.iter().filter(|(is, _)| *is).try_for_each(|(_, word)| f.write_str(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: Geometry = Geometry {
        bytes: 8192,
        sector_size: 4096,
        read_only: false,
        removable: false,
        optical: false,
        discards: false,
    };

    #[test]
    fn what_lies_inside_of_the_disk_can_be_read() {
        assert_eq!(DISK.check(0, 8192), Ok(()));
        assert_eq!(DISK.check(4096, 4096), Ok(()));
        assert_eq!(DISK.check(8192, 0), Ok(()));
    }

    #[test]
    fn what_reaches_over_the_end_is_refused() {
        for (offset, length) in [(0, 12288), (4096, 8192), (8192, 4096), (12288, 0), (!4095, 4096)] {
            assert_eq!(DISK.check(offset, length), Err(Error::OutOfRange { bytes: 8192 }), "{offset}");
        }
    }

    #[test]
    fn parts_of_sectors_are_refused() {
        for (offset, length) in [(512, 4096), (0, 512), (1, 1), (u64::MAX, 1)] {
            assert_eq!(DISK.check(offset, length), Err(Error::Unaligned { sector_size: 4096 }), "{offset}");
        }
    }

    #[test]
    fn a_read_only_disk_is_not_written() {
        let disk = Geometry { read_only: true, ..DISK };
        assert_eq!(disk.check_write(0, 4096), Err(Error::ReadOnly));
        assert_eq!(disk.check(0, 4096), Ok(()));
    }
}
