// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of a PC's BIOS: four entries in the first sector. One of them may be a chain of tables with
//! more.

use alloc::vec::Vec;

use crate::hal::Page;

use super::{Error, MAX, Partition, Table, number};

/// Where the entries begin, how long each is, and how many there are.
const ENTRIES: (usize, usize, usize) = (446, 16, 4);
/// What the first sector, and each link of the chain, ends with.
const SIGNATURE: (usize, u64) = (510, 0xaa55);
/// Links of the chain in a row that have no partition.
const MAX_EMPTY: u32 = 100;

/// What a disk's first sector is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No table.
    None,
    /// A table.
    Mbr,
    /// A table that keeps off those who know no GPT.
    Protective,
}

/// What `sector` is. File systems have the same signature, and code where the entries are.
pub(super) fn kind(sector: &[u8]) -> Kind {
    if !is_table(sector) || entries(sector).any(|entry| entry.flags & 0x7f != 0) {
        return Kind::None;
    }
    // A hybrid table has others beside the protective entry.
    if entries(sector).any(|entry| entry.kind == 0xee) { Kind::Protective } else { Kind::Mbr }
}

/// The partitions of the table in the first sector.
pub(super) async fn read<P: Page>(table: &Table<'_, P>, first: &[u8]) -> Result<Vec<Partition>, Error> {
    let mut partitions = Vec::new();
    for (number, entry) in (1..).zip(entries(first)) {
        if !entry.is_extended() {
            partitions.extend(table.partition(number, entry.start, entry.sectors));
        }
    }
    let mut logical = Logical { table, found: Vec::new(), next: 5 };
    for extended in entries(first).filter(Entry::is_extended) {
        logical.walk(extended).await;
    }
    partitions.append(&mut logical.found);
    Ok(partitions)
}

fn is_table(sector: &[u8]) -> bool {
    number::<2>(sector, SIGNATURE.0) == SIGNATURE.1
}

/// An entry of a table. Places count from where its table's do.
#[derive(Clone, Copy)]
struct Entry {
    flags: u8,
    kind: u8,
    start: u64,
    sectors: u64,
}

impl Entry {
    /// Whether it is not a partition, but a chain of tables.
    fn is_extended(&self) -> bool {
        matches!(self.kind, 0x05 | 0x0f | 0x85) && self.sectors > 0
    }
}

fn entries(sector: &[u8]) -> impl Iterator<Item = Entry> + '_ {
    let (first, length, count) = ENTRIES;
    (0..count).map(move |index| {
        let start = first + index * length;
        Entry {
            flags: number::<1>(sector, start) as u8,
            kind: number::<1>(sector, start + 4) as u8,
            start: number::<4>(sector, start + 8),
            sectors: number::<4>(sector, start + 12),
        }
    })
}

/// Logical partitions. Each link of the chain has one, relative to the link, and leads to the next, relative
/// to the first.
struct Logical<'t, 'd, P: Page> {
    table: &'t Table<'d, P>,
    found: Vec<Partition>,
    /// The number of the next one.
    next: u32,
}

impl<P: Page> Logical<'_, '_, P> {
    /// Follows a chain to its end, or to where it makes no sense any more.
    async fn walk(&mut self, extended: Entry) {
        let (mut at, mut length) = (extended.start, extended.sectors);
        let mut empty = 0;
        while empty < MAX_EMPTY {
            let Ok(link) = self.table.sector(at).await else { return };
            if !is_table(&link) {
                return;
            }
            empty += 1;
            for (index, entry) in entries(&link).enumerate() {
                let is_there = entry.sectors > 0 && !entry.is_extended();
                // The last two entries are seldom used, and often hold garbage.
                if is_there && (index < 2 || is_inside(&entry, at, length, &extended)) {
                    empty = 0;
                    if !self.add(at.saturating_add(entry.start), entry.sectors) {
                        return;
                    }
                }
            }
            let Some(next) = entries(&link).find(Entry::is_extended) else { return };
            (at, length) = (extended.start.saturating_add(next.start), next.sectors);
        }
    }

