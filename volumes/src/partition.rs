// SPDX-License-Identifier: MIT OR Apache-2.0
//! Partition tables, MBR and GPT.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use hadris_part::{PartitionTable, PartitionTableReadExt};
use prism::disks::Bytes;

use crate::cursor::Cursor;

/// Partition `number`, counted from 1, of a disk.
///
/// # Errors
///
/// If there is no such partition, or no table.
pub fn partition(disk: &Arc<Bytes>, sector_size: usize, number: usize) -> prism::Result<Arc<Bytes>> {
    let partitions = partitions(disk, sector_size)?;
    let index = number.checked_sub(1).ok_or("partitions are counted from 1")?;
    let (start, length) = *partitions.get(index).ok_or("there is no such partition")?;
    Ok(Arc::new(disk.part(start, length)?))
}

/// Start and length of all partitions, in bytes.
///
/// # Errors
///
/// If there is no table, or a partition lies beyond all disks.
pub fn partitions(disk: &Arc<Bytes>, sector_size: usize) -> prism::Result<Vec<(u64, u64)>> {
    let mut cursor = Cursor::new(disk);
    let table =
        PartitionTable::read_from(&mut cursor, sector_size as u32).map_err(|error| format!("{error}"))?;
    let bytes = |sectors: u64| sectors.checked_mul(sector_size as u64);
    let place = |start: u64, sectors: u64| Some((bytes(start)?, bytes(sectors)?));
    let all = table.partitions().into_iter().map(|part| place(part.start_lba, part.size_sectors));
    all.collect::<Option<Vec<_>>>().ok_or_else(|| "a partition lies beyond all disks".into())
}
