// SPDX-License-Identifier: MIT OR Apache-2.0
//! Partition tables that were made right and then damaged, where their structure is: what is found is inside
//! of the disk, in bounded memory and time.

use std::sync::Arc;

use futures::executor::block_on;
use prism_damage::{Allowed, Counting, Fields, Random, play, rounds, said};
use prism_drivers::block::ByteRange;
use prism_drivers::block::partition::{Error, Partition, partitions};
use prism_drivers::block::ramdisk::RamDisk;
use xen::fake::FakeXen;

#[global_allocator]
static HEAP: Counting = Counting;

const SECTOR: usize = 512;
/// Sectors of the disk.
const SECTORS: usize = 256;
/// Bytes of a GPT's entry, and how many there are.
const ENTRY: usize = 128;
const ENTRIES: usize = 128;

/// Numbers that mean something in a table.
const NUMBERS: &[u32] =
    &[0, 1, 2, 5, 0x0f, 0x7f, 0x80, 0xee, 0xff, 255, 256, 0xffff, 0x7fff_ffff, u32::MAX, 1 << 31, 0xaa55];

/// A chain of partitions may be read by hundreds of pages, which the fake Xen keeps until it goes.
const ALLOWED: Allowed = Allowed { memory: 4 << 20, panics: &[] };

/// The partitions of a disk, of which a copy is made.
fn find(content: &[u8]) -> Result<Vec<Partition>, Error> {
    let xen = FakeXen::new();
    let disk = Arc::new(RamDisk::new("xvda".into(), content.to_vec(), SECTOR as u32));
    let disk = ByteRange::of(disk, Arc::new(move || Some(xen.page())));
    block_on(partitions(&disk, SECTOR as u32))
}

/// What is wrong with the partitions that are found.
fn wrong(content: Vec<u8>) -> Option<String> {
    let found = find(&content).unwrap_or_default();
    let is_inside = |partition: &Partition| {
        let end = partition.start.checked_add(partition.length);
        partition.length > 0 && end.is_some_and(|end| end <= content.len() as u64)
    };
    let are_right = found.len() <= 256
        && found.is_sorted_by(|one, next| one.number < next.number)
        && found.iter().all(is_inside);
    (!are_right).then(|| format!("{found:?}"))
}