    /// Adds a partition; false if there can be no more. One that does not lie on the disk has a number, too.
    fn add(&mut self, start: u64, sectors: u64) -> bool {
        let number = self.next;
        self.next += 1;
        self.found.extend(self.table.partition(number, start, sectors));
        self.next < MAX
    }
}

/// Whether a partition lies inside of its link, and of the whole chain.
fn is_inside(entry: &Entry, at: u64, length: u64, extended: &Entry) -> bool {
    let (start, end) = (at.saturating_add(entry.start), at.saturating_add(entry.start + entry.sectors));
    entry.start + entry.sectors <= length
        && start >= extended.start
        && end <= extended.start + extended.sectors
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    const SECTOR: usize = 512;

    /// Writes a table into a sector: places, kinds and lengths of its entries.
    fn put(disk: &mut [u8], sector: usize, entries: &[(u8, u32, u32)]) {
        let table = &mut disk[sector * SECTOR..][..SECTOR];
        for ((kind, start, sectors), entry) in entries.iter().zip(table[446..].chunks_mut(16)) {
            entry[4] = *kind;
            entry[8..12].copy_from_slice(&start.to_le_bytes());
            entry[12..16].copy_from_slice(&sectors.to_le_bytes());
        }
        table[510..].copy_from_slice(&[0x55, 0xaa]);
    }

    fn blank() -> Vec<u8> {
        vec![0; 1000 * SECTOR]
    }

    #[test]
    fn primary_partitions_have_the_numbers_of_their_entries() {
        let mut disk = blank();
        put(&mut disk, 0, &[(0x83, 10, 20), (0, 0, 0), (0x0c, 40, 8)]);
        assert_eq!(found(disk, 512).unwrap(), [(1, 10, 20), (3, 40, 8)]);
    }

    #[test]
    fn logical_partitions_are_numbered_from_5_on() {
        let mut disk = blank();
        put(&mut disk, 0, &[(0x83, 1, 9), (0x05, 100, 500)]);
        put(&mut disk, 100, &[(0x83, 2, 50), (0x05, 100, 200)]);
        put(&mut disk, 200, &[(0x83, 4, 60), (0x05, 300, 100)]);
        put(&mut disk, 400, &[(0x82, 8, 70)]);
        let expected = [(1, 1, 9), (5, 102, 50), (6, 204, 60), (7, 408, 70)];
        assert_eq!(found(disk, 512).unwrap(), expected);
    }

    #[test]
    fn a_chain_that_loops_ends() {
        let mut disk = blank();
        put(&mut disk, 0, &[(0x0f, 100, 500)]);
        put(&mut disk, 100, &[(0x83, 2, 50), (0x05, 0, 500)]);
        let partitions = found(disk.clone(), 512).unwrap();
        assert_eq!((partitions.first(), partitions.len()), (Some(&(5, 102, 50)), 251));
        put(&mut disk, 100, &[(0, 0, 0), (0x05, 0, 500)]);
        assert_eq!(found(disk, 512).unwrap(), []);
    }

    #[test]
    fn a_chain_that_leads_beyond_the_disk_ends_there() {
        let mut disk = blank();
        put(&mut disk, 0, &[(0x05, 100, 500)]);
        put(&mut disk, 100, &[(0x83, 2, 50), (0x05, u32::MAX, u32::MAX)]);
        assert_eq!(found(disk, 512).unwrap(), [(5, 102, 50)]);
    }

    #[test]
    fn partitions_end_with_the_disk() {
        let mut disk = blank();
        put(&mut disk, 0, &[(0x83, 900, 200), (0x83, 1000, 1), (0x83, u32::MAX, u32::MAX), (0x83, 5, 0)]);
        assert_eq!(found(disk, 512).unwrap(), [(1, 900, 100)]);
    }

    #[test]
    fn a_boot_sector_of_a_file_system_is_no_table() {
        let mut disk = blank();
        put(&mut disk, 0, &[(0x83, 10, 20)]);
        disk[446] = 0x80;
        assert_eq!(found(disk.clone(), 512).unwrap(), [(1, 10, 20)]);
        disk[446] = 0x33;
        assert_eq!(found(disk, 512), Err(Error::NoTable));
    }
}
