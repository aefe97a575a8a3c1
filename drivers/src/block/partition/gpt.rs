// SPDX-License-Identifier: MIT OR Apache-2.0
//! The GUID partition table (UEFI specification, chapter 5.3): a header in the second sector and one in the
//! last, each with its own copy of the entries.

use alloc::vec::Vec;

use crate::hal::Page;
use embassy_futures::yield_now;

use super::{Error, MAX, Partition, Table, number};

const SIGNATURE: &[u8] = b"EFI PART";
/// Bytes of a header that are defined.
const HEADER: u64 = 92;
/// Bytes of an entry, and of those together, at most: 256 of 128 bytes are usual.
const ENTRY: core::ops::RangeInclusive<u64> = 128..=4096;
const MAX_BYTES: u64 = 1 << 20;

/// The partitions of the first copy that is whole.
pub(super) async fn read<P: Page>(table: &Table<'_, P>) -> Result<Vec<Partition>, Error> {
    for place in [1, table.last()] {
        if let Some(partitions) = copy(table, place).await? {
            return Ok(partitions);
        }
    }
    Err(Error::Damaged)
}

/// The partitions of the copy whose header is at `place`; `None` if it is damaged.
async fn copy<P: Page>(table: &Table<'_, P>, place: u64) -> Result<Option<Vec<Partition>>, Error> {
    let Some(header) = Header::parse(&table.sector(place).await?, place) else { return Ok(None) };
    let entries = match table.sectors(header.entries, header.bytes).await {
        Err(Error::Disk(crate::block::Error::OutOfRange { .. })) => return Ok(None),
        entries => entries?,
    };
    if crc32_in_turns(&entries).await != header.sum {
        return Ok(None);
    }
    let entries = (1..MAX).zip(entries.chunks_exact(header.entry.max(1)));
    Ok(Some(entries.filter_map(|(number, entry)| partition(table, number, entry)).collect()))
}

/// The partition of an entry; `None` if the entry is not used, or makes no sense.
fn partition<P: Page>(table: &Table<'_, P>, index: u32, entry: &[u8]) -> Option<Partition> {
    let kind = entry.get(..16)?;
    if kind.iter().all(|byte| *byte == 0) {
        return None;
    }
    let (first, last) = (number::<8>(entry, 32), number::<8>(entry, 40));
    if last > table.last() {
        return None;
    }
    table.partition(index, first, last.checked_sub(first)?.checked_add(1)?)
}

/// What a header says of the entries.
struct Header {
    /// Their first sector.
    entries: u64,
    /// Bytes of one, and of all.
    entry: usize,
    bytes: usize,
    /// Their checksum.
    sum: u64,
}

impl Header {
    /// The header in `sector`, which is that of number `place`; `None` if it is none, or damaged.
    fn parse(sector: &[u8], place: u64) -> Option<Self> {
        let length = number::<4>(sector, 12);
        let mut header: Vec<u8> = sector.get(..usize::try_from(length).ok()?)?.to_vec();
        let sum = number::<4>(&header, 16);
        header.get_mut(16..20)?.fill(0);
        let is_whole = header.starts_with(SIGNATURE) && length >= HEADER && crc32(&header) == sum;
        let (count, entry) = (number::<4>(&header, 80), number::<4>(&header, 84));
        let bytes = count.checked_mul(entry)?;
        let fits = ENTRY.contains(&entry) && bytes <= MAX_BYTES && number::<8>(&header, 24) == place;
        (is_whole && fits).then_some(Self {
            entries: number::<8>(&header, 72),
            entry: entry as usize,
            bytes: bytes as usize,
            sum: number::<4>(&header, 88),
        })
    }
}

/// The checksum of ISO 3309, by bits: tables are small.
fn crc32(bytes: &[u8]) -> u64 {
    u64::from(!add_to_sum(!0, bytes))
}

/// The same, with turns of others: a table may claim to be a large one.
async fn crc32_in_turns(bytes: &[u8]) -> u64 {
    let mut sum = !0;
    for piece in bytes.chunks(BYTES_PER_TURN) {
        sum = add_to_sum(sum, piece);
        yield_now().await;
    }
    u64::from(!sum)
}

