// SPDX-License-Identifier: MIT OR Apache-2.0
//! Partitions, for code that blocks.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use prism::blocking::wait;
use prism::disks::{ByteRange, Partition};

/// Partition `number` of a disk, counted from 1 as Linux does: logical ones from 5 on.
///
/// # Errors
///
/// If there is no such partition, or no table.
pub fn partition(disk: &Arc<ByteRange>, sector_size: usize, number: usize) -> prism::Result<Arc<ByteRange>> {
    let partitions = partitions(disk, sector_size)?;
    let found = partitions.iter().find(|partition| partition.number as usize == number);
    let found = found.ok_or_else(|| {
        let numbers: Vec<u32> = partitions.iter().map(|partition| partition.number).collect();
        format!("there is no partition {number}, but {numbers:?}")
    })?;
    Ok(Arc::new(disk.part(found.start, found.length)?))
}

/// All partitions, in the order of their numbers.
///
/// # Errors
///
/// If there is no table, or the disk cannot be read.
pub fn partitions(disk: &Arc<ByteRange>, sector_size: usize) -> prism::Result<Vec<Partition>> {
    Ok(wait(prism::disks::partitions(disk, sector_size as u32))?)
}
