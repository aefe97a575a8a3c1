// SPDX-License-Identifier: MIT OR Apache-2.0
//! `redb` on a disk that loses power.

use std::sync::{Arc, Mutex};

use prism_redb_backend::{Backend, Contents, OpenError, RawDisk};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

const TABLE: TableDefinition<'_, u64, u64> = TableDefinition::new("numbers");
const LENGTH: usize = 8 << 20;

/// A disk in memory that does so many writes, half of another one, and none afterwards.
#[derive(Clone, Debug)]
struct MemoryDisk {
    bytes: Arc<Mutex<Vec<u8>>>,
    writes_left: Arc<Mutex<usize>>,
}

impl MemoryDisk {
    fn of(bytes: Vec<u8>) -> Self {
        Self { bytes: Arc::new(Mutex::new(bytes)), writes_left: Arc::new(Mutex::new(usize::MAX)) }
    }

    fn blank() -> Self {
        Self::of(vec![0; LENGTH])
    }

    fn that_does(writes: usize) -> Self {
        let disk = Self::blank();
        *disk.writes_left.lock().unwrap() = writes;
        disk
    }

    /// The same disk, with power.
    fn again(&self) -> Self {
        Self::of(self.bytes.lock().unwrap().clone())
    }
}

impl RawDisk for MemoryDisk {
    type Error = &'static str;

    fn length(&self) -> u64 {
        self.bytes.lock().unwrap().len() as u64
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), Self::Error> {
        let (bytes, start) = (self.bytes.lock().unwrap(), offset as usize);
        into.copy_from_slice(bytes.get(start..start + into.len()).ok_or("behind the end")?);
        Ok(())
    }

    fn write(&self, offset: u64, from: &[u8]) -> Result<(), Self::Error> {
        let mut left = self.writes_left.lock().unwrap();
        let (mut bytes, start) = (self.bytes.lock().unwrap(), offset as usize);
        let place = bytes.get_mut(start..start + from.len()).ok_or("behind the end")?;
        match left.checked_sub(1) {
            None => return Err("no power"),
            Some(0) => place[..from.len() / 2].copy_from_slice(&from[..from.len() / 2]),
            Some(_) => place.copy_from_slice(from),
        }
        *left -= 1;
        if *left == 0 { Err("no power") } else { Ok(()) }
    }

    fn flush(&self) -> Result<(), Self::Error> {
        if *self.writes_left.lock().unwrap() == 0 { Err("no power") } else { Ok(()) }
    }
}

fn open(disk: MemoryDisk) -> Result<Database, Box<dyn std::error::Error>> {
    let backend = Backend::open(disk, Contents::Keep)?;
    let database = Database::builder().set_cache_size(1 << 20).create_with_backend(backend.clone())?;
    backend.complete()?;
    Ok(database)
}

/// Puts numbers one by one, and tells how many were acknowledged.
fn put(disk: MemoryDisk, count: u64) -> u64 {
    let mut acknowledged = 0;
    let work = || -> Result<(), Box<dyn std::error::Error>> {
        let database = open(disk)?;
        for number in 0..count {
            let transaction = database.begin_write()?;
            transaction.open_table(TABLE)?.insert(number, number * number)?;
            transaction.commit()?;
            acknowledged += 1;
        }
        Ok(())
    };
    // What fails is the power.
    let _ = work();
    acknowledged
}

/// How many numbers are there, from 0 on.
fn found(disk: MemoryDisk) -> u64 {
    let database = open(disk).expect("a disk that has lost power is a store");
    let transaction = database.begin_read().unwrap();
    let Ok(table) = transaction.open_table(TABLE) else { return 0 };
    let is_there = |number: &u64| {
        let value = table.get(*number).unwrap().map(|value| value.value());
        value.inspect(|value| assert_eq!(*value, number * number)).is_some()
    };
    (0..).take_while(is_there).count() as u64
}

#[test]
fn what_was_acknowledged_is_there_whenever_the_power_fails() {
    const NUMBERS: u64 = 8;
    for writes in 1.. {
        let disk = MemoryDisk::that_does(writes);
        let acknowledged = put(disk.clone(), NUMBERS);
        let found = found(disk.again());
        // The last one may be there without having been acknowledged.
        assert!(
            (acknowledged..=acknowledged + 1).contains(&found),
            "{writes} writes: {acknowledged}, but {found}"
        );
        if acknowledged == NUMBERS {
            assert!(writes > 20, "{writes} writes are too few for the power to fail");
            return;
        }
    }
}

