// SPDX-License-Identifier: MIT OR Apache-2.0
//! Batches of records whose contents follow from their numbers, to be checked after a power cut.

use prism::println;
use prism_redb::redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, TableError,
};

/// Records by number.
const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
/// Under 0, the number of batches.
const HEAD: TableDefinition<'_, u64, u64> = TableDefinition::new("head");

/// Records of a batch.
const BATCH: u64 = 4;

/// What belongs under `number`.
fn record(number: u64) -> [u8; 200] {
    let mut bytes = [0; 200];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (index % 57)) as u8;
    }
    bytes
}

/// Batches that are in the store.
fn head(database: &Database) -> prism::Result<u64> {
    match database.begin_read()?.open_table(HEAD) {
        Err(TableError::TableDoesNotExist(_)) => Ok(0),
        table => Ok(table?.get(0)?.map_or(0, |head| head.value())),
    }
}

/// Writes so many batches; each is durable when it is acknowledged.
pub(crate) fn run(database: &Database, batches: u64) -> prism::Result {
    let first = head(database)?;
    for batch in first..first + batches {
        let transaction = database.begin_write()?;
        {
            let mut records = transaction.open_table(RECORDS)?;
            for number in batch * BATCH..(batch + 1) * BATCH {
                records.insert(number, record(number).as_slice())?;
            }
            transaction.open_table(HEAD)?.insert(0, batch + 1)?;
        }
        transaction.commit()?;
        println!("acknowledged {}", batch + 1);
    }
    Ok(())
}

/// Whether the store has exactly the batches that it says, and each record whole.
pub(crate) fn check(database: &Database) -> prism::Result<bool> {
    let head = head(database)?;
    println!("found {head}");
    if head == 0 {
        return Ok(true);
    }
    let records = database.begin_read()?.open_table(RECORDS)?;
    let mut right = records.len()? == head * BATCH;
    for (entry, number) in records.iter()?.zip(0..) {
        let (key, value) = entry?;
        right &= key.value() == number && value.value() == record(number);
    }
    println!("{head} batches are {}", if right { "whole" } else { "damaged" });
    Ok(right)
}