/// Bytes between two turns of others: as many as usual tables have.
const BYTES_PER_TURN: usize = 32 << 10;

fn add_to_sum(sum: u32, bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
    bytes.iter().fold(sum, |sum: u32, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    /// Writes a copy of a table with these partitions, first and last sector: its header at one sector, its
    /// entries at another.
    fn put(disk: &mut [u8], sector: usize, (header_at, entries_at): (usize, usize), parts: &[(u64, u64)]) {
        let mut entries = vec![0; 128 * 128];
        for ((first, last), entry) in parts.iter().zip(entries.chunks_mut(128)) {
            entry[..16].fill(u8::from(*last != 0));
            entry[32..40].copy_from_slice(&first.to_le_bytes());
            entry[40..48].copy_from_slice(&last.to_le_bytes());
        }
        let mut header = vec![0; 92];
        header[..8].copy_from_slice(SIGNATURE);
        header[12] = 92;
        header[24..32].copy_from_slice(&(header_at as u64).to_le_bytes());
        header[72..80].copy_from_slice(&(entries_at as u64).to_le_bytes());
        header[80] = 128;
        header[84] = 128;
        header[88..92].copy_from_slice(&(crc32(&entries) as u32).to_le_bytes());
        let sum = crc32(&header) as u32;
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        disk[header_at * sector..][..92].copy_from_slice(&header);
        disk[entries_at * sector..][..entries.len()].copy_from_slice(&entries);
    }

    /// A disk of 1000 sectors with both copies.
    fn disk(sector: usize, parts: &[(u64, u64)]) -> Vec<u8> {
        let mut disk = vec![0; 1000 * sector];
        (disk[450], disk[510], disk[511]) = (0xee, 0x55, 0xaa);
        put(&mut disk, sector, (1, 2), parts);
        put(&mut disk, sector, (999, 900), parts);
        disk
    }

    #[test]
    fn checksum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn others_have_their_turn_while_a_long_table_is_summed() {
        let bytes = vec![7; MAX_BYTES as usize];
        let mut sum = std::pin::pin!(crc32_in_turns(&bytes));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let turns = (0..).find(|_| sum.as_mut().poll(&mut context).is_ready()).unwrap();
        assert_eq!(turns, MAX_BYTES as usize / BYTES_PER_TURN);
        assert_eq!(futures::executor::block_on(crc32_in_turns(b"123456789")), 0xcbf4_3926);
    }

    #[test]
    fn partitions_have_the_numbers_of_their_entries() {
        for sector in [512, 4096] {
            let disk = disk(sector, &[(100, 199), (0, 0), (300, 300)]);
            assert_eq!(found(disk, sector as u32).unwrap(), [(1, 100, 100), (3, 300, 1)]);
        }
    }

    #[test]
    fn a_damaged_copy_is_replaced_by_the_other() {
        for place in [512 + 40, 2 * 512 + 33] {
            let mut disk = disk(512, &[(100, 199)]);
            disk[place] ^= 1;
            assert_eq!(found(disk.clone(), 512).unwrap(), [(1, 100, 100)]);
            disk[999 * 512 + 40] ^= 1;
            assert_eq!(found(disk, 512), Err(Error::Damaged));
        }
    }

    #[test]
    fn invalid_entries_are_no_partitions() {
        let parts = [(200, 100), (990, 5000), (1000, 1001), (0, u64::MAX), (u64::MAX, u64::MAX)];
        assert_eq!(found(disk(512, &parts), 512).unwrap(), []);
    }

    #[test]
    fn header_that_claims_too_much_is_damaged() {
        for (offset, value) in [(80, u32::MAX), (84, 0), (84, u32::MAX), (12, u32::MAX), (12, 0)] {
            let mut disk = disk(512, &[(100, 199)]);
            for start in [512, 999 * 512] {
                disk[start + offset..][..4].copy_from_slice(&value.to_le_bytes());
                disk[start + 16..][..4].fill(0);
                let sum = crc32(&disk[start..][..92]) as u32;
                disk[start + 16..][..4].copy_from_slice(&sum.to_le_bytes());
            }
            assert_eq!(found(disk, 512), Err(Error::Damaged), "{offset} {value}");
        }
    }
}