#[test]
fn a_store_is_the_same_when_it_is_opened_again() {
    let disk = MemoryDisk::blank();
    assert_eq!(put(disk.clone(), 50), 50);
    assert_eq!(found(disk.again()), 50);
}

#[test]
fn a_disk_that_holds_something_else_is_left_alone_unless_told() {
    let mut bytes = vec![0; LENGTH];
    bytes[..8].copy_from_slice(b"mkfs.fat");
    let disk = MemoryDisk::of(bytes);
    assert!(matches!(Backend::open(disk.clone(), Contents::Keep), Err(OpenError::Strange)));
    assert!(Backend::open(disk, Contents::Erase).is_ok());
}

#[test]
fn a_file_system_whose_mark_is_far_from_the_beginning_is_left_alone() {
    // The superblocks of ext4, JFS and ISO 9660, and btrfs; the end of ZFS's label; the last byte of all.
    for place in [1080, 32 << 10, (32 << 10) + 1, (64 << 10) + 64, (256 << 10) - 1, (1 << 20) - 1] {
        let mut bytes = vec![0; LENGTH];
        bytes[place] = b'_';
        let disk = MemoryDisk::of(bytes);
        assert!(matches!(Backend::open(disk.clone(), Contents::Keep), Err(OpenError::Strange)), "{place}");
        assert!(Backend::open(disk, Contents::Erase).is_ok());
    }
    // A disk that is shorter than what is looked at.
    let mut bytes = vec![0; 20_000];
    assert!(Backend::open(MemoryDisk::of(bytes.clone()), Contents::Keep).is_ok());
    bytes[19_999] = 1;
    assert!(matches!(Backend::open(MemoryDisk::of(bytes), Contents::Keep), Err(OpenError::Strange)));
}

#[test]
fn a_disk_that_was_cut_off_is_no_store_and_is_whole_again_with_its_end() {
    let disk = MemoryDisk::blank();
    assert_eq!(put(disk.clone(), 3), 3);
    let bytes = disk.bytes.lock().unwrap().clone();
    for contents in [Contents::Keep, Contents::Erase] {
        let short = MemoryDisk::of(bytes[..1 << 16].to_vec());
        assert!(matches!(Backend::open(short, contents), Err(OpenError::Damaged)));
    }
    assert_eq!(found(disk.again()), 3);
}

#[test]
fn a_header_after_which_none_can_follow_is_refused() {
    let disk = MemoryDisk::blank();
    assert_eq!(put(disk.clone(), 1), 1);
    let mut bytes = disk.bytes.lock().unwrap().clone();
    for header in [0, 4096] {
        let words = [&b"prismkv1"[..], &[0xff; 8], &bytes[header + 16..header + 32]].concat();
        let sum = words.as_chunks().0.iter().fold(1_u64, |sum, word| {
            (sum ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
        });
        bytes[header..header + 32].copy_from_slice(&words);
        bytes[header + 32..header + 40].copy_from_slice(&sum.to_le_bytes());
    }
    assert!(matches!(Backend::open(MemoryDisk::of(bytes), Contents::Keep), Err(OpenError::Damaged)));
}

#[test]
fn a_disk_without_room_is_refused() {
    let small = MemoryDisk::of(vec![0; 8192]);
    assert!(matches!(Backend::open(small, Contents::Keep), Err(OpenError::TooSmall)));
}

#[test]
fn a_full_disk_is_an_error() {
    let disk = MemoryDisk::of(vec![0; 2 << 20]);
    let large: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("large");
    let fill = || -> Result<(), Box<dyn std::error::Error>> {
        let database = open(disk.clone())?;
        let transaction = database.begin_write()?;
        transaction.open_table(large)?.insert(0, vec![7; 4 << 20].as_slice())?;
        Ok(transaction.commit()?)
    };
    assert!(fill().unwrap_err().to_string().contains("the disk is full"));
    assert_eq!((put(disk.clone(), 3), found(disk.again())), (3, 3));
}
