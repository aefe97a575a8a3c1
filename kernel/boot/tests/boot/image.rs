// SPDX-License-Identifier: MIT OR Apache-2.0
//! Physical memory that a loader has written to.

use prism_boot::{BootInfo, BootNote, PhysMemory, SliceMemory};

/// One MiB of memory from address 0; beyond it nothing is readable.
pub(crate) struct Image {
    bytes: Vec<u8>,
}

impl Image {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; 1 << 20] }
    }

    pub(crate) fn put(&mut self, address: usize, bytes: &[u8]) {
        self.bytes[address..address + bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn u32s(&mut self, address: usize, numbers: &[u32]) {
        for (index, number) in numbers.iter().enumerate() {
            self.put(address + index * 4, &number.to_le_bytes());
        }
    }

    pub(crate) fn u64s(&mut self, address: usize, numbers: &[u64]) {
        for (index, number) in numbers.iter().enumerate() {
            self.put(address + index * 8, &number.to_le_bytes());
        }
    }
}

impl PhysMemory for Image {
    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        SliceMemory { base: 0, bytes: &self.bytes }.read(address, buf)
    }
}

pub(crate) fn usable(info: &BootInfo) -> Vec<(u64, u64)> {
    info.memory.usable().map(|range| (range.start(), range.end())).collect()
}

pub(crate) fn notes(info: &BootInfo) -> Vec<BootNote> {
    info.notes.iter().copied().collect()
}

/// Whether the allocator is kept off every byte of this range.
pub(crate) fn is_reserved(info: &BootInfo, start: u64, length: u64) -> bool {
    info.reserved.iter().any(|region| region.range.start() <= start && start + length <= region.range.end())
}
