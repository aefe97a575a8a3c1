// SPDX-License-Identifier: MIT OR Apache-2.0
//! The checksum of firmware's tables.

use crate::PhysMemory;
use crate::bytes::as_u64;

/// The sum of `length` bytes: 0 where a checksum is right; `None` if they cannot be read.
pub(crate) fn checksum(memory: &impl PhysMemory, address: u64, length: u32) -> Option<u8> {
    const PIECE: usize = 64;
    let end = address.checked_add(length.into())?;
    let mut sum = 0u8;
    let mut at = address;
    while at < end {
        let mut piece = [0; PIECE];
        let left = usize::try_from(end.saturating_sub(at)).ok()?.min(PIECE);
        if !memory.read(at, piece.get_mut(..left)?) {
            return None;
        }
        // A piece that is cut short is zero behind its end.
        sum = piece.iter().fold(sum, |sum, byte| sum.wrapping_add(*byte));
        at = at.checked_add(as_u64(left))?;
    }
    Some(sum)
}
