// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory that a device reads and writes by itself (DMA).

use core::sync::atomic::{Ordering, fence};

/// Memory that a device reads and writes by itself, at any moment. It is copied in and out, and never used in
/// place. Beyond the end, reads are zero and writes have no effect.
pub trait DeviceMemory: Send {
    /// The bus address of its first byte: the start of a page.
    fn address(&self) -> u64;
    /// How many bytes there are.
    fn length(&self) -> usize;
    /// Copies bytes from `offset` on out.
    fn read(&self, offset: usize, into: &mut [u8]);
    /// Copies `bytes` in, from `offset` on.
    fn write(&self, offset: usize, bytes: &[u8]);
}

/// Memory in which driver and device tell each other by single words how far they are.
pub trait RingMemory: DeviceMemory {
    /// Reads two bytes by one access. What is read afterwards is read later.
    fn load(&self, offset: usize) -> u16;
    /// Writes two bytes by one access. Whoever sees them sees what was written before.
    fn store(&self, offset: usize, value: u16);
    /// What was stored before is seen by the device before anything is loaded afterwards: processors
    /// exchange the two otherwise, x86 too.
    fn barrier(&self) {
        fence(Ordering::SeqCst);
    }
}
