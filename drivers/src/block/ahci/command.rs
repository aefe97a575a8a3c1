// SPDX-License-Identifier: MIT OR Apache-2.0
//! A command in memory: its header, its table, and the message to the drive (sections 4.2.2 and 4.2.3; Serial
//! ATA 3.2, 10.5.5).

use crate::hal::PAGE_SIZE;

use crate::block::ata::{MAX_SECTORS, SECTOR};

/// A command for a drive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Command {
    pub(super) number: u8,
    /// Where data is moved on the disk, in sectors, and how many: 0 to 256.
    pub(super) first: u64,
    pub(super) count: u16,
    pub(super) writes: bool,
}

/// A region of memory that data is moved to or from: its address and its length.
pub(super) type Region = (u64, usize);

/// Pieces of a command: pages of the most that is moved at once.
pub(super) const MAX_REGIONS: usize = MAX_SECTORS * SECTOR as usize / PAGE_SIZE;

/// Bytes of a table's part before the regions, and of the description of a region.
const BEFORE_PIECES: usize = 0x80;
const DESCRIPTION: usize = 16;

/// Bytes of a header and of a table.
pub(super) const HEADER: usize = 32;
pub(super) const TABLE: usize = BEFORE_PIECES + MAX_REGIONS * DESCRIPTION;

impl Command {
    /// The header of the command whose table is at `table`.
    pub(super) fn header(&self, table: u64, regions: usize) -> [u8; HEADER] {
        /// Length of the message to the drive, in words of 32 bits; mark of one that moves data to it.
        const MESSAGE: u32 = 5;
        const WRITES: u32 = 1 << 6;
        let writes = if self.writes { WRITES } else { 0 };
        let first = MESSAGE | writes | (regions.min(MAX_REGIONS) as u32) << 16;
        let mut header = [0; HEADER];
        let words = [first, 0, table as u32, (table >> 32) as u32].map(u32::to_le_bytes);
        header.iter_mut().zip(words.into_iter().flatten()).for_each(|(place, byte)| *place = byte);
        header
    }

    /// The table; regions beyond [`MAX_REGIONS`] are left out.
    pub(super) fn table(&self, regions: &[Region]) -> [u8; TABLE] {
        let mut table = [0; TABLE];
        table.iter_mut().zip(self.message()).for_each(|(place, byte)| *place = byte);
        let (_, descriptions) = table.split_at_mut(BEFORE_PIECES);
        for (description, (address, length)) in descriptions.chunks_exact_mut(DESCRIPTION).zip(regions) {
            let length = (*length as u32).wrapping_sub(1); // counted from 0
            let words = [*address as u32, (*address >> 32) as u32, 0, length].map(u32::to_le_bytes);
            description.iter_mut().zip(words.into_iter().flatten()).for_each(|(place, byte)| *place = byte);
        }
        table
    }

    /// The message from the host to the drive: the registers of old.
    fn message(&self) -> [u8; 20] {
        /// Its kind, and that it is a command.
        const KIND: u8 = 0x27;
        const COMMAND: u8 = 1 << 7;
        /// In the device register: addresses count sectors.
        const BY_SECTOR: u8 = 1 << 6;
        let [a, b, c, d, e, f, ..] = self.first.to_le_bytes();
        // Where addresses are short, their highest four bits are in the device register; where they are
        // long, nobody looks at those.
        let device = BY_SECTOR | d & 0xf;
        let [low, high] = self.count.to_le_bytes();
        [KIND, COMMAND, self.number, 0, a, b, c, device, d, e, f, 0, low, high, 0, 0, 0, 0, 0, 0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_laid_out_as_the_controller_reads_it() {
        let command = Command { number: 0x25, first: 0x0605_0403_0201, count: 256, writes: false };
        let header = command.header(0x1_2345_6080, 2);
        assert_eq!(header[..12], [5, 0, 2, 0, 0, 0, 0, 0, 0x80, 0x60, 0x45, 0x23]);
        let table = command.table(&[(0x1_0000_2000, 4096), (0x3000, 512)]);
        assert_eq!(table[..16], [0x27, 0x80, 0x25, 0, 1, 2, 3, 0x44, 4, 5, 6, 0, 0, 1, 0, 0]);
        let region = |index: usize| &table[0x80 + index * 16..][..16];
        assert_eq!(region(0), [0, 0x20, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0x0f, 0, 0]);
        assert_eq!(region(1)[12..], [0xff, 1, 0, 0]);
        let write = Command { writes: true, ..command };
        assert_eq!(write.header(0, 1)[0], 5 | 1 << 6);
    }
}
