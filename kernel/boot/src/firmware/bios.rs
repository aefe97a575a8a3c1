// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a BIOS leaves the pointers to its tables.

use core::ops::Range;

use crate::PhysMemory;

/// Where it notes the segment of its extended data area.
const EXTENDED_DATA: u64 = 0x40e;

/// The addresses at which such a pointer may lie: the multiples of 16 in the first KiB of the extended data
/// area, if there is one, and then in `others`.
pub(crate) fn candidates(memory: &impl PhysMemory, others: &[Range<u64>]) -> impl Iterator<Item = u64> {
    let mut segment = [0; 2];
    let start = match memory.read(EXTENDED_DATA, &mut segment) {
        true => u64::from(u16::from_le_bytes(segment)) << 4,
        false => 0,
    };
    let extended = if start == 0 { 0..0 } else { start..start.saturating_add(1024) };
    [extended].into_iter().chain(others.iter().cloned()).flat_map(|range| range.step_by(16))
}
