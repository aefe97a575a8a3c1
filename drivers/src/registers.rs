// SPDX-License-Identifier: MIT OR Apache-2.0
//! A device's registers in memory, as drivers see them.

/// Reads and writes registers at offsets from a device's first one. Offsets are multiples of the
/// access's size. Beyond the end, reads are all ones and writes have no effect.
pub trait Registers {
    /// Reads four bytes.
    fn read_u32(&self, offset: usize) -> u32;
    /// Writes four bytes.
    fn write_u32(&self, offset: usize, value: u32);
}
