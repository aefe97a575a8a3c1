// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registers of a device in memory (MMIO).

/// Reads and writes registers at offsets from a device's first one. Offsets are multiples of the
/// access's size. Beyond the end, reads are all ones and writes have no effect.
pub trait Registers {
    /// Reads four bytes.
    fn read_u32(&self, offset: usize) -> u32;
    /// Writes four bytes.
    fn write_u32(&self, offset: usize, value: u32);
}

/// Registers that are also read and written by one byte and by two, as those of virtio devices.
pub trait NarrowRegisters: Registers + Send {
    /// How many bytes of registers there are.
    fn length(&self) -> usize;
    /// Reads a byte.
    fn read_u8(&self, offset: usize) -> u8;
    /// Reads two bytes.
    fn read_u16(&self, offset: usize) -> u16;
    /// Writes a byte.
    fn write_u8(&self, offset: usize, value: u8);
    /// Writes two bytes.
    fn write_u16(&self, offset: usize, value: u16);
}