fn put(disk: &mut [u8], offset: usize, bytes: &[u8]) {
    disk[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// An MBR of two primary partitions and a chain of three logical ones.
fn mbr() -> Vec<u8> {
    let mut disk = vec![0; SECTORS * SECTOR];
    let mut table = |sector: u32, entries: &[(u8, u32, u32)]| {
        let start = sector as usize * SECTOR;
        for (index, (kind, first, count)) in entries.iter().enumerate() {
            let at = start + 446 + index * 16;
            disk[at + 4] = *kind;
            put(&mut disk, at + 8, &first.to_le_bytes());
            put(&mut disk, at + 12, &count.to_le_bytes());
        }
        put(&mut disk, start + 510, &[0x55, 0xaa]);
    };
    table(0, &[(0x83, 2, 30), (0x83, 40, 50), (0x05, 100, 150)]);
    // Each link's own partition is counted from it, the next link from the first one.
    table(100, &[(0x83, 1, 20), (0x05, 50, 50)]);
    table(150, &[(0x83, 1, 20), (0x05, 100, 50)]);
    table(200, &[(0x83, 1, 20)]);
    disk
}

/// A GPT of three partitions, with its copy.
fn gpt() -> Vec<u8> {
    let mut disk = vec![0; SECTORS * SECTOR];
    let last = SECTORS - 1;
    disk[446 + 4] = 0xee;
    put(&mut disk, 446 + 8, &1_u32.to_le_bytes());
    put(&mut disk, 446 + 12, &(last as u32).to_le_bytes());
    put(&mut disk, 510, &[0x55, 0xaa]);
    let table = ENTRIES * ENTRY / SECTOR;
    for (header, other, entries) in [(1, last, 2), (last, 1, last - table)] {
        for (index, (first, end)) in [(40_u64, 79_u64), (80, 99), (120, 200)].into_iter().enumerate() {
            let at = entries * SECTOR + index * ENTRY;
            put(&mut disk, at, &[0xaf; 16]);
            put(&mut disk, at + 16, &[index as u8 + 1; 16]);
            put(&mut disk, at + 32, &first.to_le_bytes());
            put(&mut disk, at + 40, &end.to_le_bytes());
        }
        let at = header * SECTOR;
        put(&mut disk, at, b"EFI PART");
        put(&mut disk, at + 8, &0x1_0000_u32.to_le_bytes());
        put(&mut disk, at + 12, &92_u32.to_le_bytes());
        for (offset, number) in [(24, header), (32, other), (40, 34), (48, last - table - 1), (72, entries)] {
            put(&mut disk, at + offset, &(number as u64).to_le_bytes());
        }
        put(&mut disk, at + 56, &[0xd1; 16]);
        put(&mut disk, at + 80, &(ENTRIES as u32).to_le_bytes());
        put(&mut disk, at + 84, &(ENTRY as u32).to_le_bytes());
        sum(&mut disk, header);
    }
    disk
}

/// Makes the checksums of a GPT's header right, and that of its entries, as far as it says where they are.
fn sum(disk: &mut [u8], header: usize) {
    let at = header * SECTOR;
    let number =
        |disk: &[u8], offset: usize| u32::from_le_bytes(*disk[at + offset..].first_chunk().unwrap()) as usize;
    let entries = number(disk, 72).saturating_mul(SECTOR);
    let length = number(disk, 80).saturating_mul(number(disk, 84));
    if let Some(entries) = disk.get(entries..entries.saturating_add(length)) {
        let sum = crc32(entries);
        put(disk, at + 88, &sum.to_le_bytes());
    }
    put(disk, at + 16, &[0; 4]);
    let length = number(disk, 12).min(SECTOR);
    let sum = crc32(&disk[at..at + length]);
    put(disk, at + 16, &sum.to_le_bytes());
}

/// The CRC of GPTs (UEFI specification, 5.3.2), that of Ethernet.
fn crc32(bytes: &[u8]) -> u32 {
    let add = |sum: u32, bit: u32| if (sum ^ bit) & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
    !bytes.iter().flat_map(|byte| (0..8).map(move |bit| u32::from(byte >> bit))).fold(u32::MAX, add)
}

/// One after the other: they share what counts memory.
#[test]
fn damaged_partition_tables_are_errors_in_bounded_memory() {
    let rounds = rounds(1500);
    let damaged = |image: Vec<u8>, head| {
        let fields = Fields { head, one_in: 3, places: said(&image, &[0]), numbers: NUMBERS };
        move |seed: usize, random: &mut Random| {
            let mut damaged = image.clone();
            fields.damage(&mut damaged, random);
            // Whoever writes a wrong table may have its checksums right.
            if &damaged[SECTOR..SECTOR + 8] == b"EFI PART" && !seed.is_multiple_of(4) {
                sum(&mut damaged, 1);
                sum(&mut damaged, SECTORS - 1);
            }
            damaged
        }
    };
    let numbers = |disk: &[u8]| find(disk).unwrap().iter().map(|found| found.number).collect::<Vec<_>>();
    assert_eq!(numbers(&mbr()), [1, 2, 5, 6, 7]);
    assert_eq!(numbers(&gpt()), [1, 2, 3]);
    play("mbr", rounds, ALLOWED, damaged(mbr(), 446..512), wrong);
    play("gpt", rounds, ALLOWED, damaged(gpt(), SECTOR..SECTOR + 92), wrong);
    // The first one is gone.
    let mut copy = gpt();
    copy[SECTOR] = 0;
    assert_eq!(numbers(&copy), [1, 2, 3]);
    let header = (SECTORS - 1) * SECTOR;
    play("gpt's copy", rounds, ALLOWED, damaged(copy, header..header + 92), wrong);
}
