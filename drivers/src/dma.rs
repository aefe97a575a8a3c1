// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory that a device reads and writes by itself, as drivers see it.

/// Memory that a device reads and writes by itself, at any moment: copied in and out, never looked at
/// in place. Beyond the end, what is read is zero, and writes have no effect.
pub trait DeviceMemory: Send {
    /// Where the device finds its first byte: the start of a page.
    fn address(&self) -> u64;
    /// How many bytes there are.
    fn length(&self) -> usize;
    /// Copies bytes from `offset` on out.
    fn read(&self, offset: usize, into: &mut [u8]);
    /// Copies `bytes` in, from `offset` on.
    fn write(&self, offset: usize, bytes: &[u8]);
}
