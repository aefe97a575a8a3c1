// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stores that were made right and then damaged, where their structure is: what is found in them is values or
//! errors, in bounded memory.

use std::error::Error;
use std::sync::{Arc, Mutex};

use prism_damage::{Allowed, Counting, Fields, play, rounds, said};
use prism_redb_backend::{Backend, Contents, RawDisk};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

#[global_allocator]
static HEAP: Counting = Counting;

const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("values");
const LENGTH: usize = 4 << 20;
/// Where the file of `redb` begins, and what is at its beginning: the header, and the roots of the trees.
const DATA: usize = 8192;
const HEAD: usize = 320;

/// Bytes of the cache, and what is allowed beside it.
const CACHE: usize = 1 << 20;
const ALLOWED: Allowed = Allowed { memory: CACHE + (8 << 20), panics: KNOWN };

/// `redb` believes what its pages say once they are there: it panics at some that are damaged, which nothing
/// keeps away here.
const KNOWN: &[&str] = &["redb-4.4.0/src/"];

/// Numbers that mean something in a header or a page.
const NUMBERS: &[u32] =
    &[0, 1, 2, 3, 4, 0x7f, 0xff, 0xfff, 4096, 0xffff, 0x7fff_ffff, u32::MAX, 1 << 31, 1 << 20];

/// A disk in memory.
#[derive(Clone, Debug)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl RawDisk for Memory {
    type Error = &'static str;

    fn length(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), Self::Error> {
        let (bytes, start) = (self.0.lock().unwrap(), offset as usize);
        let end = start.checked_add(into.len()).ok_or("behind the end")?;
        into.copy_from_slice(bytes.get(start..end).ok_or("behind the end")?);
        Ok(())
    }

    fn write(&self, offset: u64, from: &[u8]) -> Result<(), Self::Error> {
        let (mut bytes, start) = (self.0.lock().unwrap(), offset as usize);
        let end = start.checked_add(from.len()).ok_or("behind the end")?;
        bytes.get_mut(start..end).ok_or("behind the end")?.copy_from_slice(from);
        Ok(())
    }

    fn flush(&self) -> Result<(), Self::Error> {
        Ok(())
    }
}

fn open(disk: Memory) -> Result<Database, Box<dyn Error>> {
    let backend = Backend::open(disk, Contents::Keep)?;
    let database = Database::builder().set_cache_size(CACHE).create_with_backend(backend.clone())?;
    backend.complete()?;
    Ok(database)
}

/// A store of some values, the last of which were put in by a transaction of their own.
fn make() -> Vec<u8> {
    let disk = Memory(Arc::new(Mutex::new(vec![0; LENGTH])));
    let database = open(disk.clone()).unwrap();
    for round in 0..3 {
        let transaction = database.begin_write().unwrap();
        let mut table = transaction.open_table(TABLE).unwrap();
        for number in 0..60 {
            table.insert(&*format!("key {round} {number}"), &[7; 200][..]).unwrap();
        }
        drop(table);
        transaction.commit().unwrap();
    }
    drop(database);
    let bytes = disk.0.lock().unwrap();
    bytes.clone()
}

/// Uses all that there is; how many values were found.
fn use_all(image: Vec<u8>) -> Result<usize, Box<dyn Error>> {
    let database = open(Memory(Arc::new(Mutex::new(image))))?;
    let transaction = database.begin_read()?;
    let table = transaction.open_table(TABLE)?;
    let found = table.iter()?.filter(|entry| entry.is_ok()).take(1000).count();
    drop(table.get("key 1 10"));
    drop((table, transaction));
    let transaction = database.begin_write()?;
    transaction.open_table(TABLE)?.insert("another", &[1][..])?;
    transaction.commit()?;
    Ok(found)
}

#[test]
fn damaged_stores_are_errors_in_bounded_memory() {
    let image = make();
    assert_eq!(use_all(image.clone()).unwrap(), 180);
    let fields =
        Fields { head: DATA..DATA + HEAD, one_in: 3, places: said(&image, &[0, 7]), numbers: NUMBERS };
    let damaged = |_, random: &mut _| {
        let mut damaged = image.clone();
        fields.damage(&mut damaged, random);
        damaged
    };
    play("redb", rounds(300), ALLOWED, damaged, |image| {
        drop(use_all(image));
        None
    });
}
